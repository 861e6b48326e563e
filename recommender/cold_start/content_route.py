"""Scores of items by their content, learned from plays: one inner product of user and item vectors.

Three scores are added, each divided by its standard deviation:

- a map from features to the factors of alternating least squares, solved against the plays, with
  users' factors solved again for the factors that the map predicts;
- a ridge regression of each user's plays on the features, of full rank;
- the cosine to the mean embedding of the user's items.

Their sum is linear in an item's features, and is kept to the directions in which users' scores of
items differ most.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.vectors.unit_vectors import unit_rows
from recommender.cold_start.content_features import KERNEL, ContentFeatures, fit_features
from recommender.cold_start.least_squares import (
    alternate,
    confidence_matrix,
    fit_map,
    solve_factors,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    Array = NDArray[np.float32]

DIRECTIONS = 192
"""Most dimensions of the vectors; on public plays, that loses 0.2 % of the sum's recall@20."""
PENALTY, SOLVING_STEPS = 10.0, 10
"""Of factors in alternating least squares; steps in which users are solved again."""
FITTED_ITEMS, FITTED_USERS = 50_000, 20_000
"""Most items and users that a route is fitted to, drawn at random; vectors are made for all."""
SAMPLE, BLOCK = 1000, 4096
"""Users and items whose scores tell a standard deviation; rows computed at once."""


@dataclass(frozen=True)
class RouteSettings:
    """What a content route is fitted with.

    Attributes
    ----------
    kind : {"linear", "kernel"}
        Of features.
    confidence : float
        Mean confidence of a play.
    rank : int
        Number of factors that the map predicts.
    map_penalty, ridge_penalty : float
    weights : (float, float, float)
        Of the map's score, the ridge's, and the cosine.
    """

    kind: str = KERNEL
    confidence: float = 20.0
    rank: int = 64
    map_penalty: float = 10.0
    ridge_penalty: float = 1.0
    weights: tuple[float, float, float] = (1.0, 0.5, 0.25)


@dataclass(frozen=True)
class ContentRoute:
    """Item vectors from embeddings, to be multiplied with the vectors of users.

    Attributes
    ----------
    settings : RouteSettings
    features : ContentFeatures
    weights : float32 (features, directions)
    mean : float32 (directions,)
        Mean vector of the items that were learned from; it is subtracted.
    """

    settings: RouteSettings
    features: ContentFeatures
    weights: Array
    mean: Array

    def item_vectors(self, embeddings: Array) -> Array:
        """Vectors (n, directions) of embeddings (n, dim)."""
        return _project(self.features, embeddings, self.weights) - self.mean


@dataclass(frozen=True)
class PlayRidge:
    """Ridge regressions of users' plays on features, of all penalties, by one eigendecomposition.

    Attributes
    ----------
    values, vectors : float64 (features,), (features, features)
        Of F'F, for the features F of items.
    """

    values: NDArray[np.float64]
    vectors: NDArray[np.float64]

    @classmethod
    def of(cls, known: Array) -> PlayRidge:
        """Of the features (items, features) of all items."""
        return cls(*np.linalg.eigh((known.T @ known).astype(np.float64)))

    def inverse(self, penalty: float) -> Array:
        """(F'F + penalty)^-1."""
        scaled = self.vectors / (np.maximum(self.values, 0) + penalty)
        return np.asarray(scaled @ self.vectors.T, np.float32)


def fit_factor_map(
    known: Array, users: Array, confidence: csr_matrix, penalty: float
) -> tuple[Array, Array]:
    """The map (features, rank), and users' factors solved again for what it predicts."""
    mapping = fit_map(known, users, confidence.T.tocsr(), penalty)
    return mapping, solve_factors(known @ mapping, confidence, PENALTY, steps=SOLVING_STEPS)


