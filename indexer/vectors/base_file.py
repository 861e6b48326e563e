"""The base of a vector index: a file that is written once, mapped, and shared by all processes.

It holds vectors at half precision, ordered by inverted list and, in a list, by id; four-bit
codes of the same vectors, which propose; and where each id is. What came, changed or went
since it was written is held elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.errors import IndexFileError
from indexer.mapped_arrays import MappedArrays
from indexer.vectors.base import Stamp
from indexer.vectors.calibration import Calibration
from indexer.vectors.coded_lists import CodedLists, row_selector
from indexer.vectors.half_precision import error_bound, inner_products, to_unit_float32
from indexer.vectors.search_result import NOTHING, SearchResult, best_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

KIND = "vectors 1"
"""What a file of vectors is called in its footer."""
MOST_SAMPLED = 4_096
"""Vectors drawn at random that lie together, as reading so many one by one reads all blocks."""
_PROPOSED = 256
"""Vectors that codes propose at first: more take hardly longer, and a second search would."""
_FIRST_SCORED = 128
"""Those of them that are scored before it is asked whether more are needed."""
_ROWS_KEPT_MAPPED = 256
"""Rows read before their pages are given back: the system maps 64 kB around each."""


@dataclass(frozen=True, eq=False)
class RowSubset:
    """The rows of a base that may be answered.

    Attributes
    ----------
    rows : ndarray of bool, shape (n,)
    per_list : ndarray of int64, shape (lists,)
        How many of them each list holds.
    selector : faiss.IDSelector
        The same as a test by row.
    """

    rows: NDArray[np.bool_]
    per_list: NDArray[np.int64]
    selector: Any


class MappedBase:
    """The vectors of an open file; made by `open_base`.

    Attributes
    ----------
    ids : ndarray of int64, shape (n,), ascending
    sizes : ndarray of int64, shape (lists,)
        How many vectors each list holds.
    calibration : Calibration
    trained_on : int
        Number of vectors when the centroids were trained.
    """

    def __init__(self, arrays: MappedArrays, coded: CodedLists) -> None:
        self._arrays = arrays
        self._coded = coded
        self.calibration = Calibration(**arrays.facts["calibration"])
        self.trained_on: int = arrays.facts["trained_on"]
        self.ids: NDArray[np.int64] = arrays.checked("ids")
        self._row_of: NDArray[np.int32] = arrays.checked("row_of")
        self._id_of: NDArray[np.int64] = arrays.array("id_of")
        self._half: NDArray[np.float16] = arrays.array("half")
        self.sizes: NDArray[np.int64] = arrays.checked("sizes")
        self._first_row = np.cumsum(self.sizes) - self.sizes
        self._checked_lists = np.zeros(len(self.sizes), np.bool_)
        self._rows_read = 0
        self._error = 2 * error_bound(self._half.shape[1])

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def centroids(self) -> NDArray[np.float32]:
        """The centroid of each list, float32 (lists, dim)."""
        return self._coded.centroids

    @property
    def limits(self) -> NDArray[np.float32]:
        """The limits of the codes' steps, float32 (2 dim,)."""
        return self._coded.limits

    def nearness(self, query: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the inner product of a query (dim,) with each centroid, (lists,)."""
        return self._coded.nearness(query)

    def holds(self, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether each id is here, gone since or not."""
        positions = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
        held: NDArray[np.bool_] = self.ids[positions] == ids
        return held

    def rows_of(self, ids: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the rows of ids that are here, (n,)."""
        rows: NDArray[np.int32] = self._row_of[np.searchsorted(self.ids, ids)]
        return rows

    def lists_of(self, rows: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the list that each row lies in, (n,)."""
        return np.searchsorted(self._first_row + self.sizes, rows, side="right")

    def half(self, rows: NDArray[np.integer]) -> NDArray[np.float16]:
        """Return the vectors of rows as they are kept, float16 (n, dim).

        Raises
        ------
        IndexFileError
            They are damaged.
        """
        self._arrays.require_intact("half", rows)
        found: NDArray[np.float16] = self._half[rows]
        self._rows_read += len(rows)
        if self._rows_read > _ROWS_KEPT_MAPPED:
            self._rows_read = 0
            self._arrays.forget_pages()
        return found

    def ids_of(self, rows: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the ids of rows, (n,).

        Raises
        ------
        IndexFileError
            They are damaged.
        """
        self._arrays.require_intact("id_of", rows)
        ids: NDArray[np.int64] = self._id_of[rows]
        return ids

    def rows_among(self, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which rows (n,) have one of some ids, in any order."""
        limit = int(self.ids[-1]) + 1 if len(self.ids) else 0
        if limit > 8 * len(self.ids):
            here = np.isin(self.ids, ids)
        else:
            wanted = np.zeros(limit, dtype=bool)
            if len(ids) and (ids.min() < 0 or ids.max() >= limit):
                ids = ids[(ids >= 0) & (ids < limit)]
            wanted[ids] = True
            here = wanted[self.ids]
        rows = np.empty(len(self.ids), dtype=bool)
        rows[self._row_of] = here
        return rows

    def subset(self, rows: NDArray[np.bool_]) -> RowSubset:
        """Prepare rows (n,) for many searches."""
        # One more, so that an empty last list begins somewhere.
        kept = np.add.reduceat(np.append(rows, False), self._first_row, dtype=np.int64)
        return RowSubset(rows, np.where(self.sizes > 0, kept, 0), row_selector(rows))

    def best(
        self,
        query: NDArray[np.float32],
        k: int,
        lists: NDArray[np.int64],
        nearness: NDArray[np.float32],
        subset: RowSubset | None = None,
    ) -> SearchResult:
        """Return the k best of what the codes of some lists propose, scored exactly.

        Parameters
        ----------
        lists, nearness : (m,)
            Which lists, and the inner products of the query with their centroids.

        Raises
        ------
        IndexFileError
            What was read is damaged.
        """
        per_list = self.sizes if subset is None else subset.per_list
        held = per_list[lists] > 0
        lists = np.ascontiguousarray(lists[held])
        nearness = np.ascontiguousarray(nearness[held])
        available = int(per_list[lists].sum())
        if not available:
            return NOTHING
        self._require_lists_intact(lists)
        selector = None if subset is None else subset.selector
        proposed = min(available, max(_PROPOSED, 8 * k))
        close = np.empty(0, dtype=np.float32)
        while True:
            rows, guesses = self._coded.propose(query, proposed, lists, nearness, selector)
            while len(close) < len(rows):
                more = rows[len(close) : max(_FIRST_SCORED, 2 * k, 4 * len(close))]
                close = np.concatenate([close, _products(self.half(more), query)])
                if self._is_enough(guesses, close, k):
                    return self._scored(query, rows[: len(close)], close, k)
            if proposed == available:
                return self._scored(query, rows, close, k)
            proposed = min(available, 4 * proposed)

    def _is_enough(self, guesses: NDArray[np.float32], close: NDArray[np.float32], k: int) -> bool:
        """Whether the k best are among those scored, the first of those guessed, best first."""
        count = len(close)
        if count < k:
            return False
        last = _kth(close, k)
        # Copies have one guess: of those that tie for the last place the smallest ids are wanted.
        tied = np.abs(close - last) <= self._error
        least = min(last - self.calibration.slack(k), float(guesses[:count][tied].min()))
        return bool(guesses[min(count, len(guesses) - 1)] < least)

    def _scored(
        self,
        query: NDArray[np.float32],
        rows: NDArray[np.int64],
        close: NDArray[np.float32],
        k: int,
    ) -> SearchResult:
        """The k best of rows whose scores are known within `error_bound`, scored exactly."""
        if len(rows) > k:
            rows = rows[close >= _kth(close, k) - self._error]
        scores = inner_products(to_unit_float32(self.half(rows)), query)
        return best_of(self.ids_of(rows), scores, k)

    def sample(self, count: int) -> NDArray[np.float16]:
        """Return up to `count` vectors drawn at random, as they are kept; at most `MOST_SAMPLED`.

        Raises
        ------
        IndexFileError
            They are damaged.
        """
        rows: NDArray[np.float16] = self._arrays.checked("sample")[:count]
        return rows

    def require_all_intact(self) -> None:
        """Check the whole file.

        Raises
        ------
        IndexFileError
            It is damaged.
        """
        self._arrays.require_all_intact()

    def _require_lists_intact(self, lists: NDArray[np.int64]) -> None:
        for number in lists[~self._checked_lists[lists]].tolist():
            first = int(self._first_row[number]) * self._coded.bytes_each
            last = first + int(self.sizes[number]) * self._coded.bytes_each
            self._arrays.require_intact("lists", slice(first, last))
            self._checked_lists[number] = True


def _products(half: NDArray[np.float16], query: NDArray[np.float32]) -> NDArray[np.float32]:
    """Inner products (n,) within `error_bound` of the scores."""
    # Without a BLAS, whose threads wait for each other when the machine is busy.
    products: NDArray[np.float32] = np.einsum("nd,d->n", half.astype(np.float32), query)
    return products


def _kth(scores: NDArray[np.float32], k: int) -> float:
    """The k-th largest of scores, k or more of them."""
    return float(np.partition(scores, len(scores) - k)[len(scores) - k])


@dataclass(frozen=True, eq=False)
class OpenedVectors:
    """What a file of vectors holds: a base of trained lists, or so few vectors that they are read.

    Attributes
    ----------
    stamp : Stamp
    base : MappedBase or None
    ids, half : int64 (n,) and float16 (n, dim)
        The vectors where there is no base; else empty.
    """

    stamp: Stamp
    base: MappedBase | None
    ids: NDArray[np.int64]
    half: NDArray[np.float16]


def open_vectors(path: Path, *, dim: int) -> OpenedVectors:
    """Open a file that `base_building.write_vectors` wrote.

    Raises
    ------
    IndexFileError
        It is missing, cut short, damaged where it was read, of another version or length of vector.
    """
    arrays = MappedArrays.open(path, kind=KIND)
    facts = arrays.facts
    if facts["dim"] != dim:
        raise IndexFileError(
            f"{path} holds vectors of {facts['dim']} numbers, not of {dim}: make it again from the "
            "catalog"
        )
    stamp = Stamp(**facts["stamp"])
    if facts["calibration"] is None:
        return OpenedVectors(stamp, None, arrays.checked("ids"), arrays.checked("half"))
    try:
        coded = CodedLists.mapped(
            path,
            offset=arrays.offset("lists"),
            length=len(arrays),
            centroids=arrays.checked("centroids"),
            limits=arrays.checked("limits"),
            sizes=arrays.checked("sizes"),
        )
        if not arrays.is_still_at(path):  # FAISS opens the file by its name
            return open_vectors(path, dim=dim)
    except OSError as error:
        raise IndexFileError(f"{path} {error}: make it again from the catalog") from error
    nothing = np.empty(0, np.int64), np.empty((0, dim), np.float16)
    return OpenedVectors(stamp, MappedBase(arrays, coded), *nothing)
