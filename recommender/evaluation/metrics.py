"""Metrics of rankings over arrays, each with the values that it is the mean of.

What is measured is a `Similarity`, so that embeddings, a baseline by other features and an order by
popularity are judged by the same lines. It is asked for blocks of seeds: 100,000 tracks need no
matrix of all pairs.

*Retrieval.* A seed's neighbours are hits when they have its label. P@k is the share of hits among
the k nearest (among all there are, if these are fewer), mAP the mean over the seeds of the average
precision, which is the mean over the hits of the share of hits down to each (Manning, Raghavan &
Schuetze, Introduction to Information Retrieval, 2008, section 8.4).

*Artist filter.* Songs of an artist, or of an album, share a voice, a room and a mastering; a
measure of genre that leaves the seed's own artist in measures these as well (Pampalk, Flexer &
Widmer, ISMIR 2005; Flexer & Schnitzer, "Effects of Album and Artist Filters in Audio Similarity
Computed for Very Large Music Databases", Computer Music Journal 34(3), 2010). `Question.without`
takes such tracks out.

*Hubs.* The k-occurrence of a track is the number of tracks that have it among their k nearest. In
many dimensions its distribution is skewed: hubs are neighbours of many, orphans of none
(Radovanovic, Nanopoulos & Ivanovic, "Hubs in Space", JMLR 11, 2010). Reach, or coverage, is the
share of tracks that are among the first k of another: about two thirds in published systems
(Flexer & Stevens, "Mutual proximity graphs for improved reachability in music recommendation",
Journal of New Music Research 47(1), 2018).

*Intervals* are percentile bootstraps (Efron & Tibshirani 1993): seeds are drawn again. Seeds of one
artist are alike, so that the intervals are rather too narrow where few artists have many tracks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import skew

from indexer.errors import BadVector
from indexer.vectors.unit_vectors import unit_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Floats: TypeAlias = NDArray[np.float64]
Vectors: TypeAlias = NDArray[np.float32]
Rows: TypeAlias = NDArray[np.int64]
"""Numbers of tracks, 0 to n - 1, as rows of the vectors that are measured."""
Similarity: TypeAlias = Callable[[Rows], Vectors]
"""Similarity (b, n) of seeds, rows (b,), to all n tracks; more is nearer."""

KS = (1, 5, 10)
FIRST = 10
"""Neighbours that hubness and reach count: the k of the k-occurrence."""
DRAWS = 1000

BLOCK_VALUES = 1 << 23
"""Similarities held at a time."""


@dataclass(frozen=True)
class Question:
    """A label that neighbours should share with their seed.

    Attributes
    ----------
    labels : sequence of str, length n
        "" is no label: such a track is found by others, as a miss, and is no seed.
    without : sequence of str, length n, or None
        Tracks that share this with the seed are taken out of its neighbours; "" shares nothing.
    """

    labels: Sequence[str]
    without: Sequence[str] | None = None


@dataclass(frozen=True)
class Scores:
    """Measures of each seed that has something to find.

    Attributes
    ----------
    measures : tuple of str
        Names of the columns of `values`.
    seeds : int64 (s,)
        Their rows, ascending.
    values : float64 (s, measures)
    chance : float64 (s,)
        Share of hits among all of the seed's neighbours: P@k of an order drawn at random.
    """

    measures: tuple[str, ...]
    seeds: Rows
    values: Floats
    chance: Floats

    def __len__(self) -> int:
        return len(self.seeds)

    @property
    def means(self) -> Floats:
        """Mean of each measure; NaN without seeds."""
        if len(self) == 0:
            return np.full(len(self.measures), np.nan)
        return np.asarray(self.values.mean(0))

    def interval(self, *, random_state: int = 0, draws: int = DRAWS) -> Floats:
        """Bootstrap interval of each mean, (2, measures): see `interval`."""
        return interval(self.values, random_state=random_state, draws=draws)


@dataclass(frozen=True)
class Hubness:
    """How evenly tracks appear among the nearest of others.

    Attributes
    ----------
    occurrences : int64 (n,)
        Seeds that have the track among their nearest.
    seeds : int
        How many were asked.
    """

    occurrences: Rows
    seeds: int

    @property
    def skewness(self) -> float:
        """Third standardised moment of the occurrences; 0 when all are equal."""
        return _skewness(self.occurrences)

    @property
    def largest(self) -> int:
        """The k-occurrence of the greatest hub."""
        return int(self.occurrences.max(initial=0))

    @property
    def reach(self) -> float:
        """Share of tracks among the nearest of another; 1 less the share of orphans."""
        return float((self.occurrences > 0).mean())

    def interval(self, *, random_state: int = 0, draws: int = DRAWS) -> Floats:
        """Bootstrap interval, (2, 2), of skewness and reach, tracks drawn again as answers.

        Seeds are not drawn again: each draw would lack a third of them, and what only they reach.
        """
        rng = np.random.default_rng(random_state)
        found = np.empty((draws, 2))
        for row in range(draws):
            drawn = self.occurrences[
                rng.integers(len(self.occurrences), size=self.occurrences.size)
            ]
            found[row] = _skewness(drawn), (drawn > 0).mean()
        return np.asarray(np.percentile(found, [2.5, 97.5], axis=0))


def cosines(vectors: Vectors) -> Similarity:
    """Similarity by the cosine of vectors (n, dim) of any length.

    Raises
    ------
    BadVector
        There is NaN or infinity in them.
    """
    directions = unit_rows(vectors)
    if not np.isfinite(directions).all():
        raise BadVector("the vectors to be measured hold NaN or infinity")
    return lambda seeds: np.asarray(directions[seeds] @ directions.T)


def same_for_all(values: NDArray[np.floating]) -> Similarity:
    """One order for every seed, by a value of each track (n,), such as its plays."""
    row = values.astype(np.float32)
    return lambda seeds: np.tile(row, (len(seeds), 1))


def retrieval(
    similarity: Similarity,
    questions: Mapping[str, Question],
    *,
    ks: Sequence[int] = KS,
    seeds: Rows | None = None,
    block_values: int = BLOCK_VALUES,
) -> dict[str, Scores]:
    """Scores of each question, the tracks put in order once for all of them.

    Equally near tracks are in the order of their rows, as answers are.

    Parameters
    ----------
    similarity : Similarity
    questions : mapping of str to Question
        All of the same length n.
    seeds : int64, optional
        The queries, ascending; all rows by default.

    Raises
    ------
    ValueError
        The questions are of different lengths.
    """
    judges = {name: _Judge(question, tuple(ks)) for name, question in questions.items()}
    lengths = {judge.length for judge in judges.values()}
    if len(lengths) != 1:
        raise ValueError(f"the questions are of the lengths {sorted(lengths)}, not of one")
    (length,) = lengths
    queries = np.arange(length) if seeds is None else np.asarray(seeds, dtype=np.int64)
    for block in _blocks(queries, length, block_values):
        order = _in_order(similarity(block), block)
        for seed, row in zip(block.tolist(), order, strict=True):
            for judge in judges.values():
                judge.add(seed, row)
    return {name: judge.scores() for name, judge in judges.items()}


def nearest(
    similarity: Similarity,
    length: int,
    k: int = FIRST,
    *,
    seeds: Rows | None = None,
    block_values: int = BLOCK_VALUES,
) -> Rows:
    """Rows of the k nearest of each seed, (seeds, min(k, length - 1)), best first.

    Parameters
    ----------
    length : int
        n, how many tracks there are.
    seeds : int64, optional
        The queries; all rows by default.
    """
    queries = np.arange(length) if seeds is None else np.asarray(seeds, dtype=np.int64)
    k = min(k, length - 1)
    found = [
        _in_order(similarity(block), block, first=k)
        for block in _blocks(queries, length, block_values)
    ]
    return np.concatenate(found) if found else np.empty((0, k), dtype=np.int64)


def hubness(neighbours: Rows, length: int) -> Hubness:
    """Count how often each of `length` tracks is among the nearest.

    Parameters
    ----------
    neighbours : int64 (seeds, k)
        Rows; -1 is none.
    """
    there = neighbours[neighbours >= 0]
    return Hubness(np.bincount(there, minlength=length).astype(np.int64), len(neighbours))


def interval(values: Floats, *, random_state: int = 0, draws: int = DRAWS) -> Floats:
    """Percentile bootstrap interval (95 %) of the mean of each column.

    Parameters
    ----------
    values : float64 (rows, columns)
        Rows are drawn again with replacement, `draws` times.

    Returns
    -------
    float64 (2, columns)
        2.5 % and 97.5 %; NaN without rows.
    """
    count, columns = values.shape
    if count == 0:
        return np.full((2, columns), np.nan)
    rng = np.random.default_rng(random_state)
    means = np.empty((draws, columns))
    for row in range(draws):
        # How often each row is drawn: the same as picking rows, without holding them.
        times = np.bincount(rng.integers(count, size=count), minlength=count)
        means[row] = times @ values / count
    return np.asarray(np.percentile(means, [2.5, 97.5], axis=0))


def paired_difference(first: Scores, other: Scores) -> Scores:
    """Values of `other` minus those of `first`, over the seeds that both have.

    The interval of the difference is narrower than those of its terms suggest: both are measured
    on the same seeds, some of which are hard for any.

    Raises
    ------
    ValueError
        They hold other measures.
    """
    if first.measures != other.measures:
        raise ValueError(f"{first.measures} cannot be compared with {other.measures}")
    both, mine, theirs = np.intersect1d(first.seeds, other.seeds, return_indices=True)
    return Scores(
        first.measures, both, other.values[theirs] - first.values[mine], first.chance[mine]
    )


class _Judge:
    """Collects the values of one question."""

    def __init__(self, question: Question, ks: tuple[int, ...]) -> None:
        self._codes = _codes(question.labels)
        self._owners = None if question.without is None else _codes(question.without)
        self._ks = np.array(ks, dtype=np.int64)
        self.length = len(self._codes)
        if self._owners is not None and len(self._owners) != self.length:
            raise ValueError(f"{self.length} labels, but {len(self._owners)} owners to be left out")
        self._seeds: list[int] = []
        self._rows: list[NDArray[np.float64]] = []

    def add(self, seed: int, order: Rows) -> None:
        """Take in the order (n - 1,) of all other tracks from one seed."""
        code = self._codes[seed]
        if code < 0:
            return
        hits = self._codes[order] == code
        if self._owners is not None and self._owners[seed] >= 0:
            hits = hits[self._owners[order] != self._owners[seed]]
        ranks = np.flatnonzero(hits) + 1
        if len(ranks) == 0:
            return
        within = np.searchsorted(ranks, self._ks, side="right") / np.minimum(self._ks, len(hits))
        average = (np.arange(1, len(ranks) + 1) / ranks).mean()
        self._seeds.append(seed)
        self._rows.append(np.array([*within, average, len(ranks) / len(hits)]))

    def scores(self) -> Scores:
        measures = (*(f"P@{k}" for k in self._ks), "mAP")
        values = np.array(self._rows).reshape(len(self._rows), len(measures) + 1)
        return Scores(
            measures, np.array(self._seeds, dtype=np.int64), values[:, :-1], values[:, -1]
        )


def _codes(labels: Sequence[str]) -> Rows:
    """Equal numbers for equal labels, -1 for none."""
    names, codes = np.unique(np.array(labels, dtype=str), return_inverse=True)
    return np.where(names[codes] == "", -1, codes).astype(np.int64)


def _blocks(seeds: Rows, length: int, values: int) -> Iterator[Rows]:
    size = max(1, values // max(1, length))
    for start in range(0, len(seeds), size):
        yield seeds[start : start + size]


def _in_order(similarity: Vectors, seeds: Rows, *, first: int | None = None) -> Rows:
    """Rows of the others (b, n - 1), or of the `first` of them, nearest first, then by row."""
    count = similarity.shape[1]
    # 0 is added because -0 equals it but has other bits.
    bits = (similarity.astype(np.float32) + np.float32(0)).view(np.uint32)
    # Bits of floats as integers that grow as the floats fall. With the row below them they are
    # all different, so that any sort is a stable one: 18 times faster than a stable argsort.
    falling = np.where(bits >> 31, bits, ~bits & np.uint32(0x7FFFFFFF))
    keys = falling.astype(np.uint64) << np.uint64(32) | np.arange(count, dtype=np.uint64)
    keys[np.arange(len(seeds)), seeds] = np.uint64(2**64 - 1)
    if first is not None and first < count:
        keys = np.partition(keys, first, axis=1)[:, :first]
    keys.sort(axis=1)
    return (keys[:, : count - 1] & np.uint64(0xFFFFFFFF)).astype(np.int64)


def _skewness(occurrences: NDArray[np.int64]) -> float:
    return 0.0 if np.ptp(occurrences) == 0 else float(skew(occurrences))
