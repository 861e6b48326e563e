"""Ways to score cold items for users, each learned from the plays of warm items alone."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from indexer.vectors.unit_vectors import unit_rows
from recommender.cold_start import FactorRegressor, HybridRecommender, RouteSettings
from recommender.cold_start.content_route import fit_route
from recommender.cold_start.regression.folds import group_numbers

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from cold_start.datasets import Dataset

    Scores = NDArray[np.float32]

COLD, NEIGHBOURS, REGULARIZATION = 0.2, 50, 10.0


@dataclass(frozen=True)
class Split:
    """A data set of which some items are cold.

    Attributes
    ----------
    plays : csr (users, warm items)
    warm, cold : int64
        Columns of the data set.
    asked : int64
        Users with a warm and a cold play.
    """

    data: Dataset
    plays: csr_matrix
    warm: NDArray[np.int64]
    cold: NDArray[np.int64]
    asked: NDArray[np.int64]
    factors: int
    alpha: float
    seed: int

    @property
    def vectors(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Of warm and of cold items."""
        return self.data.vectors[self.warm], self.data.vectors[self.cold]

    def joined(self, warm: Scores, cold: Scores) -> Scores:
        """Scores (asked, items) in the columns of the data set."""
        found = np.empty((len(self.asked), self.data.plays.shape[1]), np.float32)
        found[:, self.warm], found[:, self.cold] = warm, cold
        return found


def split(data: Dataset, *, by_artist: bool, factors: int, alpha: float, seed: int) -> Split:
    """Make a fifth of the items cold, drawn at random, or whole artists until there are as many."""
    count = data.plays.shape[1]
    labels = group_numbers(data.artists, count) if by_artist else np.arange(count)
    # Of the labels in an order drawn at random, as many as a fifth of the items have.
    drawn = np.random.default_rng(1000 + seed).permutation(labels.max() + 1)
    within = np.cumsum(np.bincount(labels)[drawn]) <= int(COLD * count)
    cold = np.flatnonzero(np.isin(labels, drawn[within]))
    warm = np.setdiff1d(np.arange(count), cold)
    plays = data.plays[:, warm].tocsr()
    asked = (np.diff(plays.indptr) > 0) & (np.diff(data.plays[:, cold].tocsr().indptr) > 0)
    return Split(data, plays, warm, cold, np.flatnonzero(asked), factors, alpha, seed)


def train(kind: str, plays: csr_matrix, *, factors: int, alpha: float, seed: int) -> Any:
    """Implicit's alternating least squares ("als") or Bayesian personalised ranking ("bpr")."""
    if kind == "als":
        from implicit.als import AlternatingLeastSquares

        model = AlternatingLeastSquares(
            factors=factors,
            alpha=alpha,
            regularization=REGULARIZATION,
            random_state=seed,
            num_threads=1,
        )
    else:
        from implicit.bpr import BayesianPersonalizedRanking

        model = BayesianPersonalizedRanking(factors=factors, random_state=seed, num_threads=1)
    with threadpool_limits(1, "blas"):
        model.fit(plays, show_progress=False)
    return model


def _als(of: Split) -> Any:
    return train("als", of.plays, factors=of.factors, alpha=of.alpha, seed=of.seed)


def content_cosine(of: Split) -> Scores:
    """Cosine to the mean vector of the user's items."""
    warm, _ = of.vectors
    return unit_rows(of.plays[of.asked] @ warm) @ of.data.vectors.T


def item_neighbours(of: Split) -> Scores:
    """Sum of cosines to those of an item's 50 nearest warm items that the user has played."""
    import faiss
    from scipy.sparse import csr_matrix

    warm, _ = of.vectors
    cosines, rows = faiss.knn(
        of.data.vectors, warm, min(NEIGHBOURS, len(warm)), metric=faiss.METRIC_INNER_PRODUCT
    )
    ends = np.arange(len(rows) + 1) * rows.shape[1]
    near = csr_matrix((np.maximum(cosines, 0).ravel(), rows.ravel(), ends), (len(rows), len(warm)))
    return np.asarray((of.plays[of.asked] @ near.T.tocsr()).toarray(), np.float32)


def factor_regressor(of: Split) -> Scores:
    """`FactorRegressor` from vectors to the factors of alternating least squares."""
    model, (warm, cold) = _als(of), of.vectors
    counts = np.bincount(of.plays.indices, minlength=len(warm))
    regressor = FactorRegressor(random_state=of.seed).fit(
        warm, model.item_factors, sample_weight=counts, user_factors=model.user_factors
    )
    users = model.user_factors[of.asked]
    return of.joined(users @ model.item_factors.T, users @ regressor.predict(cold).T)


