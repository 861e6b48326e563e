"""Ranking of candidates: which n are answers, which are left out, which are folded into others."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from indexer.errors import InvalidOption
from recommender.retrieval.lookup import whole_number
from recommender.retrieval.names import album_key, artist_of, is_placeholder
from recommender.retrieval.near_duplicates import TrackFacts, group_heads, have_others_near

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from indexer.catalog.records import Track
    from recommender.retrieval.seeds import Seed
    from recommender.retrieval.words.steering import Steered

FOLDED_TOGETHER = 2_000
"""So many candidates in a row are compared with each other; all of a longer list would take
minutes."""


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """How an answer is made of the candidates.

    Attributes
    ----------
    diversity : float
        0 takes the most relevant; towards 1, each is chosen for being unlike those before it
        (maximal marginal relevance).
    per_artist, per_album : int or None
        At most so many of one artist or album; None: any number.
    collapse : bool
        Whether near-duplicates (another encoding, a cut, another take) are folded into one
        neighbour, and those of a seed left out.
    min_score : float or None
        Least `Neighbour.score`.
    local_scaling : bool
        Whether hubs, tracks that are near to everything, lose their advantage (see
        `recommender.retrieval.library_statistics`): more of the library is reached.

    Raises
    ------
    InvalidOption
        A value makes no sense.
    """

    diversity: float = 0.0
    per_artist: int | None = None
    per_album: int | None = None
    collapse: bool = True
    min_score: float | None = None
    local_scaling: bool = False

    def __post_init__(self) -> None:
        if not 0.0 <= self.diversity <= 1.0:
            raise InvalidOption(f"diversity is {self.diversity}: it goes from 0 to 1")
        for label, limit in (("per artist", self.per_artist), ("per album", self.per_album)):
            if limit is not None and whole_number(limit, label) < 1:
                raise InvalidOption(f"{limit} {label} leaves nothing: allow at least one")
        if self.min_score is not None and not 0.0 <= self.min_score <= 1.0:
            raise InvalidOption(f"the least score is {self.min_score}: it goes from 0 to 1")

    def candidate_count(self, n: int) -> int:
        """How many candidates to begin with for n answers."""
        if self.diversity > 0:
            return max(n, min(1_000, max(200, 20 * n)))
        if self.local_scaling:
            return 6 * n + 8
        if self.per_artist is not None or self.per_album is not None:
            return 4 * n + 8
        return n + 8


PLAIN = Ranking()
"""The most relevant, each with its near-duplicates folded in."""
RADIO = Ranking(per_artist=3, per_album=2)
"""Of songs that are played one after the other: few of one artist and of one album."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """Tracks that may become answers, the most relevant first.

    Attributes
    ----------
    tracks : c tracks
    vectors : float32 (c, dim)
    relevance : float32 (c,)
    seed_cosines : float32 (c, liked)
        Cosine of each candidate with each liked seed.
    cosines : float32 (c,)
        The cosine of each that an answer gives.
    scores : float64 (c,)
        Percentiles of the cosines; NaN where the library has too few pairs.
    complete : bool
        Whether there are no more candidates.
    median_random_cosine : float
    steered : Steered or None
        What words do to each, which is part of the relevance; None without words.
    """

    tracks: Sequence[Track]
    vectors: NDArray[np.float32]
    relevance: NDArray[np.float32]
    seed_cosines: NDArray[np.float32]
    cosines: NDArray[np.float32]
    scores: NDArray[np.float64]
    complete: bool
    median_random_cosine: float
    steered: Steered | None = None


@dataclass
class Ranked:
    """Which candidates are answers, and what became of the others.

    Attributes
    ----------
    rows : list of int
        Rows of the candidates that are answers, best first.
    near_duplicates : dict of int to list of int
        For a row, those folded into it.
    left_out : dict of str to int
        How many candidates each other rule left out, by its words.
    below : int
        How many were below the least score.
    """

    rows: list[int]
    near_duplicates: dict[int, list[int]] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    below: int = 0


def rank(candidates: Candidates, n: int, ranking: Ranking, seeds: Sequence[Seed]) -> Ranked:
    """Choose up to n candidates; near-duplicates of `seeds` are left out if any are folded."""
    order = np.arange(len(candidates.tracks))
    result = Ranked([])
    if ranking.min_score is not None:
        kept = order[~(candidates.scores < ranking.min_score)]
        result.below = len(order) - len(kept)
        order = kept
    if ranking.collapse and len(order):
        order = _fold(candidates, order, seeds, result)
    for limit, group_of, label in (
        (ranking.per_artist, artist_of, "artist"),
        (ranking.per_album, _album, "album"),
    ):
        if limit is not None:
            kept = cap_groups(order, [group_of(track) for track in candidates.tracks], limit)
            _count_left_out(result, f"beyond {limit} per {label}", len(order) - len(kept))
            order = kept
    chosen = maximal_marginal_relevance(
        candidates.relevance[order], candidates.vectors[order], n, diversity=ranking.diversity
    )
    result.rows = order[chosen].tolist()
    return result


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
        Rows in the order of choice; of equals the more relevant comes first, then the first.

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
        Rows of candidates, best first.
    groups : c values, one a candidate
        None, an unknown artist or album, is never capped.
    limit : int
        1 or more.

    Returns
    -------
    int64
        The rows kept, in their order.

    Raises
    ------
    InvalidOption
        The limit is less than 1.
    """
    if limit < 1:
        raise InvalidOption(f"a cap of {limit} leaves nothing: allow at least one of a kind")
    seen: Counter[Hashable] = Counter()
    kept = []
    for row in np.asarray(order, dtype=np.int64).tolist():
        group = groups[row]
        if group is not None:
            seen[group] += 1
            if seen[group] > limit:
                continue
        kept.append(row)
    return np.array(kept, dtype=np.int64)


