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

QUERIES, ITEMS = 256, 4096
"""Queries and items whose scores are in memory at once in each thread, 4 MiB: caches hold that."""
LEAST_ROUNDS = 16
"""Items at once, in numbers of items that are asked for."""


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
    lengths: NDArray[np.float32] | None = None,
    without: csr_matrix | None = None,
    hidden: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rows of the n items with the largest inner product with each query, and the products.

    Parameters
    ----------
    queries : float32 (q, factors)
    items : float32 (items, factors)
    n : int
    lengths : float32 (items,), optional
        What each item's products are divided by.
    without : csr (q, items), optional
        Items to leave out of each query's answer.
    hidden : int64, optional
        Items to leave out of every answer, in order.

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
    size = min(-(-count // workers), QUERIES, max(1, QUERIES * ITEMS // (LEAST_ROUNDS * n)))

    def answer(start: int) -> None:
        stop = min(count, start + size)
        rows[start:stop], scores[start:stop] = _largest_in_turn(
            queries[start:stop],
            items,
            n,
            lengths,
            None if without is None else without[start:stop],
            np.empty(0, np.int64) if hidden is None else hidden,
        )

    starts = range(0, count, size)
    if len(starts) == 1:
        answer(0)
    else:
        with ThreadPoolExecutor(min(workers, len(starts))) as pool:
            list(pool.map(answer, starts))
    return rows, scores


def _largest_in_turn(
    queries: NDArray[np.float32],
    items: NDArray[np.float32],
    n: int,
    lengths: NDArray[np.float32] | None,
    without: csr_matrix | None,
    hidden: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """As `largest_products`, some items after the others: few beat the best n so far."""
    count, step = len(queries), max(ITEMS, LEAST_ROUNDS * n)
    rows = np.full((count, n), -1)
    best = np.full((count, n), -np.inf, np.float32)
    left_out = _by_item(without)
    buffer = np.empty((count, min(step, len(items))), np.float32)
    for start in range(0, len(items), step):
        stop = min(len(items), start + step)
        block = np.matmul(queries, items[start:stop].T, out=buffer[:, : stop - start])
        if lengths is not None:
            block /= lengths[start:stop]
        first, last = np.searchsorted(left_out[0], (start, stop))
        block[left_out[1][first:last], left_out[0][first:last] - start] = -np.inf
        first, last = np.searchsorted(hidden, (start, stop))
        block[:, hidden[first:last] - start] = -np.inf
        _take_better(rows, best, block, start)
    best[rows < 0] = np.nan
    return rows, best


def _by_item(without: csr_matrix | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Items and queries of the entries, in order of the items."""
    if without is None:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    query = np.repeat(np.arange(without.shape[0]), np.diff(without.indptr))
    order = np.argsort(without.indices, kind="stable")
    return without.indices[order].astype(np.int64), query[order]


def _take_better(
    rows: NDArray[np.int64],
    best: NDArray[np.float32],
    block: NDArray[np.float32],
    start: int,
) -> None:
    """Put items of a block (queries, items from `start`) among the best so far, in order."""
    n = best.shape[1]
    if np.isneginf(best[:, -1]).any():
        depth = min(n, block.shape[1])
        kth = np.partition(block, block.shape[1] - depth, axis=1)[:, -depth, None]
        better = block >= np.maximum(kth, np.finfo(np.float32).min)
    else:
        better = block > best[:, -1:]
    query, column = np.divmod(np.flatnonzero(better), block.shape[1])
    if len(query) == 0:
        return
    counts = np.bincount(query, minlength=len(block))
    which = np.flatnonzero(counts)
    number = np.arange(len(query)) - np.repeat(np.cumsum(counts) - counts, counts)
    found = np.full((len(block), counts.max()), -np.inf, np.float32)
    columns = np.full(found.shape, -1)
    found[query, number], columns[query, number] = block[query, column], column + start
    # Items so far have lower rows, and a stable sort keeps equal scores in that order.
    scores = np.hstack([best[which], found[which]])
    order = np.argsort(-scores, axis=1, kind="stable")[:, :n]
    best[which] = np.take_along_axis(scores, order, 1)
    rows[which] = np.take_along_axis(np.hstack([rows[which], columns[which]]), order, 1)
