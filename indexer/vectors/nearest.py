"""The k nearest vectors in trained lists: which lists to read, and when to stop.

The lists have two layers, which share their centroids: those of a base on disk and those of what
came since in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.vectors.search_result import SearchResult, merged

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from indexer.vectors.base_file import MappedBase, RowSubset
    from indexer.vectors.calibration import Calibration
    from indexer.vectors.inverted_lists import InvertedLists, ListSubset

_INNER = np.array([8, 4, 2])
_SPARSER_INSIDE = 1.3
"""How much sparser than in all of the lists read what may be answered may lie in the first eighth,
quarter and half of them."""


@dataclass(frozen=True, eq=False)
class Layers:
    """What may be answered.

    Attributes
    ----------
    base : MappedBase
    rows : RowSubset or None
        Those of the base; None: all.
    recent : InvertedLists
    subset : ListSubset or None
        Those of the recent vectors; None: all.
    is_filtered : bool
        Whether some may not be answered that are there.
    """

    base: MappedBase
    rows: RowSubset | None
    recent: InvertedLists
    subset: ListSubset | None
    is_filtered: bool

    @property
    def sizes(self) -> NDArray[np.int64]:
        """How many vectors each list holds, (lists,)."""
        return self.base.sizes + self.recent.sizes

    @property
    def per_list(self) -> NDArray[np.int64]:
        """How many vectors that may be answered each list holds, (lists,)."""
        of_base = self.base.sizes if self.rows is None else self.rows.per_list
        return of_base + (self.recent.sizes if self.subset is None else self.subset.per_list)

    def best(
        self,
        query: NDArray[np.float32],
        k: int,
        lists: NDArray[np.int64],
        nearness: NDArray[np.float32],
    ) -> SearchResult:
        """Return the k best in some lists, both layers together."""
        found = self.base.best(query, k, lists, nearness[lists], self.rows)
        if not len(self.recent):
            return found
        return merged([found, self.recent.best(query, k, lists, self.subset)], k)


def nearest(
    layers: Layers, query: NDArray[np.float32], k: int, per_list: NDArray[np.int64]
) -> SearchResult:
    """Return the k best of the vectors that may be answered, `per_list` of which each list holds.

    So many of the lists nearest to the query are read as calibration says. Filters follow genres,
    genres follow lists, and the right answers can all lie far from the query: where what was read
    cannot tell, it is doubled until doubling leaves the answer as it was. Fewer than k are returned
    only if fewer there are.
    """
    k = min(k, int(per_list.sum()))
    nearness = layers.base.nearness(query)
    stop = layers.base.calibration.lists_for(k) if not layers.is_filtered else None
    if stop is not None and stop < len(nearness):
        lists = np.argpartition(-nearness, stop)[:stop]
        if int(per_list[lists].sum()) >= k:
            return layers.best(query, k, lists, nearness)
    order = np.argsort(-nearness, kind="stable")
    read = np.cumsum(per_list[order])
    stop = _lists_enough(layers.base.calibration, np.cumsum(layers.sizes[order]), read, k)
    if stop is not None:
        return layers.best(query, k, order[:stop], nearness)
    stop = int(np.searchsorted(read, max(layers.base.calibration.reach // 2, 4 * k))) + 1
    answer = layers.best(query, k, order[:stop], nearness)
    while stop < len(order):
        goal = 2 * int(read[stop - 1])
        start, stop = stop, int(np.searchsorted(read, goal)) + 1
        wider = merged([answer, layers.best(query, k, order[start:stop], nearness)], k)
        if np.array_equal(wider.ids, answer.ids):
            break
        answer = wider
    return answer


def _lists_enough(
    calibration: Calibration, passed: NDArray[np.int64], read: NDArray[np.int64], k: int
) -> int | None:
    """How many of the nearest lists hold the k best with the recall asked; None: it is not known.

    Of vectors of which a part p may be answered, the k best lie as far as the k / p nearest of all.
    p is what is found in the lists read, provided that it does not grow outwards: a filter that
    leaves the surroundings of the query empty has its answers elsewhere.

    Parameters
    ----------
    passed, read : int64 (lists,)
        Vectors, and those that may be answered, in the first lists up to each.
    """
    stop = calibration.lists_for(k)
    while stop is not None and stop < len(read):
        held = int(read[stop - 1])
        needed = calibration.lists_for(k * int(passed[stop - 1]) / held) if held else None
        if needed is None or needed > stop:
            stop = needed
            continue
        inner = np.maximum(1, stop // _INNER) - 1
        sparse = read[inner] * int(passed[stop - 1]) * _SPARSER_INSIDE < held * passed[inner]
        return stop if held >= k and not sparse.any() else None
    return stop
