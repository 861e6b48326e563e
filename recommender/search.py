"""Candidates from the vector index: widened until enough of them may be answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recommender.rerank import SAME_COSINE, SAME_DURATION_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from indexer.library import Library
    from recommender.compiled import Kept

MARGIN = 8
"""Candidates fetched beyond n, so that most questions need one search."""


def nearest_but_same(
    library: Library,
    queries: NDArray[np.float32],
    n: int,
    kept: Kept,
    same_as: Sequence[tuple[int, float]] | None = None,
) -> tuple[list[NDArray[np.int64]], list[NDArray[np.float32]]]:
    """The n best of each query (q, dim) that a filter keeps and that are not its own recording.

    Parameters
    ----------
    same_as : q pairs of (recording, duration in seconds), optional
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
    width = n + min(len(kept.excluded), MARGIN) + (0 if same_as is None else MARGIN)
    open_rows = np.arange(len(queries))
    while len(open_rows) and limit:
        ids, cosines = index.search(queries[open_rows], min(width, limit), among=kept.subset)
        keep = ~np.isin(ids, kept.excluded)
        if same_as is not None:
            keep &= ~_same(library, ids, cosines, [same_as[row] for row in open_rows.tolist()])
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
    library: Library,
    ids: NDArray[np.int64],
    cosines: NDArray[np.float32],
    seeds: Sequence[tuple[int, float]],
) -> NDArray[np.bool_]:
    """Which answers (q, k) are the recording of their row's seed, encoded again or not."""
    of = library.catalog.recordings_of(np.unique(ids).tolist())
    facts = np.array([[of[i] for i in row] for row in ids.tolist()]).reshape(*ids.shape, 2)
    seed = np.array(seeds)[:, np.newaxis, :]
    return same_recording(
        cosines, facts[..., 0], facts[..., 1], recording=seed[..., 0], duration_s=seed[..., 1]
    )


def same_recording(
    cosines: NDArray[np.float32],
    recordings: NDArray[np.integer],
    durations_s: NDArray[np.floating],
    *,
    recording: int | NDArray[np.integer],
    duration_s: float | NDArray[np.floating],
) -> NDArray[np.bool_]:
    """Whether candidates are the recording of a seed, encoded again or not, of any shape."""
    near = cosines >= SAME_COSINE
    alike = near & (np.abs(durations_s - duration_s) <= SAME_DURATION_S)
    same: NDArray[np.bool_] = alike | (recordings == recording)
    return same
