"""Half-precision vectors in the inverted lists of a FAISS index, read list by list.

One structure serves both kinds of index. Spread over a few lists by id and searched in all of
them it is exact; grouped by the nearest of many trained centroids (IVF: Sivic & Zisserman 2003;
Jegou, Douze & Schmid 2011, doi:10.1109/TPAMI.2010.57) and searched in the lists nearest to the
query it is approximate. FAISS can read the lists of one query on all cores, which it does not do
for `IndexFlat`: on two idle cores 100,000 vectors of 200 took 1.8 ms here and 8 ms there.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.errors import IndexFileError
from indexer.vectors.base import Subset
from indexer.vectors.half_precision import to_half, to_unit_float32

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

# The type stubs that newer versions of FAISS bring name only a part of it.
faiss: Any = import_module("faiss")

_CHUNK = 65_536
_SPREAD_LISTS = 16
_TRAINING_POINTS = 32  # a centroid
_TRAINING_ITERATIONS = 8


@dataclass(frozen=True, eq=False)
class ListSubset(Subset):
    """The vectors that may be answered, as a filter leaves them.

    Attributes
    ----------
    among : ndarray of int64, shape (n,)
        `InvertedLists.ids` when it was made: vectors that come or go make another array of it.
    per_list : ndarray of int64, shape (lists,)
        How many of them each list holds.
    selector : faiss.IDSelector
        The same as a test by id.
    copy : InvertedLists or None
        The vectors once more, by themselves, where they are few.
    """

    among: NDArray[np.int64]
    per_list: NDArray[np.int64]
    selector: Any
    copy: InvertedLists | None


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

    def __init__(self, index: Any, *, trained: bool) -> None:
        self.index = index
        self.trained = trained
        self.centroids: NDArray[np.float32] = index.quantizer.reconstruct_n(0, index.nlist)
        owned = [self._list_ids(number) for number in range(index.nlist)]
        ids = np.concatenate(owned)
        lists = np.repeat(np.arange(index.nlist, dtype=np.int32), [len(part) for part in owned])
        order = np.argsort(ids, kind="stable")
        self.ids: NDArray[np.int64] = ids[order]
        self.list_of: NDArray[np.int32] = lists[order]
        self.sizes: NDArray[np.int64] = np.bincount(lists, minlength=index.nlist)

    @classmethod
    def spread(cls, dim: int) -> InvertedLists:
        """Return empty lists for exact search."""
        # The centroids mean nothing here: FAISS wants one a list.
        centroids = np.zeros((_SPREAD_LISTS, dim), dtype=np.float32)
        centroids[np.arange(_SPREAD_LISTS), np.arange(_SPREAD_LISTS) % dim] = 1.0
        index = _empty_index(centroids)
        index.nprobe = _SPREAD_LISTS  # whoever reads the file with FAISS alone searches it all
        return cls(index, trained=False)

    @classmethod
    def train(
        cls, ids: NDArray[np.int64], half: NDArray[np.float16], *, lists: int, seed: int
    ) -> InvertedLists:
        """Return lists around `lists` centroids of the vectors (n, dim), holding them.

        Centroids are found by spherical k-means on a seeded sample. Time goes with lists x n.
        """
        count, dim = half.shape
        sample = np.random.default_rng(seed).permutation(count)[: lists * _TRAINING_POINTS]
        means = faiss.Kmeans(
            dim,
            lists,
            niter=_TRAINING_ITERATIONS,
            spherical=True,
            seed=seed,
            min_points_per_centroid=1,
            max_points_per_centroid=_TRAINING_POINTS,
        )
        means.train(to_unit_float32(half[np.sort(sample)]))
        trained = cls(_empty_index(means.centroids), trained=True)
        trained.add_half(ids, half)
        return trained

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.index.d)

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
            self.index.add_core(len(keys), *map(faiss.swig_ptr, (rows, keys, lists[part])), None)
        order = np.argsort(ids, kind="stable")
        positions = np.searchsorted(self.ids, ids[order])
        self.sizes = self.sizes + np.bincount(lists, minlength=len(self.sizes))
        self.ids = np.insert(self.ids, positions, ids[order])
        self.list_of = np.insert(self.list_of, positions, lists[order].astype(np.int32))

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Remove distinct ids that are here."""
        # A hashed direct map takes no other selector; it finds each id by itself.
        self.index.remove_ids(faiss.IDSelectorArray(len(ids), faiss.swig_ptr(ids)))
        positions = np.searchsorted(self.ids, ids)
        gone = np.bincount(self.list_of[positions], minlength=len(self.sizes))
        self.sizes = self.sizes - gone
        self.ids = np.delete(self.ids, positions)
        self.list_of = np.delete(self.list_of, positions)

    def reconstruct(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the unit vectors (n, dim) of ids that are here."""
        if not len(ids):
            return np.empty((0, self.dim), dtype=np.float32)
        return to_unit_float32(self.index.reconstruct_batch(ids))

    def subset(self, among: NDArray[np.int64], *, copied_up_to: int = 0) -> ListSubset:
        """Return which vectors have an id of `among`, (m,), copied if they are so few."""
        limit = int(self.ids[-1]) + 1 if len(self.ids) else 0
        if limit > 8 * len(self.ids) + _CHUNK:
            # Ids lie too far apart for a bitmap: test them by a hashed set.
            here = np.isin(self.ids, among)
            selector = faiss.IDSelectorBatch(self.ids[here])
        else:
            wanted = np.zeros(limit, dtype=bool)
            if len(among) and (among.min() < 0 or among.max() >= limit):
                among = among[(among >= 0) & (among < limit)]
            wanted[among] = True
            here = wanted[self.ids]
            selector = faiss.IDSelectorBitmap(np.packbits(wanted, bitorder="little"))
        per_list = np.bincount(self.list_of[here], minlength=self.index.nlist)
        kept = self.ids[here]
        copy = None
        if 0 < len(kept) <= copied_up_to:
            copy = InvertedLists.spread(self.dim)
            copy.add_half(kept, self.index.reconstruct_batch(kept).astype(np.float16))
        return ListSubset(kept, self.ids, per_list, selector, copy)

    def by_nearness(self, query: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return all lists, those with the centroid nearest to a query (dim,) first."""
        # One query at a time, so that the order does not depend on how many were asked together,
        # and without a BLAS, whose threads wait for each other when the machine is busy.
        nearness = np.einsum("ld,d->l", self.centroids, query)
        return np.argsort(-nearness, kind="stable")

    def largest(
        self,
        query: NDArray[np.float32],
        k: int,
        lists: NDArray[np.int64],
        selector: Any,
        *,
        all_cores: bool,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return ids and inner products (float32, of FAISS) of the k best in some lists, (k,).

        k is at most the number of vectors there are. `all_cores` changes the time only.
        """
        self.index.parallel_mode = int(all_cores)  # 0: one thread, without the cost of waking more
        products = np.empty(k, dtype=np.float32)
        ids = np.empty(k, dtype=np.int64)
        nearness = np.zeros(len(lists), dtype=np.float32)
        # The wrapped method takes no parameters, and so no selector.
        self.index.search_preassigned_c(
            1,
            faiss.swig_ptr(query),
            k,
            *map(faiss.swig_ptr, (lists, nearness, products, ids)),
            False,  # noqa: FBT003
            faiss.SearchParametersIVF(nprobe=len(lists), sel=selector),
        )
        return ids, products

    def above(
        self, query: NDArray[np.float32], least: float, lists: NDArray[np.int64], selector: Any
    ) -> NDArray[np.int64]:
        """Return the ids in some lists whose inner product (of FAISS) is above `least`."""
        found = faiss.RangeSearchResult(1)
        nearness = np.zeros(len(lists), dtype=np.float32)
        self.index.range_search_preassigned_c(
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

    def blocks(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float16]]]:
        """Yield ids (m,) and kept vectors (m, dim) of all lists, some lists at a time."""
        bounds = np.cumsum(self.sizes) // _CHUNK
        for group in np.split(np.arange(len(bounds)), np.flatnonzero(np.diff(bounds)) + 1):
            yield (
                np.concatenate([self._list_ids(int(number)) for number in group]),
                np.concatenate([self._list_half(int(number)) for number in group]),
            )

    def everything(self) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        """Return all ids (n,), ascending, and their vectors as they are kept (n, dim)."""
        half = np.empty((len(self), self.dim), dtype=np.float16)
        for ids, rows in self.blocks():
            half[np.searchsorted(self.ids, ids)] = rows
        return self.ids, half

    def _nearest_lists(self, rows: NDArray[np.float32]) -> NDArray[np.int64]:
        _, lists = self.index.quantizer.search(rows, 1)
        nearest: NDArray[np.int64] = lists[:, 0]
        return nearest

    def _list_ids(self, number: int) -> NDArray[np.int64]:
        size = self.index.invlists.list_size(number)
        if not size:
            return np.empty(0, dtype=np.int64)
        ids: NDArray[np.int64] = faiss.rev_swig_ptr(self.index.invlists.get_ids(number), size)
        return ids

    def _list_half(self, number: int) -> NDArray[np.float16]:
        size = self.index.invlists.list_size(number)
        if not size:
            return np.empty((0, self.dim), dtype=np.float16)
        codes = faiss.rev_swig_ptr(
            self.index.invlists.get_codes(number), size * self.index.code_size
        )
        half: NDArray[np.float16] = codes.view(np.float16).reshape(size, self.dim)
        return half


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


def checked_faiss(index: Any, dim: int) -> Any:
    """Return a FAISS index read from a file if it is of the kind made here.

    Raises
    ------
    IndexFileError
        It is of another kind, or its vectors are of another length.
    """
    if not (
        isinstance(index, faiss.IndexIVFScalarQuantizer)
        and index.sq.qtype == faiss.ScalarQuantizer.QT_fp16
        and index.metric_type == faiss.METRIC_INNER_PRODUCT
        and not index.by_residual
        and index.direct_map.type == faiss.DirectMap.Hashtable
    ):
        raise IndexFileError(
            "The vector index file holds another kind of FAISS index: rebuild it from the catalog"
        )
    if index.d != dim:
        raise IndexFileError(
            f"The vector index file holds vectors of {index.d} numbers, not of {dim}: "
            "rebuild it from the catalog"
        )
    return index
