"""Random order of candidates by score: the better ones sooner, the far ones last."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

TAIL = 3.0
"""Candidates this many times the temperature below the best are not drawn: each of them is
improbable, but in a thin neighbourhood there are so many that one would come every few draws."""


def sample_from_best(
    scores: NDArray[np.floating], variety: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Rows of all candidates, in the order they are drawn without replacement.

    The probability is exp(score / temperature) / sum, with the temperature variety (max - min of
    the scores), drawn by Gumbel's trick. Those in the tail come last, best first.

    Parameters
    ----------
    scores : float (c,)
    variety : float
        0 sorts by score.
    """
    if not len(scores):
        return np.empty(0, np.int64)
    temperature = float(np.ptp(scores)) * variety
    if temperature == 0:
        return np.argsort(-scores, kind="stable")
    keys = scores.astype(np.float64) / temperature
    tail = keys < keys.max() - TAIL
    noise = rng.gumbel(size=len(keys))
    return np.lexsort((-np.where(tail, keys, keys + noise), tail))
