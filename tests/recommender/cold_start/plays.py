"""Simulated users whose plays follow the embeddings of the items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from implicit.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from recommender.cold_start import RouteSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

ITEMS, USERS, DIM, FACTORS, NEW = 240, 400, 12, 8, 40
WARM = ITEMS - NEW
ROUTE = RouteSettings("linear", rank=FACTORS, map_penalty=30.0)
"""Settings that need no cross-validation."""


@dataclass(frozen=True)
class World:
    """The last `NEW` items were never played; `plays` says who would have.

    Attributes
    ----------
    embeddings : float32 (ITEMS, DIM)
    artists : list of str, three items each
    train : csr (USERS, ITEMS - NEW)
    plays : csr (USERS, ITEMS)
    """

    embeddings: NDArray[np.float32]
    artists: list[str]
    train: csr_matrix
    plays: csr_matrix
    model: AlternatingLeastSquares


def make_world(*, seed: int = 0) -> World:
    rng = np.random.default_rng(seed)
    latent = rng.standard_normal((ITEMS, 4))
    mixing = rng.standard_normal((4, DIM))
    embeddings = (latent @ mixing + 0.5 * rng.standard_normal((ITEMS, DIM))).astype(np.float32)
    tastes = rng.standard_normal((USERS, 4))
    popularity = 0.8 * rng.standard_normal(ITEMS)
    chances = np.exp(1.5 * tastes @ latent.T + popularity)
    rows, columns = [], []
    for user in range(USERS):
        chance = chances[user] / chances[user].sum()
        rows += [user] * 25
        columns += rng.choice(ITEMS, 25, replace=False, p=chance).tolist()
    plays = csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), (USERS, ITEMS))
    train = csr_matrix(plays[:, : ITEMS - NEW])
    return World(
        embeddings, [f"artist {item // 3}" for item in range(ITEMS)], train, plays, fitted(train)
    )


def fitted(train: csr_matrix) -> AlternatingLeastSquares:
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=FACTORS, alpha=5.0, iterations=10, random_state=0, num_threads=1
        )
        model.fit(train, show_progress=False)
    return model


def factors_of(
    plays: csr_matrix, factors: int, *, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Random factors of items, and for each user the mean of those it has played."""
    items = np.random.default_rng(seed).standard_normal((plays.shape[1], factors))
    return plays @ items / np.maximum(np.asarray(plays.sum(1)), 1), items


def recall(scores: NDArray[np.float32], plays: NDArray[np.bool_], k: int = 10) -> float:
    """Mean share of what a user plays (at most k) among the first k."""
    asked = plays.any(1)
    first = np.argsort(-scores[asked], axis=1)[:, :k]
    hits = np.take_along_axis(plays[asked], first, 1).sum(1)
    return float((hits / np.minimum(plays[asked].sum(1), k)).mean())


def keys(start: int, stop: int) -> list[str]:
    return [f"item {number}" for number in range(start, stop)]
