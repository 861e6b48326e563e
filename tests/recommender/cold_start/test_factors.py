from __future__ import annotations

import numpy as np
from cornac.data import Dataset
from cornac.models import BPR
from implicit.lmf import LogisticMatrixFactorization
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from recommender.cold_start import HybridRecommender
from recommender.cold_start.factors import read_factors
from tests.recommender.cold_start.plays import ITEMS, NEW, ROUTE, World

WARM = ITEMS - NEW


def cornac_bpr(train: csr_matrix) -> tuple[BPR, Dataset]:
    pairs = train.tocoo()
    triples = zip(pairs.row.tolist(), pairs.col.tolist(), pairs.data.tolist(), strict=True)
    data = Dataset.from_uir(list(triples), seed=0)
    return BPR(k=6, max_iter=20, seed=0).fit(data), data


def test_cornacs_scores_come_out_of_its_factors(world: World) -> None:
    model, _ = cornac_bpr(world.train)
    read = read_factors(model)
    assert read.bias_column == 6
    np.testing.assert_allclose(read.items @ read.users[3], model.score(3), rtol=1e-4, atol=1e-5)


def test_a_hybrid_stands_on_cornac_by_its_own_names(world: World) -> None:
    model, data = cornac_bpr(world.train)
    plays = data.csr_matrix
    sound = world.embeddings[np.array(data.item_ids)]
    hybrid = HybridRecommender(
        model, plays, sound, item_keys=data.item_ids, user_keys=data.user_ids,
        route=ROUTE,
    )  # fmt: skip
    hybrid.add_items([WARM], world.embeddings[WARM : WARM + 1])
    user = list(data.user_ids)[3]
    ids, _ = hybrid.recommend(user, plays[3], N=ITEMS)
    assert WARM in ids
    assert not set(ids) & {data.item_ids[column] for column in plays[3].indices}


class LikeLightFM:
    """LightFM's own names."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.item_embeddings = rng.standard_normal((9, 4)).astype(np.float32)
        self.item_biases = rng.standard_normal(9).astype(np.float32)
        self.user_embeddings = rng.standard_normal((5, 4)).astype(np.float32)
        self.user_biases = rng.standard_normal(5).astype(np.float32)

    def get_item_representations(self) -> tuple[np.ndarray, np.ndarray]:
        return self.item_biases, self.item_embeddings

    def get_user_representations(self) -> tuple[np.ndarray, np.ndarray]:
        return self.user_biases, self.user_embeddings


def test_lightfms_scores_but_for_the_users_bias_come_out_of_its_factors() -> None:
    model = LikeLightFM(np.random.default_rng(0))
    read = read_factors(model)
    by_hand = model.user_embeddings @ model.item_embeddings.T + model.item_biases
    np.testing.assert_allclose(read.users @ read.items.T, by_hand, rtol=1e-5)


def test_implicits_logistic_factors_keep_the_bias_of_items(world: World) -> None:
    with threadpool_limits(1, "blas"):
        model = LogisticMatrixFactorization(factors=4, iterations=5, random_state=0, num_threads=1)
        model.fit(world.train, show_progress=False)
    read = read_factors(model)
    assert read.bias_column == 4
    assert (read.users[:, 4] == 1).all()
    plain = HybridRecommender(
        model, world.train, world.embeddings[:WARM], route=ROUTE, content_weight=0.0
    )
    theirs, their_scores = model.recommend(3, world.train[3])
    ids, scores = plain.recommend(3, world.train[3])
    np.testing.assert_array_equal(ids, theirs)
    np.testing.assert_allclose(scores + model.user_factors[3, 5], their_scores, atol=1e-4)
