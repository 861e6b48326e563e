"""Top-n items: largest inner products of queries with items, as ids, scores and routes."""

from __future__ import annotations

import enum
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from recommender.cold_start.ids import Ids

BLOCK = 1 << 22
"""Scores in memory at once in each thread: 16 MiB."""


class Route(enum.StrEnum):
    """Where an item's factors come from."""

    PLAYS = "plays"
    BLEND = "plays and sound"
    ARTIST = "artist and sound"
    SOUND = "sound"
    NONE = "nothing"


ROUTES = np.array(Route, dtype=object)
"""Routes are stored as indices into this array; the last, also -1, is `Route.NONE`."""


def route_codes(routes: Iterable[Route]) -> NDArray[np.int8]:
    """Indices of routes in `ROUTES` as int8; -1 for `Route.NONE`."""
    numbers = {route: index for index, route in enumerate(Route)} | {Route.NONE: -1}
    return np.array([numbers[route] for route in routes], dtype=np.int8)


class RankedItems(tuple[Any, Any]):
    """The pair (ids, scores), best first, with the route of each item.

    Attributes
    ----------
    ids : (n,) or (queries, n)
        The caller's names; a row of several that has fewer ends in -1 (int) or None.
    scores : float32, of the same shape
        NaN where there is no id.
    routes : Route objects, of the same shape
    """

    routes: NDArray[np.object_]


def rank_items(
    rows: NDArray[np.int64],
    scores: NDArray[np.float32],
    *,
    items: Ids,
    routes: NDArray[np.int8],
    asked: NDArray[np.bool_],
    one: bool,
) -> RankedItems:
    """Rows of items and their scores as `RankedItems` in the caller's names.

    Parameters
    ----------
    rows, scores : (answered queries, n), -1 and NaN where there are fewer
    routes : int8 (items,)
    asked : bool (queries,)
        Which queries were answered; the others get empty rows.
    one : bool
        One query: flat arrays, only as long as there are items.
    """
    if not asked.all():
        whole = (
            np.full((len(asked), rows.shape[1]), -1),
            np.full((len(asked), rows.shape[1]), np.nan, np.float32),
        )
        whole[0][asked], whole[1][asked] = rows, scores
        rows, scores = whole
    if one:
        there = rows[0] >= 0
        rows, scores = rows[0][there], scores[0][there]
    answer = RankedItems((items.names(rows), scores))
    answer.routes = ROUTES[np.where(rows < 0, -1, routes[rows])]
    return answer


def largest_products(
    queries: NDArray[np.float32],
    items: NDArray[np.float32],
    n: int,
    *,
    without: csr_matrix | None = None,
    hidden: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rows of the n items with the largest inner product with each query, and the products.

    Parameters
    ----------
    queries : float32 (q, factors)
    items : float32 (items, factors)
    n : int
    without : csr (q, items), optional
        Items to leave out of each query's answer.
    hidden : int64, optional
        Items to leave out of every answer.

    Returns
    -------
    rows : int64 (q, n), best first, equal scores by row; -1 where there are fewer
    scores : float32 (q, n), NaN where there are fewer
    """
    import faiss

    count = len(queries)
    n = min(n, len(items))
    rows, scores = np.full((count, n), -1), np.full((count, n), np.nan, np.float32)
    if n == 0 or count == 0:
        return rows, scores
    # Not BLAS's threads but our own: implicit asks for a BLAS of one thread.
    workers = faiss.omp_get_max_threads()
    size = max(1, min(-(-count // workers), BLOCK // len(items)))

    def stripe(worker: int) -> None:
        # For this thread only, whatever the setting of the process is.
        faiss.omp_set_num_threads(1)
        buffer = np.empty((size, len(items)), np.float32)
        for start in range(worker * size, count, workers * size):
            stop = min(count, start + size)
            block = np.matmul(queries[start:stop], items.T, out=buffer[: stop - start])
            if without is not None:
                ends = without.indptr[start : stop + 1]
                own = np.repeat(np.arange(stop - start), np.diff(ends))
                block[own, without.indices[ends[0] : ends[-1]]] = -np.inf
            if hidden is not None:
                block[:, hidden] = -np.inf
            scores[start:stop], rows[start:stop] = faiss.kmax(block, n)

    # One thread of its own even for one query, so that this one keeps its setting.
    with ThreadPoolExecutor(min(workers, -(-count // size))) as pool:
        list(pool.map(stripe, range(min(workers, -(-count // size)))))
    scores[rows < 0] = np.nan
    order = np.lexsort((rows, -scores), axis=1)
    return np.take_along_axis(rows, order, 1), np.take_along_axis(scores, order, 1)
