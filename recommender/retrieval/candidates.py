"""Candidates from the vector index: widened until enough of them may be answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recommender.retrieval.near_duplicates import TrackFacts, is_same_recording

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from indexer.catalog.reader import Track
    from indexer.library import Library
    from recommender.retrieval.filters import Selection

MARGIN = 8
"""Candidates fetched beyond n, so that most questions need one search."""


@dataclass(frozen=True)
class Own:
    """What the queries of a search are themselves, to be left out of their rows.

    Attributes
    ----------
    tracks : q tracks
    usual : float
        The median cosine of random pairs.
    """

    tracks: Sequence[Track]
    median_random_cosine: float


def nearest_but_same(
    library: Library, queries: NDArray[np.float32], n: int, kept: Selection, own: Own | None = None
) -> tuple[list[NDArray[np.int64]], list[NDArray[np.float32]]]:
    """The n best of each query (q, dim) that a filter keeps and that are not its own recording.

    Parameters
    ----------
    own : Own, optional
        The recording of each query, which is left out of its row.

    Returns
    -------
    ids, cosines : q rows, best first
    """
    index = library.index
    assert index is not None  # noqa: S101 - for the type checker: searched when there is one
    rows: list[NDArray[np.int64]] = [np.empty(0, np.int64)] * len(queries)
    scores: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(queries)
    limit = kept.count + len(kept.excluded)
    width = n + min(len(kept.excluded), MARGIN) + (0 if own is None else MARGIN)
    open_rows = np.arange(len(queries))
    while len(open_rows) and limit:
        ids, cosines = index.search(queries[open_rows], min(width, limit), among=kept.subset)
        keep = ~np.isin(ids, kept.excluded)
        if own is not None:
            of_rows = [own.tracks[row] for row in open_rows.tolist()]
            keep &= ~_same(library, ids, cosines, Own(of_rows, own.median_random_cosine))
        for place, row, score, kept_row in zip(open_rows, ids, cosines, keep, strict=True):
            rows[place], scores[place] = row[kept_row][:n], score[kept_row][:n]
        if width >= limit:
            break
        open_rows = open_rows[[len(rows[place]) < n for place in open_rows]]
        width *= 4
    return rows, scores


def table(
    rows: Sequence[NDArray[np.int64]], scores: Sequence[NDArray[np.float32]], *, width: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rows as two arrays (q, width), filled up with -1 and NaN."""
    ids = np.full((len(rows), width), -1, dtype=np.int64)
    cosines = np.full(ids.shape, np.nan, dtype=np.float32)
    for place, (row, score) in enumerate(zip(rows, scores, strict=True)):
        ids[place, : len(row)], cosines[place, : len(row)] = row, score
    return ids, cosines


def _same(
    library: Library, ids: NDArray[np.int64], cosines: NDArray[np.float32], own: Own
) -> NDArray[np.bool_]:
    """Which answers (q, k) are the recording of their row's query."""
    held, places = np.unique(ids, return_inverse=True)
    found = library.catalog.tracks(held.tolist())
    facts = TrackFacts.of([*(found[track_id] for track_id in held.tolist()), *own.tracks])
    queries = np.arange(len(held), len(held) + len(own.tracks))[:, np.newaxis]
    return is_same_recording(
        cosines,
        facts.at(places.reshape(ids.shape)),
        facts.at(queries),
        median_random_cosine=own.median_random_cosine,
    )
