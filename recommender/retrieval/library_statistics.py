"""Cosines of random pairs of a library, and the percentile of a cosine among them: the score.

A cosine of 0.9 can be rare with one model and common with another; its percentile among random
pairs means the same with every model and in every library.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

REFERENCE_RANDOM_COSINE = -0.04
"""The median cosine of random pairs where thresholds were measured; see `near_duplicates`."""
BACKGROUND_PAIRS = 100_000
"""Random pairs measured at most, so that a percentile of 0.9999 still means something."""
LEAST_PAIRS = 10
"""Of fewer pairs, those of five tracks, a percentile says nothing."""


@dataclass(frozen=True)
class Percentiles:
    """How the cosines of random pairs of a library are distributed.

    Attributes
    ----------
    cosines : float32 (pairs,), ascending
        Empty for a library of fewer than two tracks.
    """

    cosines: NDArray[np.float32]

    @classmethod
    def from_vectors(
        cls, vectors: ArrayLike, *, pairs: int = BACKGROUND_PAIRS, random_state: int = 0
    ) -> Percentiles:
        """Measure random pairs of different vectors, or all pairs where they are fewer.

        Parameters
        ----------
        vectors : float32 (n, dim)
            Unit length; some thousands drawn at random stand for a large library.
        """
        rows = np.asarray(vectors, dtype=np.float32)
        count = len(rows)
        if count * (count - 1) // 2 <= pairs:
            cosines = (rows @ rows.T)[np.triu_indices(count, 1)]
        else:
            rng = np.random.default_rng(random_state)
            one = rng.integers(0, count, pairs)
            other = (one + rng.integers(1, count, pairs)) % count
            cosines = np.empty(pairs, dtype=np.float32)
            for start in range(0, pairs, 10_000):
                part = slice(start, start + 10_000)
                cosines[part] = np.einsum("nd,nd->n", rows[one[part]], rows[other[part]])
        return cls(np.sort(cosines))

    @cached_property
    def median(self) -> float:
        """The median cosine; `REFERENCE_RANDOM_COSINE` where there are no pairs."""
        return float(np.median(self.cosines)) if len(self.cosines) else REFERENCE_RANDOM_COSINE

    def percentile(self, cosines: ArrayLike) -> NDArray[np.float64]:
        """The share of random pairs that are less alike, from 0 to 1, of the shape given.

        Interpolated between the pairs: 0 for the least of them or less, 1 for the largest or more;
        NaN where there are fewer than `LEAST_PAIRS`, or for NaN.
        """
        values = np.asarray(cosines, dtype=np.float64)
        if len(self.cosines) < LEAST_PAIRS:
            return np.full(values.shape, np.nan)
        shares: NDArray[np.float64] = np.interp(values, *self._curve, left=0.0, right=1.0)
        return shares

    @cached_property
    def _curve(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Cosines and their ranks, as `np.interp` takes them without a copy."""
        count = len(self.cosines)
        return self.cosines.astype(np.float64), np.linspace(0.0, 1.0, count)


def sample_ids(ids: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """About `count` ids drawn at random, or all where they are no more, in their order.

    The same ids always give the same sample, so that a library's statistics stay what they are.
    """
    if len(ids) <= count:
        return ids
    return ids[np.unique(np.random.default_rng(0).integers(0, len(ids), count))]
