"""The best items of many listeners at once: inner products, block by block, and their largest."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

BLOCK = 1 << 22
"""Scores in memory at once in each thread: 16 MiB."""


def best(
    queries: NDArray[np.float32],
    items: NDArray[np.float32],
    n: int,
    *,
    without: csr_matrix | None = None,
    hidden: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The n items with the largest inner product with each query.

    Parameters
    ----------
    queries : float32 (q, factors)
    items : float32 (items, factors)
    n : int
    without : csr (q, items), optional
        Items that a query is not to get.
    hidden : int64, optional
        Items that no query is to get.

    Returns
    -------
    places : int64 (q, n), best first, equal scores by place; -1 where there are fewer
    scores : float32 (q, n), NaN where there are fewer
    """
    import faiss

    count = len(queries)
    n = min(n, len(items))
    places, scores = np.full((count, n), -1), np.full((count, n), np.nan, np.float32)
    if n == 0 or count == 0:
        return places, scores
    # Not BLAS's threads but our own: implicit asks for a BLAS of one thread.
    workers = faiss.omp_get_max_threads()
    rows = max(1, min(-(-count // workers), BLOCK // len(items)))

    def stripe(worker: int) -> None:
        # For this thread only, whatever the setting of the process is.
        faiss.omp_set_num_threads(1)
        buffer = np.empty((rows, len(items)), np.float32)
        for start in range(worker * rows, count, workers * rows):
            stop = min(count, start + rows)
            block = np.matmul(queries[start:stop], items.T, out=buffer[: stop - start])
            if without is not None:
                ends = without.indptr[start : stop + 1]
                own = np.repeat(np.arange(stop - start), np.diff(ends))
                block[own, without.indices[ends[0] : ends[-1]]] = -np.inf
            if hidden is not None:
                block[:, hidden] = -np.inf
            scores[start:stop], places[start:stop] = faiss.kmax(block, n)

    # One thread of its own even for one query, so that this one keeps its setting.
    with ThreadPoolExecutor(min(workers, -(-count // rows))) as pool:
        list(pool.map(stripe, range(min(workers, -(-count // rows)))))
    scores[places < 0] = np.nan
    order = np.lexsort((places, -scores), axis=1)
    return np.take_along_axis(places, order, 1), np.take_along_axis(scores, order, 1)
