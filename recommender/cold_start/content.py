"""Factors of an item from its sound, and from what its artist's other items say.

An upload by an artist with warm items starts from the artist's own factors and its sound together:
the map's prediction plus the artist's mean difference from what the map predicts for the artist's
items, shrunk the more the fewer there are (a random effect; Henderson, "Best linear unbiased
estimation and prediction under a selection model", Biometrics 1975). By an unknown artist, from
sound alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import clone

from recommender.cold_start.folds import numbered, splits
from recommender.cold_start.maps import Agreement
from recommender.cold_start.ranked import Route
from recommender.cold_start.regressor import LARGEST_SCALE, FactorRegressor
from recommender.cold_start.validation import name_each, per_row, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from recommender.cold_start.maps import Floats

PULLS = (0.1, 0.3, 1.0, 3.0, 10.0, 1e9)
"""Warm items that an artist's mean is to outweigh, to choose from; the last ignores artists."""


class ContentFactors:
    """Predicts factors of items from embeddings and, where it knows them, artists.

    Parameters
    ----------
    regressor : FactorRegressor, optional
        Fitted on a copy of it.

    Attributes
    ----------
    regressor : FactorRegressor, fitted
    pull : float
        So many warm items of an artist count as much as the map; infinity: artists say nothing.
    artist_correlation : float
        As the regressor's `correlation_`, for items whose artist has other warm ones.
    """

    def __init__(self, regressor: FactorRegressor | None = None) -> None:
        self.regressor: FactorRegressor = clone(regressor or FactorRegressor())

    def fit(
        self,
        embeddings: ArrayLike,
        item_factors: ArrayLike,
        plays: ArrayLike,
        artists: Sequence[str | None] | None = None,
        *,
        user_factors: ArrayLike | None = None,
    ) -> ContentFactors:
        """Learn the map and the artists.

        Parameters
        ----------
        embeddings : (items, dim)
        item_factors : (items, factors)
        plays : (items,)
            How many listeners, or plays, each item has.
        artists : names, optional
            One for each item; None or "" where it is not known.
        user_factors : (listeners, factors), optional
            The same model's; see `FactorRegressor.fit`.

        Raises
        ------
        BadFactors, InvalidOption
            See `FactorRegressor.fit`.
        """
        x, y = table("embeddings", embeddings), table("item_factors", item_factors)
        weights = per_row("plays", plays, len(x))
        names = _names(artists, len(x))
        self.regressor.fit(x, y, sample_weight=weights, groups=names, user_factors=user_factors)
        self.pull, self._scale, self.artist_correlation = float("inf"), 1.0, float("nan")
        self._effects: dict[str, tuple[Floats, float]] = {}
        self._weight = float(np.median(weights[weights > 0]))
        trust = weights / (weights + self._weight)
        self._choose_pull(x, y, weights, trust, names)
        missed = y - self.regressor.mean_ - self.regressor.differences(x)
        for name, rows in _by_artist(names).items():
            if trust[rows].any():
                self._effects[name] = trust[rows] @ missed[rows], float(trust[rows].sum())
        return self

    def predict(
        self, embeddings: ArrayLike, artists: Sequence[str | None] | None = None
    ) -> tuple[Floats, NDArray[np.object_]]:
        """Factors (n, factors) of new items, and the `Route` of each.

        Raises
        ------
        BadFactors
        """
        x = table("embeddings", embeddings)
        names = _names(artists, len(x))
        regressor = self.regressor
        factors = regressor.predict(x).reshape(len(x), -1)
        routes = np.full(len(x), Route.SOUND, dtype=object)
        known = np.array([name in self._effects for name in names], dtype=bool)
        if np.isfinite(self.pull) and known.any():
            effects = np.stack([self._effect(name) for name in names if name in self._effects])
            differences = regressor.differences(x[known]) + effects
            factors[known] = regressor.mean_ + differences * regressor.spread(self._scale)
            routes[known] = Route.ARTIST
        return factors, routes

    def held_out(
        self,
        embeddings: ArrayLike,
        item_factors: ArrayLike,
        plays: ArrayLike,
        artists: Sequence[str | None] | None = None,
    ) -> Floats:
        """Factors of items by maps that have heard nothing of their artist, not widened."""
        x, y = table("embeddings", embeddings), table("item_factors", item_factors)
        weights = per_row("plays", plays, len(x))
        names = _names(artists, len(x))
        regressor = self.regressor
        found = np.tile(self.regressor.mean_, (len(x), 1))
        for train, test in splits(numbered(names, len(x)), regressor.folds, regressor.random_state):
            fold = self.regressor.refitted(x[train], y[train], weights[train])
            found[test] = fold.mean_ + fold.differences(x[test])
        return found

    def _effect(self, name: str) -> Floats:
        total, weight = self._effects[name]
        return total / (weight + self.pull)

    def _choose_pull(
        self,
        x: Floats,
        y: Floats,
        weights: Floats,
        trust: Floats,
        names: Sequence[str],
    ) -> None:
        """Leave single items out, not artists, and see how far to believe the artist's others."""
        agreement: list[Agreement | None] = [None] * len(PULLS)
        apart = np.arange(len(x))
        regressor = self.regressor
        for train, test in splits(apart, regressor.folds, regressor.random_state):
            fold = self.regressor.refitted(x[train], y[train], weights[train])
            missed = y[train] - fold.mean_ - fold.differences(x[train])
            inside = _by_artist([names[place] for place in train])
            rows = [place for place in test if names[place] in inside]
            if not rows:
                continue
            shares = [inside[names[place]] for place in rows]
            totals = np.stack([trust[train][share] @ missed[share] for share in shares])
            counts = np.array([trust[train][share].sum() for share in shares])
            truth, found = y[rows] - fold.mean_, fold.differences(x[rows])
            for place, pull in enumerate(PULLS):
                one = Agreement.of(truth, found + totals / (counts + pull)[:, None], trust[rows])
                before = agreement[place]
                agreement[place] = one if before is None else before + one
        tried = [one for one in agreement if one is not None]
        if not tried:
            return
        best = max(range(len(PULLS)), key=lambda place: tried[place].correlation)
        self.artist_correlation = tried[best].correlation
        if PULLS[best] < PULLS[-1] and self.artist_correlation > 0:
            self.pull = PULLS[best]
            self._scale = tried[best].missing_width(LARGEST_SCALE)


def _names(artists: Sequence[str | None] | None, count: int) -> list[str]:
    given = name_each("artists", artists, count)
    return ["" if name is None else str(name).strip().casefold() for name in given]


def _by_artist(names: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """Rows of each artist that is known."""
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        if name:
            rows.setdefault(name, []).append(row)
    return {name: np.array(places) for name, places in rows.items()}
