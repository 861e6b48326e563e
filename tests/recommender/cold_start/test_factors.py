from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cornac.data import Dataset
from cornac.models import BPR
from implicit.lmf import LogisticMatrixFactorization
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from indexer.errors import BadFactors
from recommender.cold_start import HybridRecommender
from recommender.cold_start.factors import read_factors
from recommender.cold_start.other_libraries import from_cornac, from_lightfm, from_spark
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
    fitted = from_cornac(model, data)
    plays, user = fitted["user_items"], fitted["user_keys"][3]
    sound = world.embeddings[np.array(fitted["item_keys"])]
    hybrid = HybridRecommender(**fitted, embeddings=sound, route=ROUTE)
    hybrid.add_items([WARM], world.embeddings[WARM : WARM + 1])
    ids, _ = hybrid.recommend(user, plays[3], N=ITEMS)
    assert WARM in ids
    assert not set(ids) & {data.item_ids[column] for column in plays[3].indices}
    pairs = world.train[::-1].tocoo()
    other = Dataset.from_uir(
        list(zip(pairs.row.tolist(), pairs.col.tolist(), pairs.data.tolist(), strict=True))
    )
    with pytest.raises(BadFactors, match="BPR was fitted on other items, or in another order"):
        from_cornac(model, other)
    with pytest.raises(BadFactors, match="BPR is not fitted"):
        from_cornac(BPR(), data)


def test_a_hybrid_stands_on_sparks_frames_whatever_their_order(world: World) -> None:
    rng = np.random.default_rng(0)
    pairs = world.train.tocoo()
    plays = pd.DataFrame({"user": 10 + pairs.row, "item": 1000 + pairs.col, "count": pairs.data})
    frames = []
    for first, factors in ((10, world.model.user_factors), (1000, world.model.item_factors)):
        order = rng.permutation(len(factors))
        frames.append(pd.DataFrame({"id": first + order, "features": factors[order].tolist()}))
    fitted = from_spark(*frames, plays.sample(frac=1, random_state=0))
    sound = world.embeddings[np.array(fitted["item_keys"]) - 1000]
    hybrid = HybridRecommender(**fitted, embeddings=sound, route=ROUTE, content_weight=0.0)
    ids, _ = hybrid.recommend(13, None, filter_already_liked_items=False)
    expected, _ = world.model.recommend(3, None, filter_already_liked_items=False)
    assert (ids - 1000).tolist() == expected.tolist()
    with pytest.raises(BadFactors, match="plays has users that user_df has not"):
        from_spark(frames[0][1:], frames[1], plays)
    with pytest.raises(BadFactors, match="item_df must have the columns id and features"):
        from_spark(frames[0], frames[1][["id"]], plays)


class LikeLightFM:
    """LightFM's own names."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.item_embeddings = rng.standard_normal((9, 4)).astype(np.float32)
        self.item_biases = rng.standard_normal(9).astype(np.float32)
        self.user_embeddings = rng.standard_normal((5, 4)).astype(np.float32)
        self.user_biases = rng.standard_normal(5).astype(np.float32)

    def get_item_representations(self, features=None) -> tuple[np.ndarray, np.ndarray]:
        if features is None:
            return self.item_biases, self.item_embeddings
        return features @ self.item_biases, features @ self.item_embeddings

    def get_user_representations(self, features=None) -> tuple[np.ndarray, np.ndarray]:
        if features is None:
            return self.user_biases, self.user_embeddings
        return features @ self.user_biases, features @ self.user_embeddings


def test_lightfms_scores_but_for_the_users_bias_come_out_of_its_factors() -> None:
    model = LikeLightFM(np.random.default_rng(0))
    read = read_factors(model)
    by_hand = model.user_embeddings @ model.item_embeddings.T + model.item_biases
    np.testing.assert_allclose(read.users @ read.items.T, by_hand, rtol=1e-5)


def test_lightfm_with_features_is_composed_and_without_them_refused(world: World) -> None:
    model = LikeLightFM(np.random.default_rng(0))
    features = csr_matrix(np.random.default_rng(1).random((12, 9), np.float32))
    fitted = from_lightfm(model, world.train, item_features=features)
    read = read_factors(fitted["model"])
    assert read.bias_column == 4
    by_hand = (features @ model.item_embeddings) @ model.user_embeddings.T
    by_hand += (features @ model.item_biases)[:, None]
    np.testing.assert_allclose(read.items @ read.users.T, by_hand, rtol=1e-4)
    with pytest.raises(BadFactors, match="of a LightFM with features, hand over what from_lightfm"):
        HybridRecommender(model, world.train, world.embeddings[:WARM])


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
