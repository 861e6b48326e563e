"""The contract of a vector index, and the checks that all of them share.

An index is like a ``dict[int, vector]`` that also answers which of its vectors have the largest
inner product with a given one. Ids are track ids (int64, 0 or more). Vectors are float32 of shape
(n, dim) and of unit length, so the inner product is the cosine, from -1 to 1.

An index is a cache of the catalog: it can be thrown away and made again. Its `Stamp` says which
state of which catalog it holds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from indexer.errors import BadVector, InvalidOption

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

UNIT_LENGTH_TOLERANCE = 1e-3
"""How far from 1 the length of a vector may be; float16 storage leaves it within 5e-4."""


@dataclass(frozen=True)
class Stamp:
    """The state of a catalog that an index holds.

    Attributes
    ----------
    catalog : str
        UUID of the catalog.
    model : str
        Fingerprint of the model that made the vectors.
    change : int
        Number of the last change of the catalog that the index has seen.
    """

    catalog: str
    model: str
    change: int


@dataclass(frozen=True)
class IndexFacts:
    """Kind, size and measured recall of an index.

    Attributes
    ----------
    kind : {"exact", "lists"}
    vectors : int
    changed : int
        How many of them came, changed or went since it was written, or its lists were made.
    lists, nprobe : int
        Groups of vectors, and how many of them a search reads; 0 when exact.
    recall : float
        Measured recall at 10; 1 when exact.
    measured_at, trained_on : int
        Number of vectors when it was measured and when they were grouped; 0 when exact.
    """

    kind: Literal["exact", "lists"]
    vectors: int
    changed: int
    lists: int
    nprobe: int
    recall: float
    measured_at: int
    trained_on: int


@dataclass(frozen=True, eq=False)
class Subset:
    """Some of the vectors of an index, prepared by `VectorIndex.subset` for many searches.

    Attributes
    ----------
    ids : ndarray of int64, shape (m,)
        Those that the index held when it was made, ascending.
    """

    ids: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)


class VectorIndex(ABC):
    """Vectors by id, searched by inner product.

    The same question gets the same answer: equal scores are ordered by id, and neither the number
    of queries in a call nor the order in which vectors came and went changes a score.
    """

    @property
    @abstractmethod
    def dim(self) -> int:
        """Length of a vector."""

    @abstractmethod
    def __len__(self) -> int:
        """Count the vectors."""

    @abstractmethod
    def facts(self) -> IndexFacts:
        """Return the kind of index that this is now, and its measured recall."""

    @property
    def is_makeshift(self) -> bool:
        """Whether so many vectors are searched one by one that lists are yet to be made."""
        return False

    @property
    def is_due(self) -> bool:
        """Whether so much has changed that it is to be written, or its lists to be made, again."""
        return self.is_makeshift

    @abstractmethod
    def ids(self) -> NDArray[np.int64]:
        """Return all ids, ascending, shape (n,)."""

    @abstractmethod
    def holds(self, ids: ArrayLike) -> NDArray[np.bool_]:
        """Return whether each of some ids, shape (n,), is here."""

    @abstractmethod
    def add(self, ids: ArrayLike, vectors: ArrayLike) -> None:
        """Add vectors; an id that is there already gets the new vector.

        Parameters
        ----------
        ids : array_like of int64, shape (n,)
            0 or more, each once.
        vectors : array_like of float32, shape (n, dim)
            Unit length.

        Raises
        ------
        BadVector
            A vector has another shape, is not finite or not of unit length. Nothing was added.
        InvalidOption
            The ids are not n distinct integers of 0 or more. Nothing was added.
        """

    @abstractmethod
    def remove(self, ids: ArrayLike) -> int:
        """Remove vectors and return how many were there; unknown ids are passed over."""

    @abstractmethod
    def subset(self, ids: ArrayLike) -> Subset:
        """Prepare some ids for many searches; `search` is faster with it than with the ids.

        Parameters
        ----------
        ids : array_like of int64, shape (m,)
            In any order; unknown and repeated ones do no harm.
        """

    @abstractmethod
    def search(
        self, vectors: ArrayLike, k: int, among: ArrayLike | Subset | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Find the k vectors with the largest inner product, for each query.

        Parameters
        ----------
        vectors : array_like of float32, shape (q, dim)
            Queries of unit length.
        k : int
            How many answers, 1 or more.
        among : array_like of int64, shape (m,), or Subset, optional
            Only these ids are searched, in any order; unknown and repeated ones do no harm.
            A subset that was made before vectors came or went is as good as its ids.

        Returns
        -------
        ids : ndarray of int64, shape (q, k')
            Best first, equal scores by id. k' is the smaller of k and the number of vectors that
            may be answered.
        scores : ndarray of float32, shape (q, k')
            Inner products.

        Raises
        ------
        BadVector
            A query has another shape, is not finite or not of unit length.
        InvalidOption
            k is less than 1, or `among` is not a row of integers.
        """

    @abstractmethod
    def reconstruct(self, ids: ArrayLike) -> NDArray[np.float32]:
        """Return the vectors of ids as the index holds them, shape (n, dim), in the order asked.

        Raises
        ------
        UnknownTrack
            An id is not in the index.
        """

    def sample(self, count: int) -> NDArray[np.float32]:
        """Return some of the vectors drawn at random, (about `count`, dim), or all if no more.

        The same vectors give the same sample; one that was drawn a few changes ago may stand for
        it.
        """
        return self.reconstruct(sample_ids(self.ids(), count))

    @abstractmethod
    def save(self, path: str | Path, stamp: Stamp) -> None:
        """Write the index to a file, whole or not at all.

        Raises
        ------
        IndexFileError
            The file cannot be written.
        """


