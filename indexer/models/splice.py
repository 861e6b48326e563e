"""Windows of a track joined to the length that a network takes.

Frames are joined, not samples, so that no frame straddles a join.
"""

from __future__ import annotations

from itertools import pairwise

import torch


def pieces_of(windows: int, frames: int, length: int, at_most: int) -> int:
    """How many whole pieces of `length` frames windows give, at most so many; 0: too few frames."""
    return min(windows * frames // length, at_most)


def splice(frames: torch.Tensor, length: int, *, at_most: int) -> torch.Tensor:
    """Frames of consecutive windows, joined and cut into pieces of one length.

    Each window gives an equal share of all pieces, from its middle. Windows that have too few
    frames for one piece are repeated.

    Parameters
    ----------
    frames : Tensor, shape (windows, frames, bands)
    length : int
        Frames of a piece.
    at_most : int
        Number of pieces; fewer where the windows have no more.

    Returns
    -------
    Tensor, shape (pieces, length, bands)
    """
    windows, count, bands = frames.shape
    pieces = pieces_of(windows, count, length, at_most)
    if pieces == 0:
        joined = frames.reshape(-1, bands)
        return joined.repeat(-(-length // len(joined)), 1)[None, :length]
    ends = [round(window * pieces * length / windows) for window in range(windows + 1)]
    shares = []
    for window, (begin, end) in enumerate(pairwise(ends)):
        first = (count - (end - begin)) // 2
        shares.append(frames[window, first : first + end - begin])
    return torch.cat(shares).reshape(pieces, length, bands)
