"""What the other items of an artist say of a new one.

An item without plays starts as an average item with its own content. Where its artist has items
with plays, it starts between that and their mean, the nearer to it the more there are (a random
effect; Henderson, "Best linear unbiased estimation and prediction under a selection model",
Biometrics 1975): n items count n / (n + k).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float32]

SHRINKAGES = (0.3, 1.0, 3.0, 10.0, float("inf"))
"""Choices of k; the last ignores artists."""


@dataclass(frozen=True)
class ArtistEffects:
    """Mean factors of artists' items.

    Attributes
    ----------
    rows : dict of artist to row
    means : float32 (artists, factors)
    counts : float32 (artists,)
        Items of each, one with c users counting c / (c + the median).
    shrinkage : float
        k above.
    """

    rows: dict[Hashable, int]
    means: Array
    counts: Array
    shrinkage: float

    @classmethod
    def of(
        cls,
        artists: Sequence[Hashable | None],
        factors: Array,
        users: NDArray[np.int64],
        shrinkage: float,
    ) -> ArtistEffects:
        """Effects of the artists of items (n, factors) that so many users (n,) have played."""
        rows: dict[Hashable, int] = {}
        labels = np.array(
            [-1 if name is None else rows.setdefault(name, len(rows)) for name in artists],
            dtype=np.int64,
        )
        named = (labels >= 0) & (users > 0)
        trust = users / (users + max(float(np.median(users[users > 0])), 1e-12))
        counts = np.bincount(labels[named], trust[named], minlength=len(rows))
        totals = np.zeros((len(rows), factors.shape[1]))
        np.add.at(totals, labels[named], trust[named, None] * factors[named])
        means = totals / np.maximum(counts, 1e-12)[:, None]
        return cls(rows, means.astype(np.float32), counts.astype(np.float32), shrinkage)

    def apply(
        self, new: Array, old: Array, artists: Sequence[Hashable | None]
    ) -> tuple[Array, NDArray[np.bool_]]:
        """Factors of new items moved towards their artists' means, and which of them were.

        Parameters
        ----------
        new : float32 (n, factors and more)
            As they are by an unknown artist.
        old : float32 (n, more)
            Content vectors at the scale of items with plays.
        """
        rows = np.array([self.rows.get(name, -1) for name in artists], dtype=np.int64)
        known = rows >= 0
        if not np.isfinite(self.shrinkage) or not known.any():
            return new, np.zeros(len(new), bool)
        counts = self.counts[rows[known], None]
        share = counts / (counts + np.float32(self.shrinkage))
        moved = new.copy()
        towards = np.hstack([self.means[rows[known]], old[known]])
        moved[known] = (1 - share) * new[known] + share * towards
        known[known] = counts[:, 0] > 0
        return moved, known
