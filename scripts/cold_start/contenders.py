"""Ways to score tracks for users, from chance to the ceiling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from cold_start.simulation import same
from indexer.vectors.unit_vectors import unit_rows
from recommender.cold_start import ContentFactors, FactorRegressor, HybridRecommender
from recommender.cold_start.factors import read_factors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from cold_start.simulation import Split, Tracks

    Scores = NDArray[np.float32]

COLLABORATIVE = ("als", "bpr", "cornac-bpr")


def train(name: str, plays: csr_matrix, *, factors: int, seed: int) -> object:
    """A collaborative model fitted on plays (users, tracks): one of `COLLABORATIVE`.

    Alternating least squares is regularised as is best for warm tracks in worlds 0 to 2, of 0.05,
    5 and 50: with little, 32 factors learn what chance has played, and rank worse than popularity.
    """
    with threadpool_limits(1, "blas"):
        if name == "cornac-bpr":
            return _cornac(plays, factors, seed)
        if name == "als":
            from implicit.als import AlternatingLeastSquares

            model = AlternatingLeastSquares(
                factors=factors,
                alpha=5.0,
                regularization=50.0,
                iterations=15,
                random_state=seed,
                num_threads=1,
            )
        else:
            from implicit.bpr import BayesianPersonalizedRanking

            model = BayesianPersonalizedRanking(
                factors=factors, iterations=100, random_state=seed, num_threads=1
            )
        model.fit(plays, show_progress=False)
        return model


def _cornac(plays: csr_matrix, factors: int, seed: int) -> object:
    from cornac.data import Dataset
    from cornac.models import BPR

    pairs = plays.tocoo()
    data = Dataset(
        plays.shape[0],
        plays.shape[1],
        {row: row for row in range(plays.shape[0])},
        {column: column for column in range(plays.shape[1])},
        (pairs.row.astype("int32"), pairs.col.astype("int32"), pairs.data.astype("float32")),
        seed=seed,
    )
    # At its own rate of 0.001 a hundred rounds learn popularity and no more.
    return BPR(k=factors, max_iter=100, learning_rate=0.05, seed=seed, verbose=False).fit(data)


def baselines(
    tracks: Tracks, split: Split, rng: np.random.Generator
) -> Iterator[tuple[str, Scores]]:
    """What needs no learning."""
    shape = split.train.shape
    yield "random", rng.random(shape).astype(np.float32)
    plays = np.asarray(split.train.sum(0), np.float32)
    yield "popularity", np.repeat(plays, shape[0], 0)
    yield "same artist", np.asarray(split.train @ same(tracks.artist_keys).astype(np.float32))
    yield "genre tag", np.asarray(split.train @ same(tracks.genres).astype(np.float32))
    for name, vectors in tracks.embeddings.items():
        unit = unit_rows(vectors)
        yield f"{name}, plain cosine", _cosine(split.train, unit)


def _cosine(train: csr_matrix, unit: NDArray[np.float32]) -> Scores:
    """Cosine to the mean of the user's tracks."""
    return unit_rows(np.asarray(train @ unit)) @ unit.T


class Mapped:
    """A collaborative model of the warm tracks, and maps from sound to its factors."""

    def __init__(self, name: str, tracks: Tracks, split: Split, *, factors: int, seed: int) -> None:
        self.split, self.tracks, self.seed = split, tracks, seed
        self.warm, self.cold = np.flatnonzero(~split.cold), np.flatnonzero(split.cold)
        self.plays = split.train[:, self.warm].tocsr()
        self.model = train(name, self.plays, factors=factors, seed=seed)
        self.read = read_factors(self.model)
        self.counts = np.asarray(self.plays.sum(0)).ravel()
        self.artist_keys = [tracks.artist_keys[row] for row in self.warm]

    def regressor(
        self, vectors: NDArray[np.float32], kind: str | Sequence[str], *, most: int | None = None
    ) -> FactorRegressor:
        """Fitted on the warm tracks, or on so many of them, drawn at random."""
        counts = self.counts.copy()
        if most is not None:
            counts[np.random.default_rng(self.seed).permutation(len(counts))[most:]] = 0
        made = FactorRegressor(kind, bias_column=self.read.bias_column, random_state=self.seed)
        return made.fit(
            vectors[self.warm],
            self.read.items,
            sample_weight=counts,
            groups=self.artist_keys,
            user_factors=self.read.users,
        )

    def scores(self, cold: NDArray[np.float32] | None = None) -> Scores:
        """Of all tracks: warm ones by what was learned, cold ones by these factors, or never."""
        shape = len(self.tracks), self.read.items.shape[1]
        items = np.zeros(shape, np.float32)
        items[self.warm] = self.read.items
        if cold is not None:
            items[self.cold] = cold
        found = np.asarray(self.read.users @ items.T, np.float32)
        if cold is None:
            found[:, self.cold] = np.finfo(np.float32).min
        return found

    def with_artists(self, vectors: NDArray[np.float32], kind: str) -> Scores:
        """Cold tracks by their sound and their artist's other tracks."""
        regressor = FactorRegressor(kind, bias_column=self.read.bias_column, random_state=self.seed)
        used = self.counts > 0
        content = ContentFactors(regressor).fit(
            vectors[self.warm][used],
            self.read.items[used],
            self.counts[used],
            [maker for maker, use in zip(self.artist_keys, used, strict=True) if use],
            user_factors=self.read.users,
        )
        names = [self.tracks.artist_keys[row] for row in self.cold]
        return self.scores(content.predict(vectors[self.cold], names)[0])

    def hybrid(self, vectors: NDArray[np.float32], kind: str) -> Scores:
        """Of all tracks by `HybridRecommender`, plays and sound of warm ones blended."""
        made = HybridRecommender(
            self.model,
            self.plays,
            vectors[self.warm],
            regressor=FactorRegressor(kind, random_state=self.seed),
        )
        made.add_items(range(len(self.warm), len(self.tracks)), vectors[self.cold])
        items = np.empty((len(self.tracks), self.read.items.shape[1]), np.float32)
        items[np.concatenate([self.warm, self.cold])] = made.all_factors()
        return np.asarray(self.read.users @ items.T, np.float32)


def ceiling(name: str, plays: csr_matrix, *, factors: int, seed: int) -> Scores:
    """Factors trained with plays of the tracks that are asked for."""
    read = read_factors(train(name, plays, factors=factors, seed=seed))
    return np.asarray(read.users @ read.items.T, np.float32)
