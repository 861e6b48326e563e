"""Nearest tracks of a library: the answer for a query profile, and plain rows for many queries.

Candidates come from the vector index and are widened until enough of them may be answers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from indexer.vectors.half_precision import inner_products
from recommender.retrieval.answers import Answer, Explanation, NearDuplicate, Neighbour
from recommender.retrieval.explanations import explain, explain_words
from recommender.retrieval.near_duplicates import own_recordings
from recommender.retrieval.ranking import Candidates, Ranked, Ranking, rank
from recommender.retrieval.where import EVERYTHING
from recommender.retrieval.words.steering import POOL, steer, steering_title, word_shifts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from indexer.catalog.records import Track
    from recommender.retrieval.filters import Selection
    from recommender.retrieval.seeds import QueryProfile, Seed
    from recommender.retrieval.snapshot import Snapshot
    from recommender.retrieval.where import Where
    from recommender.retrieval.words.steering import Steered
    from recommender.retrieval.words.vocabulary import Word

MARGIN = 8
"""Candidates fetched beyond n, so that most questions need one search."""
SPARE = 4
"""Candidates that words choose first, as a multiple of those that are looked at more closely."""
MOST_CANDIDATES = 4_000
"""Candidates looked at for a few answers under caps; what is further away is not alike."""

MAKESHIFT_NOTE = (
    "every track was compared, which is slower, until the file of vectors has been made again "
    "(`soundalike rebuild`)"
)


def retrieve(
    snapshot: Snapshot,
    profile: QueryProfile,
    where: Where | None,
    ranking: Ranking,
    n: int,
    *,
    words: Sequence[Word] = (),
    include_same: bool,
    why: bool,
) -> Answer:
    """The n tracks most relevant to a query profile; fewer, with a note, where too few may be.

    Parameters
    ----------
    words : sequence of Word
        Those that steer: see `recommender.retrieval.words.steering`.
    include_same : bool
        Whether the liked seeds and other encodings of their recordings may be answers.
    why : bool
        Whether each neighbour says what it has in common with its nearest liked seed.

    Raises
    ------
    InvalidOption
        The filter names a tag that the model does not have.
    """
    selection = snapshot.select(where)
    seeds = profile.disliked if include_same else profile.liked + profile.disliked
    most = max(MOST_CANDIDATES, 4 * n)
    width = ranking.candidate_count(n) + len(seeds)
    while True:
        candidates = _candidates(snapshot, profile, selection, seeds, ranking, words, width)
        ranked = rank(candidates, n, ranking, seeds)
        by_cosine = profile.is_plain and not words
        enough = len(ranked.rows) >= n or (ranked.below > 0 and by_cosine)
        if enough or candidates.complete or len(candidates.tracks) >= most:
            break
        width *= 4
    tracks = [candidates.tracks[row] for row in ranked.rows]
    explanations: list[Explanation | None] = [None] * len(tracks)
    if why:
        explanations[:] = explain(snapshot, profile, tracks, candidates.seed_cosines[ranked.rows])
    if candidates.steered is not None:
        steered = candidates.steered.at(ranked.rows)
        shifts = explain_words(snapshot, words, tracks, steered.percentiles, steered.moved)
        explanations = [
            replace(one or Explanation(), words=of_one)
            for one, of_one in zip(explanations, shifts, strict=True)
        ]
    neighbours = _neighbours(candidates, ranked, explanations)
    note = None
    if len(neighbours) < n:
        total = len(snapshot.index)
        note = _shortage(len(neighbours), n, selection, ranking, ranked, total)
    if snapshot.index.is_makeshift:
        note = MAKESHIFT_NOTE if note is None else f"{note}; {MAKESHIFT_NOTE}"
    return Answer(steering_title(profile.label, words), neighbours, note)


def nearest(
    snapshot: Snapshot,
    queries: NDArray[np.float32],
    n: int,
    where: Where | None = None,
    *,
    tracks: Sequence[Track] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The n tracks nearest to each query (q, dim) that a filter keeps.

    Parameters
    ----------
    tracks : q tracks, optional
        Those that the queries are the vectors of: their recordings are left out of their rows.

    Returns
    -------
    ids : int64 (q, m), best first; -1 where a row has fewer than m, the smaller of n and what
        the filter keeps
    cosines : float32 (q, m); NaN where the id is -1

    Raises
    ------
    InvalidOption
        The filter names a tag that the model does not have.
    """
    selection = snapshot.select(where)
    m = min(n, selection.count)
    ids = np.full((len(queries), m), -1, dtype=np.int64)
    cosines = np.full(ids.shape, np.nan, dtype=np.float32)
    limit = selection.search_count
    width = n + min(len(selection.excluded), MARGIN) + (0 if tracks is None else MARGIN)
    open_rows = np.arange(len(queries))
    while len(open_rows) and limit:
        found, close = snapshot.index.search(
            queries[open_rows], min(width, limit), among=selection.subset
        )
        keep = ~np.isin(found, selection.excluded)
        if tracks is not None:
            seen, rows = np.unique(found, return_inverse=True)
            keep &= ~own_recordings(
                [tracks[row] for row in open_rows.tolist()],
                snapshot.catalog.require_tracks(seen.tolist()),
                rows.reshape(found.shape),
                close,
                median_random_cosine=snapshot.median_random_cosine,
            )
        for row, *values, kept in zip(open_rows, found, close, keep, strict=True):
            row_ids, row_cosines = (value[kept][:m] for value in values)
            ids[row, : len(row_ids)], cosines[row, : len(row_ids)] = row_ids, row_cosines
        if width >= limit:
            break
        open_rows = open_rows[ids[open_rows, -1] < 0]
        width *= 4
    return ids, cosines


