"""From candidates to an answer: pure functions over arrays, best candidate first.

A *place* is the position of a candidate in the arrays that a function is given.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from indexer.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import ArrayLike, NDArray

REFERENCE_RANDOM_COSINE = -0.04
"""The median cosine of random pairs where levels were measured; see `near_duplicates`."""

BACKGROUND_PAIRS = 100_000
"""Random pairs that percentiles are told from, so that 0.9999 still means something."""

LEAST_PAIRS = 10
"""Of fewer, those of five tracks, a share says nothing."""


def maximal_marginal_relevance(
    relevance: ArrayLike, vectors: ArrayLike, n: int, *, diversity: float
) -> NDArray[np.int64]:
    """Choose n candidates, each for being relevant and unlike those chosen before it.

    Carbonell & Goldstein (SIGIR 1998): the next one is the candidate d with the largest
    (1 - diversity) relevance(d) - diversity max over the chosen s of cosine(d, s).

    Parameters
    ----------
    relevance : float (c,)
        Of each candidate to the question, on the scale of a cosine.
    vectors : float32 (c, dim)
        Unit length.
    n : int
        How many to choose; all when there are fewer.
    diversity : float
        From 0, the order of relevance, to 1: after the most relevant one, relevance says nothing.

    Returns
    -------
    int64 (min(n, c),)
        Places in the order of choice; of equals the more relevant comes first, then the first.

    Raises
    ------
    InvalidOption
        Diversity is not from 0 to 1, or n is negative.
    """
    if not 0.0 <= diversity <= 1.0:
        raise InvalidOption(f"diversity is {diversity}: it goes from 0 to 1")
    if n < 0:
        raise InvalidOption(f"n is {n}: it is 0 or more")
    merit = np.asarray(relevance, dtype=np.float32)
    # In the order of relevance, so that the first of equals is the more relevant.
    order = np.argsort(-merit, kind="stable")
    n = min(n, len(order))
    if diversity == 0.0 or n < 2:
        return order[:n].astype(np.int64)
    merit = merit[order] * np.float32(1.0 - diversity)
    rows = np.asarray(vectors, dtype=np.float32)[order]
    # One product of matrices is cheaper than n of a matrix and a vector, when most are chosen.
    cosines = rows @ rows.T if 4 * n > len(rows) else None
    chosen = np.zeros(n, dtype=np.int64)
    nearest = np.full(len(rows), -np.inf, dtype=np.float32)
    merit[0] = -np.inf
    for number in range(1, n):
        last = chosen[number - 1]
        np.maximum(nearest, rows @ rows[last] if cosines is None else cosines[last], out=nearest)
        best = np.argmax(merit - np.float32(diversity) * nearest)
        chosen[number] = best
        merit[best] = -np.inf
    return order[chosen].astype(np.int64)


def cap_groups(
    order: ArrayLike, groups: Sequence[Hashable | None], limit: int
) -> NDArray[np.int64]:
    """Keep the first `limit` candidates of each group, such as an artist or an album.

    Parameters
    ----------
    order : int (m,)
        Places, best first.
    groups : c values, one a place
        None, an artist that nobody knows, is never capped.
    limit : int
        1 or more.

    Returns
    -------
    int64
        The places kept, in their order.

    Raises
    ------
    InvalidOption
        The limit is less than 1.
    """
    if limit < 1:
        raise InvalidOption(f"a cap of {limit} leaves nothing: allow at least one of a kind")
    seen: Counter[Hashable] = Counter()
    kept = []
    for place in np.asarray(order, dtype=np.int64).tolist():
        group = groups[place]
        if group is not None:
            seen[group] += 1
            if seen[group] > limit:
                continue
        kept.append(place)
    return np.array(kept, dtype=np.int64)


@dataclass(frozen=True)
class Percentiles:
    """How the cosines of random pairs of a catalog are distributed.

    A cosine of 0.9 can be rare with one model and usual with another; its percentile among random
    pairs means the same everywhere.

    Attributes
    ----------
    cosines : float32 (pairs,), ascending
        Empty for a catalog of fewer than two tracks.
    """

    cosines: NDArray[np.float32]

    @classmethod
    def from_vectors(
        cls, vectors: ArrayLike, *, pairs: int = BACKGROUND_PAIRS, seed: int = 0
    ) -> Percentiles:
        """Measure random pairs of different vectors, or all pairs where they are fewer.

        Parameters
        ----------
        vectors : float32 (n, dim)
            Unit length; some thousands drawn at random stand for a large catalog.
        """
        rows = np.asarray(vectors, dtype=np.float32)
        count = len(rows)
        if count * (count - 1) // 2 <= pairs:
            cosines = (rows @ rows.T)[np.triu_indices(count, 1)]
        else:
            rng = np.random.default_rng(seed)
            one = rng.integers(0, count, pairs)
            other = (one + rng.integers(1, count, pairs)) % count
            cosines = np.empty(pairs, dtype=np.float32)
            for start in range(0, pairs, 10_000):
                part = slice(start, start + 10_000)
                cosines[part] = np.einsum("nd,nd->n", rows[one[part]], rows[other[part]])
        return cls(np.sort(cosines))

    @cached_property
    def median(self) -> float:
        """The usual cosine of two tracks; `REFERENCE_RANDOM_COSINE` where there are no pairs."""
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
