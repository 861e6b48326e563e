"""Factors of new items, predicted from their embeddings and their artists' other items.

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

from recommender.cold_start.regression.folds import group_numbers, split_by_group
from recommender.cold_start.regression.maps import Agreement
from recommender.cold_start.regression.regressor import LARGEST_SCALE, FactorRegressor
from recommender.cold_start.top_n import Route
from recommender.cold_start.validation import float_matrix, float_per_row, names_per_row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from recommender.cold_start.regression.maps import Floats

ARTIST_SHRINKAGES = (0.1, 0.3, 1.0, 3.0, 10.0, 1e9)
"""Choices for `artist_shrinkage`; the last ignores artists."""


class ContentFactors:
    """Predicts factors of items from embeddings and, where it knows them, artists.

    Parameters
    ----------
    regressor : FactorRegressor, optional
        Fitted on a copy of it.

    Attributes
    ----------
    regressor : FactorRegressor, fitted
    artist_shrinkage : float
        Number of an artist's warm items at which they count as much as the map; infinity: artists
        are ignored.
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
        """Fit the map and the artists' differences from it.

        Parameters
        ----------
        embeddings : (items, dim)
        item_factors : (items, factors)
        plays : (items,)
            Number of users, or of plays, of each item.
        artists : names, optional
            One for each item; None or "" where it is not known.
        user_factors : (users, factors), optional
            The same model's; see `FactorRegressor.fit`.

        Raises
        ------
        BadFactors, InvalidOption
            See `FactorRegressor.fit`.
        """
        x, y = float_matrix("embeddings", embeddings), float_matrix("item_factors", item_factors)
        weights = float_per_row("plays", plays, len(x))
        names = _artist_keys(artists, len(x))
        self.regressor.fit(x, y, sample_weight=weights, groups=names, user_factors=user_factors)
        self.artist_shrinkage, self.artist_correlation = float("inf"), float("nan")
        self._scale = 1.0
        self._effects: dict[str, tuple[Floats, float]] = {}
        self._weight = float(np.median(weights[weights > 0]))
        trust = weights / (weights + self._weight)
        self._choose_artist_shrinkage(x, y, weights, trust, names)
        missed = y - self.regressor.mean_ - self.regressor.differences(x)
        for name, rows in _rows_by_artist(names).items():
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
        x = float_matrix("embeddings", embeddings)
        names = _artist_keys(artists, len(x))
        regressor = self.regressor
        factors = regressor.predict(x).reshape(len(x), -1)
        routes = np.full(len(x), Route.SOUND, dtype=object)
        known = np.array([name in self._effects for name in names], dtype=bool)
        if np.isfinite(self.artist_shrinkage) and known.any():
            effects = np.stack([self._effect(name) for name in names if name in self._effects])
            differences = regressor.differences(x[known]) + effects
            factors[known] = regressor.mean_ + differences * regressor.spread(self._scale)
            routes[known] = Route.ARTIST
        return factors, routes

    def predict_held_out(
        self,
        embeddings: ArrayLike,
        item_factors: ArrayLike,
        plays: ArrayLike,
        artists: Sequence[str | None] | None = None,
    ) -> Floats:
        """Factors (items, factors) of items by maps fitted without their artists, not rescaled."""
        x, y = float_matrix("embeddings", embeddings), float_matrix("item_factors", item_factors)
        weights = float_per_row("plays", plays, len(x))
        names = _artist_keys(artists, len(x))
        regressor = self.regressor
        found = np.tile(self.regressor.mean_, (len(x), 1))
        for train, test in split_by_group(
            group_numbers(names, len(x)), regressor.folds, regressor.random_state
        ):
            fold = self.regressor.refit(x[train], y[train], weights[train])
            found[test] = fold.mean_ + fold.differences(x[test])
        return found

    def _effect(self, name: str) -> Floats:
        total, weight = self._effects[name]
        return total / (weight + self.artist_shrinkage)

    def _choose_artist_shrinkage(
        self,
        x: Floats,
        y: Floats,
        weights: Floats,
        trust: Floats,
        names: Sequence[str],
    ) -> None:
        """Choose how much an artist's other items count, by leaving single items out."""
        agreement: list[Agreement | None] = [None] * len(ARTIST_SHRINKAGES)
        apart = np.arange(len(x))
        regressor = self.regressor
        for train, test in split_by_group(apart, regressor.folds, regressor.random_state):
            fold = self.regressor.refit(x[train], y[train], weights[train])
            missed = y[train] - fold.mean_ - fold.differences(x[train])
            inside = _rows_by_artist([names[row] for row in train])
            rows = [row for row in test if names[row] in inside]
            if not rows:
                continue
            shares = [inside[names[row]] for row in rows]
            totals = np.stack([trust[train][share] @ missed[share] for share in shares])
            counts = np.array([trust[train][share].sum() for share in shares])
            truth, found = y[rows] - fold.mean_, fold.differences(x[rows])
            for number, shrinkage in enumerate(ARTIST_SHRINKAGES):
                one = Agreement.of(
                    truth, found + totals / (counts + shrinkage)[:, None], trust[rows]
                )
                before = agreement[number]
                agreement[number] = one if before is None else before + one
        tried = [one for one in agreement if one is not None]
        if not tried:
            return
        best = max(range(len(ARTIST_SHRINKAGES)), key=lambda number: tried[number].correlation)
        self.artist_correlation = tried[best].correlation
        if ARTIST_SHRINKAGES[best] < ARTIST_SHRINKAGES[-1] and self.artist_correlation > 0:
            self.artist_shrinkage = ARTIST_SHRINKAGES[best]
            self._scale = tried[best].spread_ratio(LARGEST_SCALE)


def _artist_keys(artists: Sequence[str | None] | None, count: int) -> list[str]:
    given = names_per_row("artists", artists, count)
    return ["" if name is None else str(name).strip().casefold() for name in given]


def _rows_by_artist(names: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """Rows of each known artist."""
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        if name:
            rows.setdefault(name, []).append(row)
    return {name: np.array(own) for name, own in rows.items()}