def sample_ids(ids: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """About `count` ids drawn at random, or all where they are no more, in their order.

    The same ids always give the same sample, so that a library's statistics stay what they are.
    """
    if len(ids) <= count:
        return ids
    return ids[np.unique(np.random.default_rng(0).integers(0, len(ids), count))]


def checked_vectors(vectors: ArrayLike, dim: int) -> NDArray[np.float32]:
    """Return vectors as contiguous float32 of shape (n, dim), or say which is wrong.

    Raises
    ------
    BadVector
        Names the first row that is not finite or not of unit length (within 1e-3).
    """
    try:
        rows = np.ascontiguousarray(vectors, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise BadVector(
            f"The vectors are not a table of numbers ({error}): give an array of shape (n, {dim})."
        ) from error
    if rows.ndim != 2 or rows.shape[1] != dim:
        raise BadVector(
            f"The vectors have the shape {rows.shape}, this index takes (n, {dim}): "
            "give vectors of the model that made the index."
        )
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows))
        # Written so that the NaN of a row that is not finite counts as wrong.
        wrong = np.flatnonzero(~(np.abs(lengths - 1.0) <= UNIT_LENGTH_TOLERANCE))
    if wrong.size:
        row = int(wrong[0])
        if not np.isfinite(rows[row]).all():
            raise BadVector(f"Vector {row} holds NaN or infinity: compute it again.")
        raise BadVector(
            f"Vector {row} has the length {lengths[row]:.6g} instead of 1: "
            "divide vectors by their length."
        )
    return rows


def checked_ids(ids: ArrayLike) -> NDArray[np.int64]:
    """Return ids as contiguous int64 of shape (n,).

    Raises
    ------
    InvalidOption
        They are not integers, or not in one row.
    """
    row = np.asarray(ids)
    if row.ndim != 1 or not (row.size == 0 or np.issubdtype(row.dtype, np.integer)):
        raise InvalidOption(
            f"Ids of the type {row.dtype} and shape {row.shape} were given: "
            "give a row of whole numbers."
        )
    return np.ascontiguousarray(row, dtype=np.int64)


def checked_new_ids(ids: ArrayLike, count: int) -> NDArray[np.int64]:
    """Return the ids of vectors to be added: `count` of them, 0 or more, each once.

    Raises
    ------
    InvalidOption
        They are not.
    """
    row = checked_ids(ids)
    if row.size != count:
        raise InvalidOption(f"{row.size} ids came with {count} vectors: give one id a vector.")
    if row.size and int(row.min()) < 0:
        raise InvalidOption(f"The id {row.min()} was given: ids are 0 or more.")
    if np.unique(row).size != row.size:
        values, counts = np.unique(row, return_counts=True)
        raise InvalidOption(
            f"The id {values[counts > 1][0]} was given twice in one call: give each id once."
        )
    return row


def checked_k(k: int) -> int:
    """Return k.

    Raises
    ------
    InvalidOption
        It is less than 1.
    """
    if k < 1:
        raise InvalidOption(f"k = {k} answers were asked for: ask for 1 or more.")
    return int(k)
