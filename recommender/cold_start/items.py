"""Items that are recommended: ids, factors, and the route by which each got its factors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.errors import InvalidOption
from recommender.cold_start.growing_rows import GrowingRows
from recommender.cold_start.ids import Ids
from recommender.cold_start.top_n import RankedItems, largest_products, rank_items
from recommender.cold_start.validation import list_some

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from recommender.cold_start.ids import Key


@dataclass(frozen=True)
class ItemTable:
    """Items as they are at one time; nothing that is added or removed later changes it.

    Attributes
    ----------
    factors : float32 (items, factors)
    lengths : float32 (items,)
        Lengths of the factors, 1 where that is 0.
    routes : int8 (items,)
        Indices in `top_n.ROUTES`; -1 for items without factors, never recommended.
    """

    factors: NDArray[np.float32]
    lengths: NDArray[np.float32]
    routes: NDArray[np.int8]


@dataclass(frozen=True)
class Candidates:
    """Items of a table that are ranked for one question.

    Attributes
    ----------
    table : ItemTable
    hidden : int64
        Rows to leave out, in order.
    few : int64, optional
        The only rows to rank, in order.
    """

    table: ItemTable
    hidden: NDArray[np.int64]
    few: NDArray[np.int64] | None


class Items:
    """Items by row: first the model's own, then new ones in the order they were added.

    Parameters
    ----------
    ids : Ids
    factors : float32 (items, factors)
    routes : int8 (items,)
        Indices in `top_n.ROUTES`; -1 for items without factors, never recommended.

    Attributes
    ----------
    table : ItemTable
        The present items. Whoever holds a table may rank while others add.
    """

    def __init__(self, ids: Ids, factors: NDArray[np.float32], routes: NDArray[np.int8]) -> None:
        self._hold(ids, factors, routes)

    def _hold(self, ids: Ids, factors: NDArray[np.float32], routes: NDArray[np.int8]) -> None:
        self.ids = ids
        self._factors = GrowingRows(factors)
        self._lengths = GrowingRows(row_lengths(factors))
        self._routes = GrowingRows(routes)
        self._renew()

    def add(
        self, keys: Sequence[Key], factors: NDArray[np.float32], routes: NDArray[np.int8]
    ) -> None:
        """Add items; all of them or, where a key is refused, none.

        Raises
        ------
        BadFactors
        """
        self.ids.add(keys, argument="keys")
        self._factors.append(factors)
        self._lengths.append(row_lengths(factors))
        self._routes.append(routes)
        self._renew()

    def remove(self, rows: NDArray[np.int64]) -> None:
        """Remove items: their rows stay, nameless and never recommended."""
        self.ids.remove(rows)
        # A copy, since others may be reading the rows there were.
        routes = self._routes.rows.copy()
        routes[rows] = -1
        self._routes = GrowingRows(routes)
        self._renew()

    def __getstate__(self) -> dict[str, Any]:
        return {
            "ids": self.ids.__getstate__(),
            "factors": self.table.factors,
            "routes": self.table.routes,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        ids = Ids.__new__(Ids)
        ids.__setstate__(state["ids"])
        self._hold(ids, state["factors"], state["routes"])

    def _renew(self) -> None:
        self.table = ItemTable(self._factors.rows, self._lengths.rows, self._routes.rows)

    def servable_rows(self, ids: Any, *, argument: str) -> NDArray[np.int64]:
        """Rows of items that can be recommended.

        Raises
        ------
        UnknownTrack, UnknownUser, InvalidOption
        """
        rows = self.ids.rows(ids, argument=argument)
        without = self.table.routes[rows] < 0
        if without.any():
            names = map(repr, self.ids.names(rows[without]).tolist())
            why = "plays" if self.ids.what == "user" else "plays and without an embedding"
            raise self.ids.unknown(
                f"{argument} names {self.ids.what}s without {why}: {list_some(names)}"
            )
        return rows

    def candidates(self, *, filter_items: Any, items: Any) -> Candidates:
        """The items to rank: all but some, or only some, named by ids.

        Raises
        ------
        UnknownTrack, InvalidOption
        """
        if filter_items is not None and items is not None:
            what = self.ids.what
            raise InvalidOption(f"filter_{what}s and {what}s exclude each other: give one of them")
        if items is not None:
            return Candidates(self.table, np.empty(0, np.int64), self._candidate_rows(items))
        hidden = self.table.routes < 0
        if filter_items is not None:
            hidden[self.ids.rows(filter_items, argument=f"filter_{self.ids.what}s")] = True
        return Candidates(self.table, np.flatnonzero(hidden), None)

    def top_n(
        self,
        candidates: Candidates,
        queries: NDArray[np.float32],
        n: int,
        *,
        cosine: bool = False,
        without: csr_matrix | None = None,
        answered: NDArray[np.bool_] | None = None,
        first: NDArray[np.int64] | None = None,
        one: bool,
    ) -> RankedItems:
        """The n candidates with the largest inner product with each query.

        Parameters
        ----------
        queries : float32 (q, factors)
        cosine : bool
            Divide products by the lengths of items.
        without : csr (q, items), optional
            Items to leave out of each query's answer.
        answered : bool, optional
            Which of the users asked the queries belong to; the others get empty rows.
        first : int64 (q,), optional
            The item to rank before others of the same score, unless it is filtered out.
        """
        table, few = candidates.table, candidates.few
        kept = slice(None) if few is None else few
        rows, scores = largest_products(
            queries,
            table.factors[kept],
            n,
            lengths=table.lengths[kept] if cosine else None,
            without=None if without is None else without[:, kept],
            hidden=candidates.hidden,
        )
        if few is not None:
            rows = np.where(rows < 0, -1, few[rows])
        if first is not None:
            allowed = np.isin(first, candidates.hidden, invert=True)
            if few is not None:
                allowed = np.isin(first, few)
            _put_first(rows, scores, first, allowed)
        asked = np.ones(len(queries), bool) if answered is None else answered
        return rank_items(rows, scores, items=self.ids, routes=table.routes, asked=asked, one=one)

    def _candidate_rows(self, items: Any) -> NDArray[np.int64]:
        argument = f"{self.ids.what}s"
        rows = self.servable_rows(items, argument=argument)
        if len(rows) == 0:
            raise InvalidOption(f"{argument} is empty: name those to rank, or leave it out")
        distinct, first = np.unique(rows, return_index=True)
        if len(distinct) < len(rows):
            twice = np.setdiff1d(np.arange(len(rows)), first)
            one = "an item" if argument == "items" else "a user"
            raise InvalidOption(f"{argument} names {one} twice, in row {list_some(twice)}")
        return distinct


def row_lengths(factors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Lengths of rows (n, factors) as float32 (n,), 1 where that is 0."""
    # Not linalg.norm, which squares a copy of all.
    found: NDArray[np.float32] = np.sqrt(np.einsum("ij,ij->i", factors, factors))
    found[found == 0] = 1
    return found


def _put_first(
    rows: NDArray[np.int64],
    scores: NDArray[np.float32],
    items: NDArray[np.int64],
    allowed: NDArray[np.bool_],
) -> None:
    """Put an item first in its row; others of the same score may have pushed it out."""
    there = rows == items[:, None]
    last = np.where(there.any(1), there.argmax(1), rows.shape[1] - 1)[allowed, None]
    columns = np.arange(rows.shape[1])
    before = np.where(columns == 0, last, columns - (columns <= last))
    nearest = scores[allowed, 0]
    rows[allowed] = np.take_along_axis(rows[allowed], before, 1)
    scores[allowed] = np.take_along_axis(scores[allowed], before, 1)
    rows[allowed, 0], scores[allowed, 0] = items[allowed], nearest
