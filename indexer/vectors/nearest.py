"""The k nearest vectors in inverted lists: which lists to read, and when to stop.

FAISS proposes, in float32 and in any order among equals; the answer is then scored and ordered
here, so that it depends on nothing but the query and the vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.vectors.half_precision import error_bound, inner_products

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from indexer.vectors.inverted_lists import InvertedLists, ListSubset

_SPARE = 22  # more than k, because float32 sums can swap neighbours near rank k
# Vectors, some 5 ms: a second core saves half of that where it is idle, and costs six times as much
# where it is not (4.7 and 32 ms a question of a million tracks, with one other process at work).
_ONE_CORE_UP_TO = 100_000


@dataclass(frozen=True)
class Effort:
    """How much of trained lists a search reads.

    Attributes
    ----------
    nprobe : int
        Lists read for up to `k` answers without a filter.
    k : int
        The number of answers that `nprobe` was calibrated for.
    reach : int
        Vectors that may be answered to read under a filter that avoids the query.
    read_all_up_to : int
        A filter that leaves at most so many vectors gets all of them scored.
    """

    nprobe: int
    k: int
    reach: int
    read_all_up_to: int


@dataclass(frozen=True)
class SearchResult:
    """Ids (int64) and scores (float32) of one query, both (k,), best first, equal ones by id."""

    ids: NDArray[np.int64]
    scores: NDArray[np.float32]


def exact(
    lists: InvertedLists, query: NDArray[np.float32], k: int, subset: ListSubset | None
) -> SearchResult:
    """Return the k best of all vectors, or of a subset of them; fewer only if fewer there are."""
    if subset is not None and subset.copy is not None:
        lists, subset = subset.copy, None
    per_list = lists.sizes if subset is None else subset.per_list
    return _best_in(lists, query, k, np.flatnonzero(per_list), per_list, subset)


def approximate(
    lists: InvertedLists,
    query: NDArray[np.float32],
    k: int,
    subset: ListSubset | None,
    *,
    effort: Effort,
) -> SearchResult:
    """Return the k best of the vectors in the lists nearest to the query.

    Without a filter and with k as calibrated, `nprobe` lists are read, up to twice that k twice as
    many. Otherwise the number of
    vectors read that may be answered counts: it starts from the calibration and is doubled until
    doubling leaves the answer as it was. Filters follow genres, genres follow lists, and the right
    answers can all lie far from the query. Fewer than k are returned only if fewer there are.
    """
    per_list = lists.sizes if subset is None else subset.per_list
    allowed = int(per_list.sum())
    if subset is not None and allowed <= effort.read_all_up_to:
        return exact(lists, query, k, subset)
    k = min(k, allowed)
    order = lists.by_nearness(query)
    if subset is None and k <= 2 * effort.k:
        read = np.cumsum(per_list[order])
        # The second k lie a little farther away; twice the lists hold more of them than needed.
        lists_read = effort.nprobe * (1 if k <= effort.k else 2)
        stop = max(lists_read, int(np.searchsorted(read, k)) + 1)
        return _best_in(lists, query, k, order[:stop], per_list, subset)

    goal = max(_first_goal(lists, order, subset, effort), 4 * k)
    order = order[per_list[order] > 0]
    read = np.cumsum(per_list[order])
    stop = int(np.searchsorted(read, goal)) + 1
    answer = _best_in(lists, query, k, order[:stop], per_list, subset)
    while stop < len(order):
        goal = 2 * int(read[stop - 1])
        start, stop = stop, int(np.searchsorted(read, goal)) + 1
        more = _best_in(lists, query, k, order[start:stop], per_list, subset)
        wider = _best_k(
            np.concatenate([answer.ids, more.ids]), np.concatenate([answer.scores, more.scores]), k
        )
        if np.array_equal(wider.ids, answer.ids):
            break
        answer = wider
    return answer


def _first_goal(
    lists: InvertedLists, order: NDArray[np.int64], subset: ListSubset | None, effort: Effort
) -> int:
    """Return how many vectors to read before the first doubling."""
    planned = effort.nprobe * len(lists) // len(lists.centroids)
    if subset is None:
        return planned
    # A filter about as dense near the query as elsewhere leaves the nearest lists the best ones.
    # One that leaves the surroundings of the query empty does not: that case was calibrated.
    read = np.cumsum(subset.per_list[order])
    passed = np.cumsum(lists.sizes[order])
    last = min(int(np.searchsorted(read, planned)), len(order) - 1)
    if 2 * int(read[last]) * len(lists) >= int(passed[last]) * int(read[-1]):
        # Of a part p, the k-th answer lies as far as the k/p-th vector: more lists are to be read,
        # by 1/sqrt(p) as measured (recall at least 0.993 under 24 filters of 100,000 and 1 M).
        return int(2 * planned * (int(read[-1]) / len(lists)) ** 0.5)
    return max(2 * planned, effort.reach // 2)


def _best_in(
    lists: InvertedLists,
    query: NDArray[np.float32],
    k: int,
    numbers: NDArray[np.int64],
    per_list: NDArray[np.int64],
    subset: ListSubset | None,
) -> SearchResult:
    """Return the k best in the lists of these numbers, exactly."""
    available = int(per_list[numbers].sum())
    k = min(k, available)
    wanted = min(available, k + _SPARE)
    if not wanted:
        return SearchResult(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))
    selector: Any = None if subset is None else subset.selector
    numbers = np.ascontiguousarray(numbers)
    # A vector that a filter passes over costs as much as one that it keeps.
    read = int(lists.sizes[numbers].sum())
    ids, products = lists.largest(
        query, wanted, numbers, selector, all_cores=read > _ONE_CORE_UP_TO
    )
    answer = _best_k(ids, inner_products(lists.reconstruct(ids), query), k)
    if wanted == available:
        return answer
    # A vector that was not proposed can still belong here if it was within rounding of the last
    # one proposed: copies of one recording are equal, and there may be thousands of silence.
    least = float(answer.scores[-1]) - error_bound(lists.dim)
    if float(products.min()) >= least:
        ids = lists.above(query, least, numbers, selector)
        answer = _best_k(ids, inner_products(lists.reconstruct(ids), query), k)
    return answer


def _best_k(ids: NDArray[np.int64], values: NDArray[np.float32], k: int) -> SearchResult:
    order = np.lexsort((ids, -values))[:k]
    return SearchResult(ids[order], values[order])
