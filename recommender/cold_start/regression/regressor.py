"""From embeddings to the factors of a collaborative-filtering model.

Factors of items that were played are regressed on how the items sound; the map then gives factors
to items that nobody has played (van den Oord, Dieleman & Schrauwen, "Deep content-based music
recommendation", NIPS 2013).

    regressor = FactorRegressor().fit(embeddings, item_factors, sample_weight=plays, groups=artists)
    new_factors = regressor.predict(new_embeddings)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from indexer.errors import BadFactors, InvalidOption
from recommender.cold_start.regression.folds import group_numbers, split_by_group
from recommender.cold_start.regression.maps import (
    STRENGTHS,
    Agreement,
    Standardiser,
    check_kinds,
    fit_map,
    fit_strengths,
)
from recommender.cold_start.validation import (
    LONGEST_FACTOR,
    float_per_row,
    refuse_long,
    refuse_numbers,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from recommender.cold_start.regression.maps import Floats

LARGEST_SCALE, LEAST_CORRELATION = 3.0, 0.1
"""Most that predictions are spread; below that correlation they are noise and are not."""


class FactorRegressor(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc] # sklearn has no types
    """A scikit-learn regressor from embeddings (n, dim) to item factors (n, factors).

    Parameters
    ----------
    kind : {"auto", "ridge", "nearest"}
        Which maps to choose from. `ridge` is linear; `nearest` averages the factors of the nearest
        known items, weighted by cosine.
    strength : float, optional
        Fixes the penalty (ridge) or the number of neighbours (nearest); otherwise it is chosen.
    folds : int
        Of the cross-validation over items that chooses kind and strength. Items of one group stay
        together, so that an artist's sound does not pass for the users' taste.
    calibrate : bool
        Whether predictions are spread as widely around the mean factor as known factors are. A
        regression shrinks what it is unsure of, and a short factor is never recommended.
    bias_column : int, optional
        The column of the factors that is an item's bias, as the last one of implicit's BPR: it is
        predicted but not spread.
    random_state : int

    Attributes
    ----------
    kind_, strength_ : what was chosen
    correlation_ : float
        Between known factors and those predicted for them by maps that had not seen them (nor
        their group), both as differences from the mean factor.
    correlations_ : dict of (kind, strength) to float
        Of all that were compared; empty where all items are of one group.
    scale_ : float
        Factor by which predictions are rescaled.
    mean_ : (factors,)
        The weighted mean factor.

    Notes
    -----
    `sample_weight`, the number of plays or users of each item, counts as w / (w + median w):
    the noise of a factor falls with its plays, what sound cannot say of it does not. For that
    reason one of scikit-learn's own checks (`check_estimator`) does not hold:
    `check_sample_weight_equivalence_on_dense_data` wants a weight of two to be the item twice, but
    twice the plays are one item known better; also, the folds are drawn over items. All others
    hold, for every kind.
    """

    def __init__(
        self,
        kind: str = "auto",
        *,
        strength: float | None = None,
        folds: int = 5,
        calibrate: bool = True,
        bias_column: int | None = None,
        random_state: int = 0,
    ) -> None:
        self.kind = kind
        self.strength = strength
        self.folds = folds
        self.calibrate = calibrate
        self.bias_column = bias_column
        self.random_state = random_state

    def fit(
        self,
        X: ArrayLike,  # noqa: N803 - scikit-learn's own name
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: Sequence[object] | NDArray[Any] | None = None,
        user_factors: ArrayLike | None = None,
    ) -> FactorRegressor:
        """Choose kind and strength, and fit the map.

        Parameters
        ----------
        X : (items, dim)
            Embeddings.
        y : (items, factors) or (items,)
            Factors of the same items.
        sample_weight : (items,), optional
            Number of plays, or of users, of each item; items of weight 0 are left out.
        groups : (items,), optional
            The artist of each item; None or "" stands alone.
        user_factors : (users, factors), optional
            The same model's. What counts is then the error of scores, not of factors: predictions
            are compared, and shrunk, along the directions in which users differ.

        Raises
        ------
        BadFactors
            NaN or infinity, shapes that do not match, fewer items than factors; also a ValueError.
        InvalidOption
            A parameter makes no sense.
        """
        kinds = self._kinds()
        x, y = self._validate(X, y)
        weights = self._weights(sample_weight, len(x))
        labels = group_numbers(groups, len(x))
        used = weights > 0
        x, y, weights, labels = x[used], y[used], weights[used], labels[used]
        refuse_long("item_factors", y.astype(np.float32), LONGEST_FACTOR)
        if len(x) < max(y.shape[1], 2):
            raise BadFactors(
                f"{len(x)} item(s) are too few to predict {y.shape[1]} factors: "
                f"n_samples={len(x)}, give at least {max(y.shape[1], 2)}"
            )
        directions = self._directions(user_factors, y)
        by_scores = user_factors is not None
        self._choose(kinds, x, y, weights, labels, directions, by_scores=by_scores)
        self._fit_map(x, y, weights)
        return self

    def predict(self, X: ArrayLike) -> Floats:  # noqa: N803 - scikit-learn's own name
        """Predicted factors (n, factors) of embeddings (n, dim); (n,) if it was fitted to (items,).

        Raises
        ------
        BadFactors
            NaN or infinity, or another dimension than was learned from; also a ValueError.
        """
        check_is_fitted(self)
        x = _as_floats("embeddings", validate_data(self, X, **_UNCHECKED, reset=False))
        found = self.differences(x) * self.spread(self.scale_) + self.mean_
        return found[:, 0] if self._one_row else found

    def differences(self, embeddings: Floats) -> Floats:
        """Predicted differences (n, factors) from the mean factor, not rescaled."""
        found = self._map(self._standardise(embeddings))
        return (
            found if self._shrinkage is None else np.asarray(found @ self._shrinkage, found.dtype)
        )

    def spread(self, scale: float) -> Floats:
        """Scales (factors,) of predicted differences: `scale`, and 1 for a bias."""
        spread = np.full(len(self.mean_), scale, dtype=self.mean_.dtype)
        if self.bias_column is not None:
            spread[self.bias_column] = 1.0
        return spread

    def _kinds(self) -> tuple[str, ...]:
        kinds = check_kinds(self.kind)
        if self.strength is not None and (len(kinds) != 1 or not self.strength > 0):
            raise InvalidOption(
                f"strength is {self.strength!r}: it is a number above 0, of one kind"
            )
        if self.folds < 2:
            raise InvalidOption(f"folds is {self.folds}: cross-validation takes at least 2")
        return kinds

    def _validate(self, embeddings: ArrayLike, factors: ArrayLike) -> tuple[Floats, Floats]:
        given = np.asarray(factors)
        if given.ndim and np.issubdtype(given.dtype, np.floating):
            _as_floats("item_factors", given.reshape(len(given), -1))
        x, y = validate_data(
            self, embeddings, factors, **_UNCHECKED, multi_output=True, y_numeric=True
        )
        self._one_row = y.ndim == 1
        columns = y.reshape(len(y), -1)
        if self.bias_column is not None and not (
            -columns.shape[1] <= self.bias_column < columns.shape[1]
        ):
            raise InvalidOption(
                f"bias_column is {self.bias_column}: item_factors has {columns.shape[1]} columns"
            )
        return _as_floats("embeddings", x), _as_floats("item_factors", columns)

    def _weights(self, given: ArrayLike | None, count: int) -> Floats:
        if given is None:
            return np.ones(count, np.float32)
        weights = float_per_row("sample_weight", given, count)
        if not weights.any():
            raise BadFactors(
                "sample_weight is zero everywhere: give at least one item a weight above 0"
            )
        return weights / (weights + np.median(weights[weights > 0]))

    def _fit_map(self, x: Floats, y: Floats, weights: Floats) -> None:
        self._standardise = Standardiser.of(x, weights)
        self.mean_ = np.average(y, axis=0, weights=weights).astype(y.dtype)
        self._map = fit_map(
            self.kind_,
            self.strength_,
            self._standardise(x),
            y - self.mean_,
            weights,
        )

    def _directions(self, user_factors: ArrayLike | None, y: Floats) -> Floats:
        """D (factors, columns) such that |y D| is the length of y's scores; a bias is left out."""
        kept = np.ones(y.shape[1], bool)
        if self.bias_column is not None and y.shape[1] > 1:
            kept[self.bias_column] = False
        every = np.eye(y.shape[1])[:, kept]
        if user_factors is None:
            return every
        users = _as_floats("user_factors", np.asarray(user_factors))
        if users.ndim != 2 or users.shape[1] != y.shape[1]:
            raise BadFactors(
                f"user_factors has the shape {users.shape}: item_factors has {y.shape[1]} columns"
            )
        values, vectors = np.linalg.eigh((users[:, kept].T @ users[:, kept]).astype(np.float64))
        # A direction in which users hardly differ is kept, so that D can be inverted.
        floor = max(values.max(), 1e-300) * 1e-6
        return np.asarray(every @ (vectors * np.sqrt(np.maximum(values, floor))))

    def _choose(
        self,
        kinds: tuple[str, ...],
        x: Floats,
        y: Floats,
        weights: Floats,
        labels: NDArray[np.int64],
        directions: Floats,
        *,
        by_scores: bool,
    ) -> None:
        """Choose kind and strength, and how to shrink and rescale predictions."""
        self._shrinkage: Floats | None = None
        folds = split_by_group(labels, self.folds, self.random_state)
        if not folds:
            # One group only, or too few items: nothing to compare by.
            self.kind_, strengths = kinds[0], STRENGTHS[kinds[0]]
            self.strength_ = self.strength or strengths[len(strengths) // 2]
            self.correlation_, self.correlations_, self.scale_ = float("nan"), {}, 1.0
            return
        agreement: dict[tuple[str, float], Agreement] = {}
        for train, test in folds:
            standardise = Standardiser.of(x[train], weights[train])
            mean = np.average(y[train], axis=0, weights=weights[train]).astype(y.dtype)
            inside, outside = standardise(x[train]), standardise(x[test])
            truth = (y[test] - mean) @ directions
            for kind in kinds:
                strengths = STRENGTHS[kind] if self.strength is None else (self.strength,)
                predict = fit_strengths(
                    kind,
                    strengths,
                    inside,
                    y[train] - mean,
                    weights[train],
                )
                for strength, found in zip(strengths, predict(outside), strict=True):
                    one = Agreement.of(truth, found @ directions, weights[test])
                    before = agreement.get((kind, strength))
                    agreement[kind, strength] = one if before is None else before + one
        if by_scores:
            believed = {name: one.scaled_by(one.shrinkage) for name, one in agreement.items()}
        else:
            believed = agreement
        self.correlations_ = {name: one.correlation for name, one in believed.items()}
        self.kind_, self.strength_ = max(self.correlations_, key=self.correlations_.__getitem__)
        best = believed[self.kind_, self.strength_]
        self.correlation_ = best.correlation
        widened = self.calibrate and self.correlation_ >= LEAST_CORRELATION
        self.scale_ = best.spread_ratio(LARGEST_SCALE) if widened else 1.0
        if by_scores and self.correlation_ > 0:
            shrinkage = agreement[self.kind_, self.strength_].shrinkage
            back = np.linalg.pinv(directions)
            # What is left out of the directions, a bias, stays as it is.
            rest = np.eye(len(directions)) - directions @ back
            self._shrinkage = ((directions * shrinkage) @ back + rest).astype(y.dtype)

    def __sklearn_tags__(self) -> Any:
        """Tags for scikit-learn's own checks."""
        tags = super().__sklearn_tags__()
        tags.target_tags.single_output = True
        return tags


_UNCHECKED: dict[str, Any] = {"dtype": "numeric", "ensure_all_finite": False}
"""NaN and infinity are refused by `_as_floats`, which names the rows."""


def _as_floats(name: str, values: NDArray[Any]) -> Floats:
    single = values.dtype in (np.float16, np.float32)
    array: Floats = np.asarray(values, dtype=np.float32 if single else np.float64)
    refuse_numbers(name, array)
    return array
