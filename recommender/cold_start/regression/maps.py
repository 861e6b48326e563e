"""Maps from embeddings to factors, of two kinds, each over a range of strengths.

Embeddings and factors come standardised (`Standardiser`); a map says how a factor differs from the
mean factor. The least-squares fit of all strengths of a ridge costs one eigendecomposition.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from indexer.errors import InvalidOption
from indexer.vectors.unit_vectors import unit_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.floating[Any]]
    """float32, or float64 where float64 came in."""

RIDGE, NEAREST = "ridge", "nearest"
STRENGTHS: Mapping[str, tuple[float, ...]] = {
    RIDGE: (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
    NEAREST: (5, 10, 20, 40, 80),
}
"""By kind: the penalty as a share of the items' weight; the number of neighbours."""


class Map(Protocol):
    """Standardised embeddings (n, dim) -> differences from the mean factor (n, factors)."""

    def __call__(self, x: Floats, /) -> Floats:
        """Predicted differences (n, factors) for embeddings (n, dim)."""
        ...


@dataclass(frozen=True)
class Standardiser:
    """Weighted mean and deviation of each dimension of embeddings."""

    mean: Floats
    scale: Floats

    @classmethod
    def of(cls, x: Floats, weights: Floats) -> Standardiser:
        """Standardiser of embeddings (n, dim), weighted (n,); constant dimensions keep scale 1."""
        mean = np.average(x, axis=0, weights=weights)
        deviation = np.sqrt(np.average((x - mean) ** 2, axis=0, weights=weights))
        still = deviation <= 1e-6 * np.maximum(1.0, np.abs(mean))
        scale = np.where(still, 1.0, deviation)
        return cls(mean.astype(x.dtype), scale.astype(x.dtype))

    def __call__(self, x: Floats) -> Floats:
        """Standardised embeddings (n, dim)."""
        return (x - self.mean) / self.scale


@dataclass(frozen=True)
class Agreement:
    """Sums over pairs of true and predicted differences from the mean factor, by column.

    Attributes
    ----------
    both, truth, found : float64 (columns,)
        Weighted sums of true times predicted, of true squared, and of predicted squared.
    """

    both: NDArray[np.float64]
    truth: NDArray[np.float64]
    found: NDArray[np.float64]

    @classmethod
    def of(cls, truth: Floats, found: Floats, weights: Floats) -> Agreement:
        """Agreement of true and predicted rows (n, columns), weighted (n,)."""
        return cls(
            *(
                np.einsum("n,nf,nf->f", weights, one, other, dtype=np.float64)
                for one, other in ((truth, found), (truth, truth), (found, found))
            )
        )

    def __add__(self, other: Agreement) -> Agreement:
        return Agreement(self.both + other.both, self.truth + other.truth, self.found + other.found)

    @property
    def shrinkage(self) -> NDArray[np.float64]:
        """Factors (columns,), at least 0, that give predictions the least squared error.

        The shrinkage of Breiman & Friedman, "Predicting multivariate responses in multiple linear
        regression", J. R. Stat. Soc. B 59, 1997 ("curds and whey").
        """
        return np.clip(self.both / np.maximum(self.found, 1e-300), 0.0, None)

    def scaled_by(self, shrinkage: NDArray[np.float64]) -> Agreement:
        """Agreement of predictions multiplied by a shrinkage, column by column."""
        return Agreement(shrinkage * self.both, self.truth, shrinkage**2 * self.found)

    @property
    def correlation(self) -> float:
        """Cosine of all true and all predicted differences; 0 where one of them is 0."""
        product = self.truth.sum() * self.found.sum()
        return float(self.both.sum() / product**0.5) if product > 0 else 0.0

    def spread_ratio(self, largest: float) -> float:
        """Factor that gives predictions the truth's spread; 1 where they do not agree with it."""
        if self.both.sum() <= 0 or self.found.sum() <= 0:
            return 1.0
        return float(np.clip((self.truth.sum() / self.found.sum()) ** 0.5, 1.0, largest))


