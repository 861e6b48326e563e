"""Items that are recommended: ids, factors, and the route by which each got its factors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.errors import InvalidOption, UnknownTrack
from indexer.vectors.unit_vectors import unit_rows
from recommender.cold_start.top_n import RankedItems, largest_products, rank_items
from recommender.cold_start.validation import list_some

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from recommender.cold_start.ids import Ids, Key


class Items:
    """Items by row: first the model's own, then new ones in the order they were added.

    Parameters
    ----------
    ids : Ids
    factors : float32 (items, factors)
    routes : int8 (items,)
        Indices in `top_n.ROUTES`; -1 for items without factors, never recommended.
    """

    def __init__(self, ids: Ids, factors: NDArray[np.float32], routes: NDArray[np.int8]) -> None:
        self.ids, self.factors, self.routes = ids, factors, routes
        self._unit: NDArray[np.float32] | None = None

    def add(
        self, keys: Sequence[Key], factors: NDArray[np.float32], routes: NDArray[np.int8]
    ) -> None:
        """Add items; all of them or, where a key is refused, none.

        Raises
        ------
        BadFactors
        """
        self.ids.add(keys, argument="keys")
        self.factors = np.concatenate([self.factors, factors])
        self.routes = np.concatenate([self.routes, routes])
        self._unit = None

    def servable_rows(self, ids: Any, *, argument: str) -> NDArray[np.int64]:
        """Rows of items that can be recommended.

        Raises
        ------
        UnknownTrack, InvalidOption
        """
        rows = self.ids.rows(ids, argument=argument)
        without = self.routes[rows] < 0
        if without.any():
            names = map(repr, self.ids.names(rows[without]).tolist())
            raise UnknownTrack(
                f"{argument} names items without plays and without an embedding: {list_some(names)}"
            )
        return rows

    def unit_factors(self) -> NDArray[np.float32]:
        """Factors of all items at unit length (items, factors)."""
        if self._unit is None:
            self._unit = unit_rows(self.factors)
        return self._unit

    def top_n(
        self,
        queries: NDArray[np.float32],
        factors: NDArray[np.float32],
        n: int,
        *,
        without: csr_matrix | None,
        filter_items: Any,
        items: Any,
        answered: NDArray[np.bool_] | None = None,
        first: NDArray[np.int64] | None = None,
        one: bool,
    ) -> RankedItems:
        """The n items with the largest inner product with each query.

        Parameters
        ----------
        queries : float32 (q, factors)
        factors : float32 (items, factors)
            `self.factors` or `self.unit_factors()`.
        without : csr (q, items), optional
            Items to leave out of each query's answer.
        filter_items, items : ids, optional
            Items to leave out, or the only ones to rank.
        answered : bool, optional
            Which of the users asked the queries belong to; the others get empty rows.
        first : int64 (q,), optional
            The item to rank before others of the same score, unless it is filtered out.

        Raises
        ------
        UnknownTrack, InvalidOption
        """
        hidden = self.routes < 0
        if filter_items is not None and items is not None:
            raise InvalidOption("filter_items and items exclude each other: give one of them")
        if filter_items is not None:
            hidden[self.ids.rows(filter_items, argument="filter_items")] = True
        if items is None:
            rows, scores = largest_products(
                queries, factors, n, without=without, hidden=np.flatnonzero(hidden)
            )
        else:
            few = self._candidate_rows(items)
            inside = None if without is None else without[:, few]
            rows, scores = largest_products(queries, factors[few], n, without=inside)
            rows = np.where(rows < 0, -1, few[rows])
            hidden = np.isin(np.arange(len(hidden)), few, invert=True)
        if first is not None:
            _put_first(rows, scores, first, ~hidden[first])
        asked = np.ones(len(queries), bool) if answered is None else answered
        return rank_items(rows, scores, items=self.ids, routes=self.routes, asked=asked, one=one)

    def _candidate_rows(self, items: Any) -> NDArray[np.int64]:
        rows = self.servable_rows(items, argument="items")
        if len(rows) == 0:
            raise InvalidOption("items is empty: name the items to rank, or leave it out")
        distinct, first = np.unique(rows, return_index=True)
        if len(distinct) < len(rows):
            twice = np.setdiff1d(np.arange(len(rows)), first)
            raise InvalidOption(f"items names an item twice, in row {list_some(twice)}")
        return distinct


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
