"""Half-precision vectors in the inverted lists of a FAISS index, in memory, read list by list.

One structure serves both kinds of index. Spread over a few lists by id and searched in all of them
it is exact; around centroids that were trained elsewhere (IVF: Sivic & Zisserman 2003) a search
reads the lists nearest to the query.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.vectors.half_precision import error_bound, inner_products, to_half, to_unit_float32
from indexer.vectors.search_result import NOTHING, SearchResult, best_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The type stubs that newer versions of FAISS bring name only a part of it.
faiss: Any = import_module("faiss")

_CHUNK = 65_536
_SPREAD_LISTS = 16
_SPARE = 22  # more than k, because float32 sums can swap neighbours near rank k
# Vectors, some 5 ms: a second core saves half of that where it is idle, and costs six times as much
# where it is not (4.7 and 32 ms a question of a million tracks, with one other process at work).
_ONE_CORE_UP_TO = 100_000


@dataclass(frozen=True, eq=False)
class ListSubset:
    """The vectors of inverted lists that may be answered, as a filter leaves them.

    Attributes
    ----------
    ids : ndarray of int64, shape (m,), ascending
    per_list : ndarray of int64, shape (lists,)
        How many of them each list holds.
    selector : faiss.IDSelector
        The same as a test by id.
    """

    ids: NDArray[np.int64]
    per_list: NDArray[np.int64]
    selector: Any


class InvertedLists:
    """A FAISS `IndexIVFScalarQuantizer` (float16, inner product) and the list that each id is in.

    Attributes
    ----------
    ids : ndarray of int64, shape (n,)
        Ascending.
    list_of : ndarray of int32, shape (n,)
        The list that holds each of `ids`.
    sizes : ndarray of int64, shape (lists,)
        How many vectors each list holds.
    centroids : ndarray of float32, shape (lists, dim)
    trained : bool
        Whether lists are groups of neighbours; else vectors are spread over them by id.
    """

    def __init__(self, centroids: NDArray[np.float32], *, trained: bool) -> None:
        self.trained = trained
        self.centroids = centroids
        self.ids: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self.list_of: NDArray[np.int32] = np.empty(0, dtype=np.int32)
        self.sizes: NDArray[np.int64] = np.zeros(len(centroids), dtype=np.int64)
        self._index = _empty_index(centroids)

    @classmethod
    def spread(cls, dim: int) -> InvertedLists:
        """Return empty lists for exact search."""
        # The centroids mean nothing here: FAISS wants one a list.
        centroids = np.zeros((_SPREAD_LISTS, dim), dtype=np.float32)
        centroids[np.arange(_SPREAD_LISTS), np.arange(_SPREAD_LISTS) % dim] = 1.0
        return cls(centroids, trained=False)

    @classmethod
    def around(cls, centroids: NDArray[np.float32]) -> InvertedLists:
        """Return empty lists of the vectors nearest to each of some centroids (lists, dim)."""
        return cls(centroids, trained=True)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self._index.d)

    def holds(self, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether each id is here."""
        if not len(self.ids):
            return np.zeros(len(ids), dtype=bool)
        positions = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
        held: NDArray[np.bool_] = self.ids[positions] == ids
        return held

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Add unit vectors (n, dim) under ids that are not here yet."""
        self.add_half(ids, to_half(vectors))

    def add_half(self, ids: NDArray[np.int64], half: NDArray[np.float16]) -> None:
        """Add vectors as they are kept, (n, dim), under ids that are not here yet."""
        lists = np.empty(len(ids), dtype=np.int64)
        for start in range(0, len(ids), _CHUNK):
            part = slice(start, start + _CHUNK)
            rows = half[part].astype(np.float32)
            keys = np.ascontiguousarray(ids[part])
            lists[part] = self._nearest_lists(rows) if self.trained else keys % _SPREAD_LISTS
            self._index.add_core(len(keys), *map(faiss.swig_ptr, (rows, keys, lists[part])), None)
        order = np.argsort(ids, kind="stable")
        positions = np.searchsorted(self.ids, ids[order])
        self.sizes = self.sizes + np.bincount(lists, minlength=len(self.sizes))
        self.ids = np.insert(self.ids, positions, ids[order])
        self.list_of = np.insert(self.list_of, positions, lists[order].astype(np.int32))

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Remove distinct ids that are here."""
        # A hashed direct map takes no other selector; it finds each id by itself.
        self._index.remove_ids(faiss.IDSelectorArray(len(ids), faiss.swig_ptr(ids)))
        positions = np.searchsorted(self.ids, ids)
        gone = np.bincount(self.list_of[positions], minlength=len(self.sizes))
        self.sizes = self.sizes - gone
        self.ids = np.delete(self.ids, positions)
        self.list_of = np.delete(self.list_of, positions)

    def reconstruct(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the unit vectors (n, dim) of ids that are here."""
        return to_unit_float32(self.half(ids))

    def subset(self, among: NDArray[np.int64]) -> ListSubset:
        """Return which vectors have an id of `among`, (m,), in any order."""
        kept = np.intersect1d(self.ids, among)
        per_list = np.bincount(
            self.list_of[np.searchsorted(self.ids, kept)], minlength=len(self.sizes)
        )
        limit = int(kept[-1]) + 1 if len(kept) else 0
        if limit > 8 * len(self.ids) + _CHUNK:
            # Ids lie too far apart for a bitmap: test them by a hashed set.
            return ListSubset(kept, per_list, faiss.IDSelectorBatch(kept))
        wanted = np.zeros(limit, dtype=bool)
        wanted[kept] = True
        bits = np.packbits(wanted, bitorder="little")
        return ListSubset(kept, per_list, faiss.IDSelectorBitmap(bits))

    def best(
        self,
        query: NDArray[np.float32],
        k: int,
        lists: NDArray[np.int64] | None = None,
        subset: ListSubset | None = None,
    ) -> SearchResult:
        """Return the k best in some lists, or in all; exactly, and fewer only if fewer there are.

        FAISS proposes, in float32 and in any order among equals; the answer is then scored and
        ordered here, so that it depends on nothing but the query and the vectors.
        """
        per_list = self.sizes if subset is None else subset.per_list
        lists = np.flatnonzero(per_list) if lists is None else lists[per_list[lists] > 0]
        available = int(per_list[lists].sum())
        wanted = min(available, k + _SPARE)
        if not wanted:
            return NOTHING
        selector = None if subset is None else subset.selector
        ids, products = self._largest(query, wanted, lists, selector)
        answer = self._scored(query, ids, k)
        if wanted == available:
            return answer
        # A vector that was not proposed can still belong here if it was within rounding of the
        # last one proposed: copies of one recording are equal, and there may be thousands of
        # silence.
        least = float(answer.scores[-1]) - error_bound(self.dim)
        if float(products.min()) >= least:
            answer = self._scored(query, self._above(query, least, lists, selector), k)
        return answer

    def _scored(self, query: NDArray[np.float32], ids: NDArray[np.int64], k: int) -> SearchResult:
        return best_of(ids, inner_products(self.reconstruct(ids), query), k)

    def _largest(
        self, query: NDArray[np.float32], k: int, lists: NDArray[np.int64], selector: Any
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return ids and inner products (float32, of FAISS) of the k best in some lists, (k,).

        k is at most the number of vectors there are.
        """
        # A vector that a filter passes over costs as much as one that it keeps.
        all_cores = int(self.sizes[lists].sum()) > _ONE_CORE_UP_TO
        self._index.parallel_mode = int(all_cores)  # 0: one thread, without waking more
        products = np.empty(k, dtype=np.float32)
        ids = np.empty(k, dtype=np.int64)
        nearness = np.zeros(len(lists), dtype=np.float32)
        # The wrapped method takes no parameters, and so no selector.
        self._index.search_preassigned_c(
            1,
            faiss.swig_ptr(query),
            k,
            *map(faiss.swig_ptr, (lists, nearness, products, ids)),
            False,  # noqa: FBT003
            faiss.SearchParametersIVF(nprobe=len(lists), sel=selector),
        )
        return ids, products

    def _above(
        self, query: NDArray[np.float32], least: float, lists: NDArray[np.int64], selector: Any
    ) -> NDArray[np.int64]:
        """Return the ids in some lists whose inner product (of FAISS) is above `least`."""
        found = faiss.RangeSearchResult(1)
        nearness = np.zeros(len(lists), dtype=np.float32)
        self._index.range_search_preassigned_c(
            1,
            faiss.swig_ptr(query),
            least,
            *map(faiss.swig_ptr, (lists, nearness)),
            found,
            False,  # noqa: FBT003
            faiss.SearchParametersIVF(nprobe=len(lists), sel=selector),
        )
        count = int(faiss.rev_swig_ptr(found.lims, 2)[1])
        ids: NDArray[np.int64] = faiss.rev_swig_ptr(found.labels, count).copy()
        return ids

    def half(self, ids: NDArray[np.int64]) -> NDArray[np.float16]:
        """Return the vectors (n, dim) of ids that are here, as they are kept."""
        if not len(ids):
            return np.empty((0, self.dim), dtype=np.float16)
        found: NDArray[np.float16] = self._index.reconstruct_batch(ids).astype(np.float16)
        return found

    def _nearest_lists(self, rows: NDArray[np.float32]) -> NDArray[np.int64]:
        _, lists = self._index.quantizer.search(rows, 1)
        nearest: NDArray[np.int64] = lists[:, 0]
        return nearest


def _empty_index(centroids: NDArray[np.float32]) -> Any:
    lists, dim = centroids.shape
    quantizer = faiss.IndexFlatIP(dim)
    quantizer.add(centroids)
    index = faiss.IndexIVFScalarQuantizer(
        quantizer,
        dim,
        lists,
        faiss.ScalarQuantizer.QT_fp16,
        faiss.METRIC_INNER_PRODUCT,
        False,  # noqa: FBT003 - by default FAISS keeps differences from the centroid
    )
    index.is_trained = True  # float16 codes need no training, and the centroids are here
    index.set_direct_map_type(faiss.DirectMap.Hashtable)
    return index