@dataclass(frozen=True)
class Linear:
    """Weights (dim, factors) of a linear map."""

    weights: Floats

    def __call__(self, x: Floats, /) -> Floats:
        """Predicted differences (n, factors) for embeddings (n, dim)."""
        return x @ self.weights


@dataclass(frozen=True)
class Nearest:
    """Mean factor of the nearest known items, weighted by cosine and by the item's weight.

    Attributes
    ----------
    unit : float32 (items, dim)
        Standardised embeddings at unit length.
    y : float32 (items, factors)
    weights : float32 (items,)
    count : int
    """

    unit: Floats
    y: Floats
    weights: Floats
    count: int

    def __call__(self, x: Floats, /) -> Floats:
        """Predicted differences (n, factors) for embeddings (n, dim)."""
        return self.at((self.count,), x)[0]

    def at(self, counts: Sequence[float], x: Floats) -> list[Floats]:
        """Predictions (n, factors) with each of several numbers of neighbours."""
        import faiss

        most = min(int(max(counts)), len(self.unit))
        cosines, rows = faiss.knn(unit_rows(x), self.unit, most, metric=faiss.METRIC_INNER_PRODUCT)
        # An item on the other side of the mean counts nothing rather than negatively.
        votes = np.maximum(cosines, 0.0) * self.weights[rows]
        found = []
        for count in counts:
            few = votes[:, : int(count)]
            total = np.einsum("nk,nkf->nf", few, self.y[rows[:, : int(count)]])
            found.append(total / np.maximum(few.sum(1, keepdims=True), 1e-12))
        return found


def fit_ridge(
    x: Floats,
    y: Floats,
    weights: Floats,
    strengths: Sequence[float],
) -> list[Linear]:
    """argmin_W  sum_i w_i |x_i W - y_i|^2 + s (sum_i w_i) |W|^2, for each strength s.

    With X' diag(w) X = Q diag(e) Q', W = Q diag(1 / (e + s sum w)) Q' X' diag(w) Y.
    """
    weighted = x.T.astype(np.float64) * weights
    eigenvalues, vectors = np.linalg.eigh(weighted @ x)
    target = vectors.T @ (weighted @ y)
    total = float(weights.sum())
    return [
        Linear((vectors @ (target / (eigenvalues + s * total)[:, None])).astype(x.dtype))
        for s in strengths
    ]


def fit_nearest(x: Floats, y: Floats, weights: Floats, count: float) -> Nearest:
    """Nearest-neighbour map among the items of weight above 0."""
    kept = weights > 0
    return Nearest(unit_rows(x[kept]), y[kept], weights[kept], int(count))


def fit_map(
    kind: str,
    strength: float,
    x: Floats,
    y: Floats,
    weights: Floats,
) -> Map:
    """Fit a map of one kind and strength to embeddings and factors, both standardised."""
    if kind == RIDGE:
        return fit_ridge(x, y, weights, (strength,))[0]
    return fit_nearest(x, y, weights, strength)


def fit_strengths(
    kind: str,
    strengths: Sequence[float],
    x: Floats,
    y: Floats,
    weights: Floats,
) -> Callable[[Floats], list[Floats]]:
    """Fit a kind of map with several strengths; returns the predictions of each for embeddings."""
    if kind == NEAREST:
        nearest = fit_nearest(x, y, weights, max(strengths))
        return lambda new: nearest.at(strengths, new)
    linear = fit_ridge(x, y, weights, strengths)
    return lambda new: [one(new) for one in linear]


def check_kinds(kind: str) -> tuple[str, ...]:
    """The kinds to choose from: "auto" means both.

    Raises
    ------
    InvalidOption
    """
    if kind != "auto" and kind not in STRENGTHS:
        raise InvalidOption(f"kind is {kind!r}: choose of auto, {', '.join(STRENGTHS)}")
    return tuple(STRENGTHS) if kind == "auto" else (kind,)
