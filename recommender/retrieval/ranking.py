"""From a pool of candidates to the n that are shown: what to leave out, fold and spread."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from indexer.errors import InvalidOption
from recommender.retrieval.lookup import fold, whole_number
from recommender.retrieval.near_duplicates import TrackFacts, all_apart, group_heads
from recommender.retrieval.rerank import cap_groups, maximal_marginal_relevance

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

    from indexer.catalog.reader import Track
    from recommender.retrieval.seeds import Seed

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
        Whether near-duplicates (another version, another encoding, a cut) are folded into one
        entry, and those of a seed left out.
    min_score : float or None
        Least `Neighbour.score`.
    local_scaling : bool
        Whether tracks that are near to everything lose their advantage (local scaling, see
        `recommender.retrieval.local_scaling`): more of the library is reached.

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
        for said, limit in (("per artist", self.per_artist), ("per album", self.per_album)):
            if limit is not None and whole_number(limit, said) < 1:
                raise InvalidOption(f"{limit} {said} leaves nothing: allow at least one")
        if self.min_score is not None and not 0.0 <= self.min_score <= 1.0:
            raise InvalidOption(f"the least score is {self.min_score}: it goes from 0 to 1")

    def pool(self, n: int) -> int:
        """How many candidates to begin with for n answers."""
        if self.diversity > 0:
            return max(n, min(1_000, max(200, 20 * n)))
        if self.local_scaling:
            return 6 * n + 8
        if self.per_artist is not None or self.per_album is not None:
            return 4 * n + 8
        return n + 8


PLAIN = Ranking()
"""The most relevant, each with its versions folded in."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """Tracks that may become answers, the most relevant first.

    Attributes
    ----------
    tracks : c tracks
    vectors : float32 (c, dim)
    relevance : float32 (c,)
    cosines : float32 (c,)
        What is told of each.
    scores : float64 (c,)
        Percentiles of the cosines; NaN where nothing is known of random pairs.
    usual : float
        The median cosine of random pairs.
    """

    tracks: Sequence[Track]
    vectors: NDArray[np.float32]
    relevance: NDArray[np.float32]
    cosines: NDArray[np.float32]
    scores: NDArray[np.float64]
    median_random_cosine: float


@dataclass
class Ranked:
    """Which candidates are shown.

    Attributes
    ----------
    places : list of int
        Of the candidates, best first.
    versions : dict of int to list of int
        For a place, those folded into it.
    lost : dict of str to int
        How many candidates each other rule left out, in words.
    below : int
        How many were below the least score.
    """

    places: list[int]
    versions: dict[int, list[int]] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    below: int = 0


def ranked(candidates: Candidates, n: int, ranking: Ranking, seeds: Sequence[Seed]) -> Ranked:
    """Choose up to n candidates; near-duplicates of `seeds` are left out if any are folded."""
    order = np.arange(len(candidates.tracks))
    result = Ranked([])
    if ranking.min_score is not None:
        kept = order[~(candidates.scores < ranking.min_score)]
        result.below = len(order) - len(kept)
        order = kept
    if ranking.collapse and len(order):
        order = _fold(candidates, order, seeds, result)
    for limit, group_of, said in (
        (ranking.per_artist, _artist, "artist"),
        (ranking.per_album, _album, "album"),
    ):
        if limit is not None:
            kept = cap_groups(order, [group_of(track) for track in candidates.tracks], limit)
            _lose(result, f"beyond {limit} per {said}", len(order) - len(kept))
            order = kept
    chosen = maximal_marginal_relevance(
        candidates.relevance[order], candidates.vectors[order], n, diversity=ranking.diversity
    )
    result.places = order[chosen].tolist()
    return result


def _fold(
    candidates: Candidates, order: NDArray[np.int64], seeds: Sequence[Seed], result: Ranked
) -> NDArray[np.int64]:
    """The places that represent themselves; the others go to `result`."""
    represented: list[int] = []
    of_seeds = 0
    for start in range(0, len(order), FOLDED_TOGETHER):
        places = order[start : start + FOLDED_TOGETHER]
        tracks = [candidates.tracks[place] for place in places.tolist()]
        vectors = np.concatenate(
            [*(seed.vector[np.newaxis] for seed in seeds), candidates.vectors[places]]
        )
        recordings = [
            *(seed.recording for seed in seeds),
            *(track.recording_id for track in tracks),
        ]
        if all_apart(vectors, recordings, median_random_cosine=candidates.median_random_cosine):
            represented += places.tolist()
            continue
        heads = group_heads(
            vectors,
            TrackFacts.of([*seeds, *tracks]),
            median_random_cosine=candidates.median_random_cosine,
        )[len(seeds) :]
        for place, head in zip(places.tolist(), (heads - len(seeds)).tolist(), strict=True):
            if head < 0:
                of_seeds += 1
            elif places[head] == place:
                represented.append(place)
            else:
                result.versions.setdefault(int(places[head]), []).append(place)
    _lose(result, "left out as versions of the seed", of_seeds)
    _lose(result, "folded into others as versions", len(order) - of_seeds - len(represented))
    return np.array(represented, dtype=np.int64)


def _lose(result: Ranked, why: str, count: int) -> None:
    if count:
        result.lost[why] = count


def _artist(track: Track) -> Hashable | None:
    return fold(track.artist or track.album_artist or "").strip() or None


def _album(track: Track) -> Hashable | None:
    if not track.album:
        return None
    # Many albums are called "Greatest Hits"; compilations often name no artist of their own.
    return fold(track.album), fold(track.album_artist or "") or os.path.dirname(track.path)