def _fold(
    candidates: Candidates, order: NDArray[np.int64], seeds: Sequence[Seed], result: Ranked
) -> NDArray[np.int64]:
    """Fold near-duplicates, noting them in `result`; the rows that stand for themselves."""
    heads: list[int] = []
    of_seeds = 0
    for start in range(0, len(order), FOLDED_TOGETHER):
        rows = order[start : start + FOLDED_TOGETHER]
        ones = [*seeds, *(candidates.tracks[row] for row in rows.tolist())]
        vectors = np.concatenate(
            [*(seed.vector[np.newaxis] for seed in seeds), candidates.vectors[rows]]
        )
        near = have_others_near(
            vectors,
            [one.recording_id for one in ones],
            median_random_cosine=candidates.median_random_cosine,
        ).nonzero()[0]
        if not len(near):
            heads += rows.tolist()
            continue
        first = np.arange(len(ones))
        first[near] = near[
            group_heads(
                vectors[near],
                TrackFacts.of([ones[row] for row in near.tolist()]),
                median_random_cosine=candidates.median_random_cosine,
            )
        ]
        first = first[len(seeds) :]
        for row, head in zip(rows.tolist(), (first - len(seeds)).tolist(), strict=True):
            if head < 0:
                of_seeds += 1
            elif rows[head] == row:
                heads.append(row)
            else:
                result.near_duplicates.setdefault(int(rows[head]), []).append(row)
    _count_left_out(result, "left out as near-duplicates of the seed", of_seeds)
    folded = len(order) - of_seeds - len(heads)
    _count_left_out(result, "folded into others as near-duplicates", folded)
    return np.array(heads, dtype=np.int64)


def _count_left_out(result: Ranked, rule: str, count: int) -> None:
    if count:
        result.left_out[rule] = count


def _album(track: Track) -> Hashable | None:
    return None if is_placeholder(track.album) else album_key(track)
