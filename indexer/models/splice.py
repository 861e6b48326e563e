"""Windows of a track joined to the length that a network takes.

Frames are joined, not samples, so that no frame straddles a join.
"""

from __future__ import annotations

from itertools import pairwise

import torch


def splice(frames: torch.Tensor, length: int) -> torch.Tensor:
    """Frames of consecutive windows, joined and cut into pieces of one length.

    There are as many whole pieces as the windows have frames for. Each window gives an equal share
    of them, from its middle. Windows that have too few frames for one piece are repeated.

    Parameters
    ----------
    frames : Tensor, shape (windows, frames, bands)
    length : int
        Frames of a piece.

    Returns
    -------
    Tensor, shape (pieces, length, bands)
    """
    windows, count, bands = frames.shape
    pieces = windows * count // length
    if pieces == 0:
        joined = frames.reshape(-1, bands)
        return joined.repeat(-(-length // len(joined)), 1)[None, :length]
    ends = [round(window * pieces * length / windows) for window in range(windows + 1)]
    shares = []
    for window, (begin, end) in enumerate(pairwise(ends)):
        first = (count - (end - begin)) // 2
        shares.append(frames[window, first : first + end - begin])
    return torch.cat(shares).reshape(pieces, length, bands)
