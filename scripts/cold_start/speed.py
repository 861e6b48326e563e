"""How long recommendations take beside implicit's own call, and an upload until it is served."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
from implicit.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix

from recommender.cold_start import HybridRecommender, RouteSettings
from recommender.engine import Recommender

if TYPE_CHECKING:
    from pathlib import Path

ROUTE = RouteSettings("linear")
"""Random embeddings leave nothing to choose by."""


def compare(
    *, users: int, items: int, factors: int, rounds: int, seed: int = 0
) -> tuple[list[float], list[float]]:
    """Seconds of implicit and of `HybridRecommender` for the same call, in turn.

    Factors of items, embeddings and plays (20 a user, ten times the users asked) are random; the
    factors of a user are the sum of those of what it has played.
    """
    rng = np.random.default_rng(seed)
    everyone = 10 * users
    plays = csr_matrix(
        (
            np.ones(20 * everyone, np.float32),
            (np.repeat(np.arange(everyone), 20), rng.integers(0, items, 20 * everyone)),
        ),
        shape=(everyone, items),
    )
    model = AlternatingLeastSquares(factors=factors)
    model.item_factors = rng.standard_normal((items, factors), np.float32)
    model.user_factors = np.asarray(plays @ model.item_factors, np.float32)
    embeddings = rng.standard_normal((items, 64), np.float32)
    hybrid = HybridRecommender(model, plays, embeddings, route=ROUTE)
    asked = np.arange(users)
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


def upload(catalog: Path, file: Path, *, rounds: int, factors: int = 8) -> list[float]:
    """Seconds from `add_item` of a file to a `recommend` that returns it, in a warm process.

    Factors and plays are random, of all tracks of the catalog; the first upload, which loads the
    model, is not counted.
    """
    rng = np.random.default_rng(0)
    seconds = []
    with Recommender.open(catalog) as sound:
        keys = [track.key for track in sound.tracks(sound.ids())]
        plays = csr_matrix((rng.random((100, len(keys))) < 0.3).astype(np.float32))
        learned = rng.standard_normal((len(keys), factors))
        hybrid = HybridRecommender.from_catalog(
            (plays @ learned, learned), plays, sound, item_keys=keys, route=ROUTE
        )
        for number in range(rounds + 1):
            key = f"upload {number}"
            began = time.perf_counter()
            hybrid.add_item(key, file)
            ids, _ = hybrid.recommend(0, plays[0], N=len(hybrid))
            seconds.append(time.perf_counter() - began)
            if key not in ids:
                raise RuntimeError(f"{key} is not served")
    return seconds[1:]
