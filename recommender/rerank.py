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

USUAL_COSINE = 0.32
"""The median cosine of random pairs where the levels below were measured; see `level`."""
SAME_COSINE = 0.985
"""Two tracks at least this close ..."""
SAME_DURATION_S = 1.0
"""... and of durations no further apart than this are taken for one recording, encoded twice."""
CUT_COSINE = 0.987
"""Two tracks at least this close ..."""
CUT_S = 15.0
"""... and of durations no further apart than this: one is taken for a cut of the other."""
VERSION_COSINE = 0.9
"""Two tracks of one artist and title at least this close are taken for versions of one piece."""

BACKGROUND_PAIRS = 100_000
"""Random pairs that percentiles are told from, so that 0.9999 still means something."""


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


def capped(order: ArrayLike, groups: Sequence[Hashable | None], limit: int) -> NDArray[np.int64]:
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


def level(cosine: float, usual: float) -> float:
    """What a cosine, measured where random pairs have `USUAL_COSINE`, is where they have `usual`.

    Models differ in how close everything lies: what counts is the distance, 1 - cosine, as a share
    of the distance of two tracks drawn at random.
    """
    return 1.0 - (1.0 - cosine) * (1.0 - usual) / (1.0 - USUAL_COSINE)


def collapse(
    vectors: ArrayLike,
    durations_s: ArrayLike,
    recordings: ArrayLike,
    names: Sequence[Hashable | None] | None = None,
    *,
    usual: float = USUAL_COSINE,
) -> NDArray[np.int64]:
    """Tell which candidates are near-duplicates of an earlier one, without hearing them.

    Two are if they hold one recording; if their cosine is at least `SAME_COSINE` and their
    durations are within `SAME_DURATION_S`; if it is at least `CUT_COSINE` and they are within
    `CUT_S`; or if they bear one name and their cosine is at least `VERSION_COSINE`. What is a
    near-duplicate of a near-duplicate belongs to the same group.

    Parameters
    ----------
    vectors : float32 (c, dim)
        Unit length, best candidate first.
    durations_s : float (c,)
        Seconds.
    recordings : int (c,)
        Recording ids; negative ones are unknown and equal none.
    names : c values, optional
        Artist and title, folded; None where the file does not say both.
    usual : float
        The median cosine of random pairs: `Percentiles.median`.

    Returns
    -------
    int64 (c,)
        For each candidate the place of the first of its group: its own if it represents itself.
    """
    rows = np.asarray(vectors, dtype=np.float32)
    recording = np.asarray(recordings)
    cosines = rows @ rows.T
    known = (recording[:, np.newaxis] == recording) & (recording >= 0)
    first, second = np.nonzero(known | (cosines >= level(VERSION_COSINE, usual)))
    first, second = first[first < second], second[first < second]
    duration = np.asarray(durations_s, dtype=np.float64)
    apart = np.abs(duration[first] - duration[second])
    alike = known[first, second] | looks_same(cosines[first, second], apart, usual=usual)
    if names is not None:
        label = labelled(names)
        alike |= (label[first] == label[second]) & (label[first] >= 0)
    return grouped(len(rows), first[alike], second[alike])


def looks_same(
    cosines: NDArray[np.float32], apart_s: NDArray[np.float64], *, usual: float = USUAL_COSINE
) -> NDArray[np.bool_]:
    """Whether cosine and difference of durations (s), of any shape, speak for one recording."""
    same: NDArray[np.bool_] = (cosines >= level(SAME_COSINE, usual)) & (apart_s <= SAME_DURATION_S)
    same |= (cosines >= level(CUT_COSINE, usual)) & (apart_s <= CUT_S)
    return same


def labelled(names: Sequence[Hashable | None]) -> NDArray[np.int64]:
    """A number for each distinct name, -1 for None."""
    number = {name: place for place, name in enumerate(names) if name is not None}
    return np.array([-1 if name is None else number[name] for name in names], dtype=np.int64)


def grouped(count: int, first: ArrayLike, second: ArrayLike) -> NDArray[np.int64]:
    """Connected components of pairs of places: for each of `count` places its group's first."""
    head = list(range(count))

    def find(place: int) -> int:
        while head[place] != place:
            head[place] = head[head[place]]
            place = head[place]
        return place

    for one, other in zip(np.asarray(first).tolist(), np.asarray(second).tolist(), strict=True):
        low, high = sorted((find(one), find(other)))
        head[high] = low
    return np.array([find(place) for place in range(count)], dtype=np.int64)


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

    @property
    def median(self) -> float:
        """The usual cosine of two tracks; `USUAL_COSINE` where there are no pairs."""
        return float(np.median(self.cosines)) if len(self.cosines) else USUAL_COSINE

    def percentile(self, cosines: ArrayLike) -> NDArray[np.float64]:
        """The share of random pairs that are less alike, from 0 to 1, of the shape given.

        Interpolated between the pairs: 0 for the least of them or less, 1 for the largest or more;
        NaN where there are no pairs, or for NaN.
        """
        values = np.asarray(cosines, dtype=np.float64)
        if len(self.cosines) == 0:
            return np.full(values.shape, np.nan)
        shares: NDArray[np.float64] = np.interp(values, *self._curve, left=0.0, right=1.0)
        return shares

    @cached_property
    def _curve(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Cosines and their ranks, as `np.interp` takes them without a copy."""
        count = len(self.cosines)
        ranks = np.linspace(0.0, 1.0, count) if count > 1 else np.ones(count)
        return self.cosines.astype(np.float64), ranks
