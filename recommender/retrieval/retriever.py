"""From a taste to an answer: candidates fetched, ranked and explained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from indexer.vectors.half_precision import scores
from recommender.retrieval.answers import Answer, Explanation, NearDuplicate, Neighbour
from recommender.retrieval.candidates import MARGIN
from recommender.retrieval.explanations import shared_musical_key, shared_tags, shared_tempo
from recommender.retrieval.library_statistics import LibraryStatistics
from recommender.retrieval.near_duplicates import TrackFacts, is_same_recording, lowest_threshold
from recommender.retrieval.ranking import Candidates, Ranked, Ranking, ranked
from recommender.retrieval.seeds import descriptors_of
from recommender.retrieval.where import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from indexer.catalog.reader import Track
    from indexer.library import Library
    from recommender.retrieval.filters import Selection
    from recommender.retrieval.seeds import QueryProfile, Seed

MOST_CANDIDATES = 4_000
"""Candidates looked at for a few answers under caps; what is further away is not alike."""


@dataclass(frozen=True, eq=False)
class Pool:
    """Candidates, with what was found out on the way.

    Attributes
    ----------
    candidates : Candidates
    cosines : float32 (c, liked)
        Of each candidate with each liked seed.
    whole : bool
        Whether there are no more.
    """

    candidates: Candidates
    cosines: NDArray[np.float32]
    whole: bool


class Answering:
    """Answers for a library. To be used by whoever holds its lock and has refreshed it."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._background = LibraryStatistics(library)

    @property
    def median_random_cosine(self) -> float:
        """The median cosine of random pairs of the library."""
        return self._background.percentiles().median

    def answer(
        self,
        taste: QueryProfile,
        n: int,
        kept: Selection,
        ranking: Ranking,
        *,
        include_same: bool,
        why: bool,
    ) -> Answer:
        """The n tracks for a taste, fewer where a filter or cap leaves fewer, with a note then."""
        seeds = taste.disliked if include_same else taste.liked + taste.disliked
        most = max(MOST_CANDIDATES, 4 * n)
        width = ranking.pool(n) + len(seeds)
        while True:
            pool = self._pool(taste, width, kept, seeds, local_scaling=ranking.local_scaling)
            chosen = ranked(pool.candidates, n, ranking, seeds)
            enough = len(chosen.places) >= n or (chosen.below > 0 and not taste.disliked)
            if enough or pool.whole or len(pool.candidates.tracks) >= most:
                break
            width *= 4
        neighbours = self._neighbours(pool.candidates, chosen)
        if why and neighbours:
            neighbours = self._explained(neighbours, taste, pool, chosen)
        note = None
        if len(neighbours) < n:
            held = len(self._library.index or ())
            note = _starved(len(neighbours), n, kept, ranking, chosen, held)
        return Answer(taste.said, neighbours, note)

    def _pool(
        self,
        taste: QueryProfile,
        width: int,
        kept: Selection,
        seeds: Sequence[Seed],
        *,
        local_scaling: bool,
    ) -> Pool:
        """The `width` nearest to each query, without what is excluded and the seeds themselves."""
        index = self._library.index
        assert index is not None  # noqa: S101 - for the type checker: asked of libraries with one
        limit = kept.count + len(kept.excluded)
        width = min(width + min(len(kept.excluded), MARGIN), limit)
        ids = np.empty(0, np.int64)
        if limit:
            ids = np.unique(index.search(taste.queries, width, among=kept.subset)[0])
        if len(kept.excluded):
            ids = np.setdiff1d(ids, kept.excluded, assume_unique=True)
        vectors = index.reconstruct(ids)
        cosines = taste.cosines(vectors)
        relevance = taste.relevance(vectors, cosines)
        if local_scaling:
            relevance = self._background.local_scale().relevance(relevance, vectors)
        order = np.lexsort((ids, -relevance))
        ids, vectors, cosines = ids[order], vectors[order], cosines[order]
        found = self._library.catalog.tracks(ids.tolist())
        tracks = [found[track_id] for track_id in ids.tolist()]
        fresh = ~self._are_seeds(tracks, vectors, seeds)
        likeness = taste.likeness(cosines)[fresh]
        candidates = Candidates(
            [track for track, keep in zip(tracks, fresh.tolist(), strict=True) if keep],
            vectors[fresh],
            relevance[order][fresh],
            likeness,
            self._background.percentiles().percentile(likeness),
            self.median_random_cosine,
        )
        return Pool(candidates, cosines[fresh], whole=width == limit)

    def _are_seeds(
        self, tracks: Sequence[Track], vectors: NDArray[np.float32], seeds: Sequence[Seed]
    ) -> NDArray[np.bool_]:
        recordings = np.array([track.recording_id for track in tracks], dtype=np.int64)
        least = lowest_threshold(self.median_random_cosine)
        are = np.zeros(len(tracks), dtype=bool)
        for seed in seeds:
            cosines = scores(vectors, seed.vector)
            # Most answers are none: what is known of a track is not gathered in vain.
            (may_be,) = np.nonzero((cosines >= least) | (recordings == seed.recording))
            if len(may_be):
                facts = TrackFacts.of([*(tracks[place] for place in may_be.tolist()), seed])
                are[may_be] |= is_same_recording(
                    cosines[may_be],
                    facts.at(slice(-1)),
                    facts.at(-1),
                    median_random_cosine=self.median_random_cosine,
                )
        return are

    @staticmethod
    def _neighbours(candidates: Candidates, chosen: Ranked) -> tuple[Neighbour, ...]:
        def version(place: int) -> NearDuplicate:
            one = candidates.tracks[place]
            return NearDuplicate(
                one.id, one.key, one.title, one.artist, float(candidates.cosines[place])
            )

        neighbours = []
        for place in chosen.places:
            track, score = candidates.tracks[place], float(candidates.scores[place])
            neighbours.append(
                Neighbour(
                    track.id,
                    track.key,
                    track.title,
                    track.artist,
                    float(candidates.cosines[place]),
                    None if np.isnan(score) else score,
                    tuple(version(other) for other in chosen.versions.get(place, ())),
                )
            )
        return tuple(neighbours)

    def _explained(
        self, neighbours: Sequence[Neighbour], taste: QueryProfile, pool: Pool, chosen: Ranked
    ) -> tuple[Neighbour, ...]:
        """The neighbours, each with what it has in common with its nearest liked seed."""
        model = self._library.model
        assert model is not None  # noqa: S101 - for the type checker: there are answers
        catalog, names, median_random_cosine = (
            self._library.catalog,
            model.tag_names,
            self._background.tags(),
        )
        of_answers = catalog.activations_of([one.id for one in neighbours], model)
        nearest = pool.cosines[chosen.places].argmax(axis=1).tolist()
        explained = []
        for row, (neighbour, place, liked) in enumerate(
            zip(neighbours, chosen.places, nearest, strict=True)
        ):
            seed = taste.liked[liked]
            heard = seed.activations
            if heard is None and seed.track is not None:
                (heard,) = catalog.activations_of([seed.track.id], model)
            own = descriptors_of(pool.candidates.tracks[place])
            explained.append(
                replace(
                    neighbour,
                    why=Explanation(
                        seed.said if len(taste.liked) > 1 else None,
                        ()
                        if heard is None
                        else shared_tags(heard, of_answers[row], median_random_cosine, names),
                        None if seed.descriptors is None else shared_tempo(seed.descriptors, own),
                        None
                        if seed.descriptors is None
                        else shared_musical_key(seed.descriptors, own),
                    ),
                )
            )
        return tuple(explained)


def _starved(
    found: int, n: int, kept: Selection, ranking: Ranking, chosen: Ranked, held: int
) -> str:
    """One sentence on why there are fewer than n."""
    reasons = []
    if kept.where != EVERYTHING and kept.count < held:
        reasons.append(f"the filter ({kept.where}) keeps {kept.count or 'none'} of {held}")
    elif held <= n:
        reasons.append(f"the catalog holds {held} in all")
    if chosen.below:
        reasons.append(f"the others are below the score {ranking.min_score:g}")
    reasons += [f"{count} {why}" for why, count in chosen.lost.items()]
    return f"{found or 'none'} of the {n} asked for: {', '.join(reasons)}"