def ridge(of: Split) -> Scores:
    """Ridge regression of each user's plays on the vectors, of full rank."""
    settings = RouteSettings("linear", ridge_penalty=10.0, weights=(0.0, 1.0, 0.0))
    route, users = fit_route(settings, of.plays, of.vectors[0], seed=of.seed)
    return users[of.asked] @ route.item_vectors(of.data.vectors).T


def default(of: Split, vectors: NDArray[np.float32] | None = None) -> Scores:
    """`HybridRecommender` around alternating least squares, as it comes."""
    vectors = of.data.vectors if vectors is None else vectors
    made = HybridRecommender(
        _als(of),
        of.plays,
        vectors[of.warm],
        artists=of.data.artists[of.warm].tolist(),
        random_state=of.seed,
    )
    count = len(of.warm)
    made.add_items(
        range(count, count + len(of.cold)),
        vectors[of.cold],
        artists=of.data.artists[of.cold].tolist(),
    )
    scores = made.user_factors(of.asked) @ made.all_factors().T
    return of.joined(scores[:, :count], scores[:, count:])


def shuffled(of: Split) -> Scores:
    """The default with every item given the vector of another."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return default(of, np.random.default_rng(of.seed).permutation(of.data.vectors))


def ceiling(of: Split) -> Scores:
    """Alternating least squares trained with the very plays that are asked for."""
    model = train("als", of.data.plays, factors=of.factors, alpha=of.alpha, seed=of.seed)
    return np.asarray(model.user_factors[of.asked] @ model.item_factors.T)


def lightfm(of: Split) -> Scores:
    """LightFM with a ranking loss (WARP), vectors as the items' features."""
    from lightfm import LightFM
    from scipy.sparse import csr_matrix

    features = csr_matrix(of.data.vectors)
    model = LightFM(no_components=of.factors, loss="warp", random_state=of.seed)
    pairs = of.data.plays.tocoo()
    known = np.isin(pairs.col, of.warm)
    seen = csr_matrix(
        (np.ones(known.sum(), np.float32), (pairs.row[known], pairs.col[known])), pairs.shape
    )
    model.fit(seen, item_features=features, epochs=30)
    biases, items = model.get_item_representations(features)
    users = model.get_user_representations()[1][of.asked]
    return np.asarray(users @ items.T + biases, np.float32)


def cmfrec(of: Split) -> Scores:
    """Collective alternating least squares on plays and vectors, by cmfrec."""
    from cmfrec import CMF_implicit

    warm, cold = of.vectors
    scale = np.float32(of.data.vectors.shape[1] ** 0.5)
    model = CMF_implicit(
        k=of.factors, lambda_=REGULARIZATION, alpha=of.alpha, random_state=of.seed, nthreads=1
    )
    model.fit(X=of.plays.tocoo(), I=warm * scale)
    users = np.asarray(model.A_)[of.asked]
    new = np.stack([model.item_factors_cold(I=own) for own in cold * scale])
    return of.joined(users @ np.asarray(model.B_).T, users @ new.T)


def vbpr(of: Split) -> Scores:
    """Cornac's visual Bayesian personalised ranking, vectors in place of pictures."""
    from cornac.data import Dataset as Plays
    from cornac.data import ImageModality
    from cornac.models import VBPR

    shape = of.data.plays.shape
    pairs = of.plays.tocoo()
    columns = of.warm[pairs.col].astype("int32")
    image = ImageModality(features=of.data.vectors, ids=list(range(shape[1])), normalized=False)
    plays = Plays(
        *shape,
        {row: row for row in range(shape[0])},
        {row: row for row in range(shape[1])},
        (pairs.row.astype("int32"), columns, np.ones(pairs.nnz, "float32")),
        seed=of.seed,
    )
    image.build(id_map=plays.iid_map)
    plays.add_modalities(item_image=image)
    half = of.factors // 2
    model = VBPR(k=half, k2=half, n_epochs=30, seed=of.seed, use_gpu=False, verbose=False)
    model.fit(plays)
    return np.stack([model.score(int(user)) for user in of.asked]).astype(np.float32)


METHODS: dict[str, Callable[[Split], Scores]] = {
    "content cosine": content_cosine,
    "item-kNN on the vectors": item_neighbours,
    "FactorRegressor": factor_regressor,
    "ridge on the plays": ridge,
    "LightFM WARP": lightfm,
    "cmfrec": cmfrec,
    "Cornac VBPR": vbpr,
    "default": default,
    "default, vectors shuffled": shuffled,
    "ceiling": ceiling,
}
PEERS = {"LightFM WARP": "lightfm", "cmfrec": "cmfrec", "Cornac VBPR": "cornac"}
"""Rows that need a package of their own."""


def installed_methods() -> list[str]:
    """Names of the methods whose packages are there."""
    return [
        name
        for name in METHODS
        if name not in PEERS or importlib.util.find_spec(PEERS[name]) is not None
    ]
