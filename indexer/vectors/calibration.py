"""How many trained lists must be read for a stated recall, measured on the library itself.

Queries are vectors of the index, with themselves left out of the answers, so that they stand for
tracks that are like those of the library but not in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.vectors.half_precision import to_unit_float32

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from indexer.vectors.inverted_lists import InvertedLists


@dataclass(frozen=True)
class Calibration:
    """Result of calibrating an index.

    Attributes
    ----------
    nprobe : int
        Lists to read without a filter.
    recall : float
        Part of the k nearest, by exact search, that lie in those lists, mean over the queries.
    reach : int
        Vectors that may be answered to read under a filter: enough for the same recall when the
        filter leaves out the half of the library that is nearest to the query.
    k : int
    vectors : int
        Vectors in the index at that time.
    """

    nprobe: int
    recall: float
    reach: int
    k: int
    vectors: int


def calibrate(
    lists: InvertedLists, *, recall: float, k: int, queries: int, seed: int
) -> Calibration:
    """Find the smallest nprobe and reach whose recall at k leaves a quarter of the misses allowed.

    A quarter, because what is found on a sample holds only about for other queries: aiming at half,
    0.995 for 0.99, gave 0.989 on queries that are not in the library. A recall of 1
    reads all lists. Time goes with queries x vectors.
    """
    k = min(k, len(lists) - 1)
    if recall >= 1.0 or k < 1:
        return Calibration(len(lists.centroids), 1.0, len(lists), k, len(lists))
    aim = 1.0 - (1.0 - recall) / 4.0
    sample = np.random.default_rng(seed).permutation(len(lists))[:queries]
    ids = lists.ids[np.sort(sample)]
    vectors = lists.reconstruct(ids)
    order = np.array([lists.by_nearness(vector) for vector in vectors])
    ranks = np.argsort(order, axis=1)
    sizes = lists.sizes

    wanted = _lists_of_neighbours(lists, ids, vectors, k, np.ones(ranks.shape, dtype=bool))
    ranks_wanted = np.take_along_axis(ranks, wanted, axis=1)
    found = np.cumsum(np.bincount(ranks_wanted.ravel(), minlength=len(sizes))) / ranks_wanted.size
    nprobe = int(np.searchsorted(found, aim)) + 1

    # The half of the vectors whose lists are farthest from the query, and how many of them have
    # been read when each of the nearest among them is reached.
    far = np.cumsum(sizes[order], axis=1) > len(lists) / 2
    survivors = np.cumsum(np.where(far, sizes[order], 0), axis=1)
    wanted = _lists_of_neighbours(lists, ids, vectors, k, np.take_along_axis(far, ranks, axis=1))
    read = np.take_along_axis(survivors, np.take_along_axis(ranks, wanted, axis=1), axis=1)
    reach = int(np.quantile(read, aim, method="higher"))
    return Calibration(nprobe, float(found[nprobe - 1]), reach, k, len(lists))


def _lists_of_neighbours(
    lists: InvertedLists,
    ids: NDArray[np.int64],
    vectors: NDArray[np.float32],
    k: int,
    allowed: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Return in which lists the k nearest of each vector lie, (n, k), itself not counted.

    `allowed`, (n, lists), says where they may lie. With fewer than k, the best stand for the rest.
    """
    best = np.full((len(ids), k), -np.inf, dtype=np.float32)
    homes = np.zeros((len(ids), k), dtype=np.int64)
    for block_ids, half in lists.blocks():
        block_lists = lists.list_of[np.searchsorted(lists.ids, block_ids)].astype(np.int64)
        products = vectors @ to_unit_float32(half).T
        products[(ids[:, None] == block_ids) | ~allowed[:, block_lists]] = -np.inf
        width = min(k, len(block_ids))
        top = np.argpartition(products, -width, axis=1)[:, -width:]
        best = np.hstack([best, np.take_along_axis(products, top, axis=1)])
        homes = np.hstack([homes, block_lists[top]])
        keep = np.argsort(-best, axis=1, kind="stable")[:, :k]
        best = np.take_along_axis(best, keep, axis=1)
        homes = np.take_along_axis(homes, keep, axis=1)
    return np.where(np.isfinite(best), homes, homes[:, :1])
