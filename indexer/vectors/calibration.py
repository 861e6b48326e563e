"""How much of trained lists must be read for a stated recall, measured on the library itself.

Queries are vectors of the index, with themselves left out of the answers, so that they stand for
tracks that are like those of the library but not in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.vectors.half_precision import to_unit_float32

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from indexer.vectors.coded_lists import CodedLists

CALIBRATED_K = 10
_DOUBLINGS = 7
_FAR_K = 100
"""Slack is measured for so many answers too: of few, most lie well above the last."""
_BLOCK = 65_536
_WITHOUT_END = 2**40


@dataclass(frozen=True)
class Calibration:
    """Result of calibrating trained lists.

    Attributes
    ----------
    lists_read : sequence of int
        Lists to read, without a filter, for up to 10, 20, 40, ... answers.
    recall : float
        Part of the `CALIBRATED_K` nearest, by exact search, that lie in the first of those, mean
        over the queries.
    reach : int
        Vectors that may be answered to read under a filter: enough for the same recall when the
        filter leaves out the half of the library that is nearest to the query.
    near_slack, far_slack : float
        How far below the last of 10 and of 100 answers the guessed score of one of them lies.
    vectors : int
        Vectors in the index at that time.
    """

    lists_read: Sequence[int]
    recall: float
    reach: int
    near_slack: float
    far_slack: float
    vectors: int

    def lists_for(self, k: float) -> int | None:
        """Lists to read for the k nearest without a filter; None for more than was measured."""
        position = np.log2(max(1.0, k / CALIBRATED_K))
        last = len(self.lists_read) - 1
        if position > last:
            return None
        return int(np.ceil(np.interp(position, np.arange(last + 1), self.lists_read)))

    def slack(self, k: int) -> float:
        """How far below the last of k answers guessed scores are to be looked at."""
        position = np.log(max(1.0, k / CALIBRATED_K)) / np.log(_FAR_K / CALIBRATED_K)
        return float(self.near_slack + min(position, 1.0) * (self.far_slack - self.near_slack))


@dataclass(frozen=True, eq=False)
class ListedVectors:
    """Vectors in the order of their rows: by list and, in a list, by id.

    Attributes
    ----------
    half : function of an array of rows or a slice to float16 (m, dim)
        The vectors of rows.
    list_of : ndarray of int32, shape (n,)
        Ascending.
    sizes : ndarray of int64, shape (lists,)
    """

    half: Callable[[NDArray[np.int64] | slice], NDArray[np.float16]]
    list_of: NDArray[np.int32]
    sizes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.list_of)


def calibrate(
    vectors: ListedVectors, coded: CodedLists, *, recall: float, queries: int, seed: int
) -> Calibration:
    """Find the least to read and to propose that leaves a quarter of the misses allowed.

    A quarter, because what is found on a sample holds only about for other queries: aiming at half,
    0.995 for 0.99, gave 0.989 on queries that are not in the library. A recall of 1 reads and
    proposes all. Time goes with queries x vectors.
    """
    count, lists = len(vectors), len(vectors.sizes)
    k = min(CALIBRATED_K, count - 1)
    if recall >= 1.0 or k < 1:
        return Calibration((lists,), 1.0, _WITHOUT_END, 4.0, 4.0, count)
    aim = 1.0 - (1.0 - recall) / 4.0
    rows = np.sort(np.random.default_rng(seed).permutation(count)[:queries])
    asked = to_unit_float32(vectors.half(rows))
    order = np.array([np.argsort(-coded.nearness(query), kind="stable") for query in asked])
    ranks = np.argsort(order, axis=1)
    sizes = vectors.sizes

    most = min(CALIBRATED_K << _DOUBLINGS, count - 1)
    everywhere = np.ones(ranks.shape, dtype=bool)
    wanted = vectors.list_of[_neighbours(vectors, rows, asked, most, everywhere)]
    ranks_wanted = np.take_along_axis(ranks, wanted, axis=1)
    lists_read: list[int] = []
    found = np.empty(0)
    for nearest in (CALIBRATED_K << doubling for doubling in range(_DOUBLINGS + 1)):
        if nearest <= most or not lists_read:
            of_k = ranks_wanted[:, :nearest]
            shares = np.cumsum(np.bincount(of_k.ravel(), minlength=lists)) / of_k.size
            found = found if len(found) else shares
            lists_read.append(int(np.searchsorted(shares, aim)) + 1)

    # The half of the vectors whose lists are farthest from the query, and how many of them have
    # been read when each of the nearest among them is reached.
    far = np.cumsum(sizes[order], axis=1) > count / 2
    survivors = np.cumsum(np.where(far, sizes[order], 0), axis=1)
    allowed = np.take_along_axis(far, ranks, axis=1)
    wanted = vectors.list_of[_neighbours(vectors, rows, asked, k, allowed)]
    read = np.take_along_axis(survivors, np.take_along_axis(ranks, wanted, axis=1), axis=1)
    reach = int(np.quantile(read, aim, method="higher"))

    near, distant = _slack(vectors, coded, asked, order[:, : lists_read[0]], aim)
    return Calibration(
        tuple(lists_read), float(found[lists_read[0] - 1]), reach, near, distant, count
    )


def _slack(
    vectors: ListedVectors,
    coded: CodedLists,
    queries: NDArray[np.float32],
    lists: NDArray[np.int64],
    aim: float,
) -> tuple[float, float]:
    """How far below the last of the 10 and the 100 best in the lists read guesses of them lie.

    Errors of guesses depend on how far vectors lie from their centroids, and hardly on the query:
    what is found for its nearest holds for those that a filter leaves.
    """
    below: list[list[NDArray[np.float32]]] = [[], []]
    for query, read in zip(queries, lists, strict=True):
        nearness = coded.nearness(query)[read]
        held = int(vectors.sizes[read].sum())
        rows, guesses = coded.propose(query, held, np.ascontiguousarray(read), nearness)
        scores = to_unit_float32(vectors.half(rows)) @ query
        order = np.argsort(-scores, kind="stable")
        for found, k in zip(below, (CALIBRATED_K, _FAR_K), strict=True):
            # Its own vector is no more among the answers than above.
            best = order[1 : k + 1]
            found.append(scores[best[-1]] - guesses[best])
    near, far = (float(np.quantile(np.concatenate(one), aim, method="higher")) for one in below)
    return near, max(near, far)


def _neighbours(
    vectors: ListedVectors,
    rows: NDArray[np.int64],
    queries: NDArray[np.float32],
    k: int,
    allowed: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Return the rows of the k nearest to each query, (n, k), itself not counted.

    `allowed`, (n, lists), says where they may lie. With fewer than k, the best stand for the rest.
    """
    best = np.full((len(rows), k), -np.inf, dtype=np.float32)
    found = np.zeros((len(rows), k), dtype=np.int64)
    for start in range(0, len(vectors), _BLOCK):
        block = slice(start, min(start + _BLOCK, len(vectors)))
        numbers = np.arange(block.start, block.stop)
        products = queries @ to_unit_float32(vectors.half(block)).T
        products[(rows[:, None] == numbers) | ~allowed[:, vectors.list_of[block]]] = -np.inf
        width = min(k, len(numbers))
        top = np.argpartition(products, -width, axis=1)[:, -width:]
        best = np.hstack([best, np.take_along_axis(products, top, axis=1)])
        found = np.hstack([found, numbers[top]])
        keep = np.argsort(-best, axis=1, kind="stable")[:, :k]
        best = np.take_along_axis(best, keep, axis=1)
        found = np.take_along_axis(found, keep, axis=1)
    return np.where(np.isfinite(best), found, found[:, :1])
