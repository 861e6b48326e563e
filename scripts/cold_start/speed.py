"""How long a batch of recommendations takes, beside implicit's own call."""

from __future__ import annotations

import time

import numpy as np
from implicit.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix

from recommender.cold_start import FactorRegressor, HybridRecommender


def compare(
    *, listeners: int, items: int, factors: int, rounds: int, seed: int = 0
) -> tuple[list[float], list[float]]:
    """Seconds of implicit and of `HybridRecommender` for the same call, in turn.

    Factors, embeddings and plays (20 a listener, ten times the listeners asked) are random.
    """
    rng = np.random.default_rng(seed)
    everyone = 10 * listeners
    plays = csr_matrix(
        (
            np.ones(20 * everyone, np.float32),
            (np.repeat(np.arange(everyone), 20), rng.integers(0, items, 20 * everyone)),
        ),
        shape=(everyone, items),
    )
    model = AlternatingLeastSquares(factors=factors)
    model.user_factors = rng.standard_normal((everyone, factors), np.float32)
    model.item_factors = rng.standard_normal((items, factors), np.float32)
    embeddings = rng.standard_normal((items, 64), np.float32)
    hybrid = HybridRecommender(
        model, plays, embeddings, regressor=FactorRegressor("ridge", strength=1.0), k=10.0
    )
    asked = np.arange(listeners)
    rows = plays[asked]
    theirs, ours = [], []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        model.recommend(asked, rows, N=10)
        between = time.perf_counter()
        hybrid.recommend(asked, rows, N=10)
        theirs.append(between - began)
        ours.append(time.perf_counter() - between)
    return theirs[1:], ours[1:]
