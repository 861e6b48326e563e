"""Ways to join windows of 3 s for networks that take more: alternatives to `indexer.models.splice`.

They join samples, where the model joins frames. Measured beside it, so that the choice can be seen.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Array = NDArray[np.float32]

FADE_S = 0.05


def in_order(windows: Array, *, rate: int) -> Array:
    """Samples (samples,) of windows (windows, samples) one after the other."""
    del rate
    return windows.ravel()


def cross_faded(windows: Array, *, rate: int) -> Array:
    """As `in_order`, each window fading into the next with equal power."""
    length = round(FADE_S * rate)
    rising = np.sqrt(np.linspace(0.0, 1.0, length, dtype=np.float32))
    pieces = [windows[0][:-length]]
    for before, after in pairwise(windows):
        pieces += [before[-length:] * rising[::-1] + after[:length] * rising, after[length:-length]]
    return np.concatenate([*pieces, windows[-1][-length:]])


def shuffled(windows: Array, *, rate: int) -> Array:
    """As `in_order`, in an order drawn at random, the same for all tracks."""
    del rate
    return windows[np.random.default_rng(0).permutation(len(windows))].ravel()


JOININGS: Mapping[str, Callable[..., Array]] = {
    "samples in order": in_order,
    "samples, cross-faded": cross_faded,
    "samples, shuffled": shuffled,
}


def cut(samples: Array, length: int) -> Array:
    """Whole pieces (pieces, length) of joined samples, repeated if they are too few for one."""
    if len(samples) < length:
        samples = np.resize(samples, length)
    count = len(samples) // length
    return samples[: count * length].reshape(count, length)
