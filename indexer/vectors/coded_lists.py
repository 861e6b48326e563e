"""Inverted lists of four-bit codes: a quick guess of which vectors are nearest to a query.

Of each vector its difference from its list's centroid is kept, each number of it as one of sixteen
steps between limits learned from a sample (a scalar quantizer): dim / 2 bytes instead of the 2 dim
of half precision. A guess of a cosine is off by some 0.006; what is proposed is scored exactly by
whoever holds the vectors. One-bit codes (RaBitQ: Gao & Long, SIGMOD 2024) are off by 0.034 and took
two to ten times as many proposals, which cost more than they saved.

A vector is known here by its row: its number when vectors are ordered by list and id.
"""

from __future__ import annotations

import ctypes
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

# The type stubs that newer versions of FAISS bring name only a part of it.
faiss: Any = import_module("faiss")

_ROW_BYTES = 8


class CodedLists:
    """A FAISS `IndexIVFScalarQuantizer` (4 bits, inner product), in memory or in a mapped file.

    Attributes
    ----------
    centroids : ndarray of float32, shape (lists, dim)
    limits : ndarray of float32, shape (2 dim,)
        Of the steps; as `learned_limits` returns them.
    """

    def __init__(self, centroids: NDArray[np.float32], limits: NDArray[np.float32]) -> None:
        self.centroids = centroids
        self.limits = limits
        # FAISS does not keep what Python gives it alive.
        self._quantizer = _flat(centroids)
        self._index = _empty_index(self._quantizer, len(centroids))
        faiss.copy_array_to_vector(limits, self._index.sq.trained)
        self._index.is_trained = True
        self._index.parallel_mode = 0
        self._lists: Any = self._index.invlists

    @classmethod
    def mapped(
        cls,
        path: Path,
        *,
        offset: int,
        length: int,
        centroids: NDArray[np.float32],
        limits: NDArray[np.float32],
        sizes: NDArray[np.int64],
    ) -> CodedLists:
        """Lists that lie in a file from `offset` on, one after the other, as of `list_bytes`.

        Parameters
        ----------
        length : int
            Of the file, in bytes.
        sizes : int64 (lists,)
            How many vectors each list holds.

        Raises
        ------
        OSError
            The file cannot be mapped.
        """
        coded = cls(centroids, limits)
        lists = faiss.OnDiskInvertedLists()
        lists.nlist, lists.code_size = len(sizes), coded.bytes_each - _ROW_BYTES
        lists.filename, lists.totsize, lists.read_only = str(path), length, True
        lists.lists.resize(len(sizes))
        places = np.empty((len(sizes), 3), dtype=np.uint64)
        places[:, 0] = places[:, 1] = sizes
        places[:, 2] = offset + coded.bytes_each * (np.cumsum(sizes) - sizes)
        # An array of structs of size, capacity and offset: FAISS wraps no way to fill it at once.
        ctypes.memmove(int(lists.lists.data().this), places.ctypes.data, places.nbytes)
        try:
            lists.do_mmap()
        except RuntimeError as error:
            raise OSError(f"cannot be mapped: {error}") from error
        coded._index.replace_invlists(lists, False)  # noqa: FBT003
        coded._index.ntotal = int(sizes.sum())
        coded._lists = lists
        return coded

    @property
    def bytes_each(self) -> int:
        """Bytes of a vector in a list: its code and its row number."""
        return int(self._index.code_size) + _ROW_BYTES

    def add(
        self, rows: NDArray[np.int64], vectors: NDArray[np.float32], lists: NDArray[np.int64]
    ) -> None:
        """Add vectors (n, dim) under row numbers to lists, both (n,)."""
        self._index.add_core(len(rows), *map(faiss.swig_ptr, (vectors, rows, lists)), None)

    def list_bytes(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the bytes of each list: its codes, then its row numbers as int64."""
        held = self._lists
        for number in range(len(self.centroids)):
            size = held.list_size(number)
            if size:
                codes = faiss.rev_swig_ptr(held.get_codes(number), size * held.code_size)
                rows = faiss.rev_swig_ptr(held.get_ids(number), size)
                yield np.concatenate([codes, rows.astype("<i8").view(np.uint8)])

    def nearness(self, query: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the inner product of a query (dim,) with each centroid, (lists,)."""
        # Without a BLAS, whose threads wait for each other when the machine is busy, and one query
        # at a time, so that the order does not depend on how many were asked together.
        nearness: NDArray[np.float32] = np.einsum("ld,d->l", self.centroids, query)
        return nearness

    def propose(
        self,
        query: NDArray[np.float32],
        k: int,
        lists: NDArray[np.int64],
        nearness: NDArray[np.float32],
        selector: Any = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the rows of some lists whose guessed inner product is largest, and the guesses.

        Parameters
        ----------
        k : int
            How many, (k,) of each; at most what the lists hold and the selector keeps.
        lists, nearness : (m,)
            Which lists, and the inner products of the query with their centroids.
        selector : faiss.IDSelector, optional
            Which rows may be proposed.
        """
        guesses = np.empty(k, dtype=np.float32)
        rows = np.empty(k, dtype=np.int64)
        # The wrapped method takes no parameters, and so no selector.
        self._index.search_preassigned_c(
            1,
            faiss.swig_ptr(query),
            k,
            *map(faiss.swig_ptr, (lists, nearness, guesses, rows)),
            False,  # noqa: FBT003
            faiss.SearchParametersIVF(nprobe=len(lists), sel=selector),
        )
        return rows, guesses


def assigned_lists(
    centroids: NDArray[np.float32], vectors: NDArray[np.float32]
) -> NDArray[np.int64]:
    """The list whose centroid has the largest inner product with each vector, (n,)."""
    lists: NDArray[np.int64] = _flat(centroids).search(vectors, 1)[1][:, 0]
    return lists


def learned_limits(
    centroids: NDArray[np.float32], vectors: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Least and width of the steps of each number, (2 dim,), from a sample of vectors (n, dim)."""
    quantizer = _flat(centroids)
    index = _empty_index(quantizer, len(centroids))
    # What lies further out than this is as rare as it is near the limit.
    index.sq.rangestat, index.sq.rangestat_arg = faiss.ScalarQuantizer.RS_meanstd, 3.0
    index.train(vectors)
    limits: NDArray[np.float32] = faiss.vector_to_array(index.sq.trained)
    return limits


def _flat(centroids: NDArray[np.float32]) -> Any:
    quantizer = faiss.IndexFlatIP(centroids.shape[1])
    quantizer.add(centroids)
    return quantizer


def _empty_index(quantizer: Any, lists: int) -> Any:
    return faiss.IndexIVFScalarQuantizer(
        quantizer,
        quantizer.d,
        lists,
        faiss.ScalarQuantizer.QT_4bit,
        faiss.METRIC_INNER_PRODUCT,
        True,  # noqa: FBT003 - differences from the centroid are kept
    )


def row_selector(rows: NDArray[np.bool_]) -> Any:
    """A FAISS selector of the rows (n,) that are True."""
    return faiss.IDSelectorBitmap(np.packbits(rows, bitorder="little"))