def fit_route(
    settings: RouteSettings, plays: csr_matrix, embeddings: Array, *, seed: int
) -> tuple[ContentRoute, Array]:
    """A content route, and the vectors (users, directions) of all users.

    Parameters
    ----------
    plays : csr (users, items)
        Every item has plays and an embedding; a user may have none.
    embeddings : float32 (items, dim)
    """
    rng = np.random.default_rng(seed)
    items = np.sort(rng.permutation(len(embeddings))[:FITTED_ITEMS])
    people = np.sort(rng.permutation(np.flatnonzero(np.diff(plays.indptr)))[:FITTED_USERS])
    confidence = confidence_matrix(plays, settings.confidence)
    features = fit_features(settings.kind, embeddings[items], seed=seed)
    known = features(embeddings[items])
    some = confidence[people][:, items]
    rank = max(1, min(settings.rank, *some.shape))
    mapping, users = fit_factor_map(
        known, alternate(some, rank, PENALTY, seed=seed)[0], some, settings.map_penalty
    )
    inverse = PlayRidge.of(known).inverse(settings.ridge_penalty)
    levels = some / settings.confidence
    parts = (
        users @ mapping.T,
        (levels @ known) @ inverse,
        _padded(unit_rows(levels @ unit_rows(embeddings[items])), known.shape[1]),
    )
    shares = _shares(parts, known, settings.weights, rng)
    mean = known.mean(0)
    inside, outside = _principal_directions(
        known - mean,
        sum(np.float32(share) * part for share, part in zip(shares, parts, strict=True)),
    )
    route = ContentRoute(settings, features, inside, mean @ inside)
    vectors = _user_vectors(route, confidence, embeddings, mapping, inverse, outside, shares)
    return route, vectors


def _user_vectors(
    route: ContentRoute,
    confidence: csr_matrix,
    embeddings: Array,
    mapping: Array,
    inverse: Array,
    outside: Array,
    shares: Sequence[float],
) -> Array:
    """Vectors (users, directions) of all users, from all their plays."""
    predicted = _project(route.features, embeddings, mapping)
    users = solve_factors(predicted, confidence, PENALTY, steps=SOLVING_STEPS)
    levels = confidence / route.settings.confidence
    found: Array = np.float32(shares[0]) * users @ (mapping.T @ outside)
    found += np.float32(shares[1]) * (
        levels @ _project(route.features, embeddings, inverse @ outside)
    )
    unit, last = unit_rows(embeddings), outside[-embeddings.shape[1] :]
    for start in range(0, len(found), BLOCK):
        profiles = unit_rows(levels[start : start + BLOCK] @ unit)
        found[start : start + BLOCK] += np.float32(shares[2]) * profiles @ last
    return found


def _shares(
    parts: Sequence[Array], known: Array, weights: Sequence[float], rng: np.random.Generator
) -> list[float]:
    """Weights of scores divided by the standard deviations of the scores."""
    people = rng.permutation(len(parts[0]))[:SAMPLE]
    items = rng.permutation(len(known))[:SAMPLE]
    return [
        weight / max(float((part[people] @ known[items].T).std()), 1e-12)
        for part, weight in zip(parts, weights, strict=True)
    ]


def _principal_directions(items: Array, users: Array) -> tuple[Array, Array]:
    """A (features, directions) and B, such that (items A) (users B)' is nearly items users'.

    The directions are those of the largest singular values of the scores; lengths are shared
    between both sides.
    """
    values, vectors = np.linalg.eigh((items.T @ items).astype(np.float64))
    kept = values > 1e-6 * max(values.max(), 1e-30)
    root = vectors[:, kept] * np.sqrt(values[kept])
    turned = users.astype(np.float64) @ root
    squares, directions = np.linalg.eigh(turned.T @ turned)
    order = np.argsort(-squares)[:DIRECTIONS]
    lengths = np.sqrt(np.sqrt(np.maximum(squares[order], 1e-30)))
    directions = directions[:, order]
    inside = vectors[:, kept] / np.sqrt(values[kept]) @ (directions * lengths)
    outside = root @ (directions / lengths)
    return inside.astype(np.float32), outside.astype(np.float32)


def _padded(last: Array, width: int) -> Array:
    """Columns of zeros before the given ones: unit embeddings are the last features."""
    return np.hstack([np.zeros((len(last), width - last.shape[1]), np.float32), last])


def _project(features: ContentFeatures, embeddings: Array, weights: Array) -> Array:
    """Features of embeddings times weights, a block at a time."""
    found = np.empty((len(embeddings), weights.shape[1]), np.float32)
    for start in range(0, len(embeddings), BLOCK):
        found[start : start + BLOCK] = features(embeddings[start : start + BLOCK]) @ weights
    return found
