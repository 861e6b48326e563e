"""Recommended items: ids and scores, best first, and the route of each item's factors."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from recommender.cold_start.ids import Ids


class Route(enum.StrEnum):
    """Where an item's factors come from."""

    PLAYS = "plays"
    BLEND = "plays and sound"
    ARTIST = "artist and sound"
    SOUND = "sound"
    NONE = "nothing"


ROUTES = np.array(Route, dtype=object)
"""Routes are stored as indices into this array; the last, also -1, is `Route.NONE`."""


def route_codes(routes: Iterable[Route]) -> NDArray[np.int8]:
    """Indices of routes in `ROUTES` as int8; -1 for `Route.NONE`."""
    numbers = {route: index for index, route in enumerate(Route)} | {Route.NONE: -1}
    return np.array([numbers[route] for route in routes], dtype=np.int8)


class RankedItems(tuple[Any, Any]):
    """The pair (ids, scores), best first, with the route of each item.

    Attributes
    ----------
    ids : (n,) or (queries, n)
        The caller's names; a row of several that has fewer ends in -1 (int) or None.
    scores : float32, of the same shape
        NaN where there is no id.
    routes : Route objects, of the same shape
    """

    routes: NDArray[np.object_]


def rank_items(
    rows: NDArray[np.int64],
    scores: NDArray[np.float32],
    *,
    items: Ids,
    routes: NDArray[np.int8],
    asked: NDArray[np.bool_],
    one: bool,
) -> RankedItems:
    """Rows of items and their scores as `RankedItems` in the caller's names.

    Parameters
    ----------
    rows, scores : (answered queries, n), -1 and NaN where there are fewer
    routes : int8 (items,)
    asked : bool (queries,)
        Which queries were answered; the others get empty rows.
    one : bool
        One query: flat arrays, only as long as there are items.
    """
    if not asked.all():
        whole = (
            np.full((len(asked), rows.shape[1]), -1),
            np.full((len(asked), rows.shape[1]), np.nan, np.float32),
        )
        whole[0][asked], whole[1][asked] = rows, scores
        rows, scores = whole
    if one:
        there = rows[0] >= 0
        rows, scores = rows[0][there], scores[0][there]
    answer = RankedItems((items.names(rows), scores))
    answer.routes = ROUTES[np.where(rows < 0, -1, routes[rows])]
    return answer