def nearest_steered(
    snapshot: Snapshot,
    queries: NDArray[np.float32],
    n: int,
    where: Where | None,
    words: Sequence[Word],
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Of the `POOL` nearest to each query (q, dim), or more, those n that words choose.

    Returns
    -------
    ids : int64 (q, m)
        The best by cosine and words first; m is the smaller of n and what the filter keeps.
    cosines : float32 (q, m)

    Raises
    ------
    InvalidOption
        The filter names a tag that the model does not have.
    """
    ids, cosines = nearest(snapshot, queries, max(n, POOL), where)
    if not ids.size:
        return ids, cosines
    percentiles = snapshot.words.percentiles_of(words, ids.ravel())
    shifts = word_shifts(percentiles, median_random_cosine=snapshot.median_random_cosine)
    order = np.lexsort((ids, -(cosines + shifts.sum(axis=1).reshape(ids.shape))))[:, :n]
    return np.take_along_axis(ids, order, axis=1), np.take_along_axis(cosines, order, axis=1)


def _candidates(
    snapshot: Snapshot,
    profile: QueryProfile,
    selection: Selection,
    seeds: Sequence[Seed],
    ranking: Ranking,
    words: Sequence[Word],
    width: int,
) -> Candidates:
    """The `width` nearest to each query, without what is excluded and the seeds themselves.

    With words, the `width` most relevant of so many of the nearest that words have a choice.
    """
    limit = selection.search_count
    wanted = max(width, POOL) if words else width
    searched = min(wanted + min(len(selection.excluded), MARGIN), limit)
    complete = searched == limit
    steered = None
    if words and limit:
        ids, steered = _steered_pool(snapshot, profile, selection, seeds, words, searched)
        best = np.sort(np.argsort(-steered.relevance, kind="stable")[: SPARE * width])
        ids, steered = ids[best], steered.at(best)
    elif limit:
        found, _ = snapshot.index.search(profile.queries, searched, among=selection.subset)
        ids = np.unique(found)
        if len(selection.excluded):
            ids = np.setdiff1d(ids, selection.excluded, assume_unique=True)
    else:
        ids = np.empty(0, np.int64)
    vectors = snapshot.index.reconstruct(ids)
    seed_cosines, cosines, relevance = profile.compare(vectors)
    if ranking.local_scaling:
        relevance = snapshot.local_scale.relevance(relevance, vectors)
    if steered is not None:
        relevance = (relevance + steered.shifts.sum(axis=1)).astype(np.float32)
    order = np.lexsort((ids, -relevance))
    if words and len(order) > width:
        order, complete = order[:width], False
    ids, vectors = ids[order], vectors[order]
    tracks = snapshot.catalog.require_tracks(ids.tolist())
    of_seeds = np.array([inner_products(vectors, seed.vector) for seed in seeds], np.float32)
    are_seeds = own_recordings(
        seeds,
        tracks,
        np.tile(np.arange(len(tracks)), (len(seeds), 1)),
        of_seeds.reshape(len(seeds), len(tracks)),
        median_random_cosine=snapshot.median_random_cosine,
    )
    fresh: NDArray[np.bool_] = np.asarray(~are_seeds.any(axis=0), np.bool_)
    kept = order[fresh]
    return Candidates(
        [track for track, keep in zip(tracks, fresh.tolist(), strict=True) if keep],
        vectors[fresh],
        relevance[kept],
        seed_cosines[kept],
        cosines[kept],
        snapshot.percentiles.percentile(cosines[kept]),
        complete=complete,
        median_random_cosine=snapshot.median_random_cosine,
        steered=None if steered is None else steered.at(kept),
    )


def _steered_pool(
    snapshot: Snapshot,
    profile: QueryProfile,
    selection: Selection,
    seeds: Sequence[Seed],
    words: Sequence[Word],
    searched: int,
) -> tuple[NDArray[np.int64], Steered]:
    """Ids, ascending, of the nearest to each query, and what words do to them."""
    found, close = snapshot.index.search(profile.queries, searched, among=selection.subset)
    ids, rows = np.unique(found, return_inverse=True)
    nearest_query = np.full(len(ids), -np.inf, np.float32)
    np.maximum.at(nearest_query, rows.ravel(), close.ravel())
    # A seed takes no place from those that words move.
    own = [seed.track.id for seed in seeds if seed.track is not None]
    kept = ~np.isin(ids, np.concatenate([selection.excluded, np.array(own, np.int64)]))
    return ids[kept], steer(
        snapshot.words.percentiles_of(words, ids[kept]),
        nearest_query[kept],
        median_random_cosine=snapshot.median_random_cosine,
    )


def _neighbours(
    candidates: Candidates, ranked: Ranked, explanations: Sequence[Explanation | None]
) -> tuple[Neighbour, ...]:
    def near_duplicate(row: int) -> NearDuplicate:
        track = candidates.tracks[row]
        return NearDuplicate(
            track.id, track.key, track.title, track.artist, float(candidates.cosines[row])
        )

    neighbours = []
    for row, explanation in zip(ranked.rows, explanations, strict=True):
        track, score = candidates.tracks[row], float(candidates.scores[row])
        neighbours.append(
            Neighbour(
                track.id,
                track.key,
                track.title,
                track.artist,
                float(candidates.cosines[row]),
                None if np.isnan(score) else score,
                tuple(near_duplicate(other) for other in ranked.near_duplicates.get(row, ())),
                explanation,
            )
        )
    return tuple(neighbours)


def _shortage(
    found: int, n: int, selection: Selection, ranking: Ranking, ranked: Ranked, total: int
) -> str:
    """One sentence on why there are fewer than n."""
    reasons = []
    if selection.where != EVERYTHING and selection.count < total:
        reasons.append(
            f"the filter ({selection.where}) keeps {selection.count or 'none'} of {total}"
        )
    elif total <= n:
        reasons.append(f"the catalog holds {total} in all")
    if ranked.below:
        reasons.append(f"the others are below the score {ranking.min_score:g}")
    reasons += [f"{count} {rule}" for rule, count in ranked.left_out.items()]
    return f"{found or 'none'} of the {n} asked for: {', '.join(reasons)}"
