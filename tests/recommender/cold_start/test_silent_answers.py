"""What implicit 0.7.3 answers silently, each beside its own call."""

from __future__ import annotations

import numpy as np
import pytest
from implicit.als import AlternatingLeastSquares
from implicit.ann.faiss import FaissModel
from scipy.sparse import csr_matrix, vstack
from threadpoolctl import threadpool_limits

from indexer.errors import BadFactors, InvalidOption, UnknownTrack, UnknownUser
from recommender.cold_start import HybridRecommender, Route
from tests.recommender.cold_start.plays import FACTORS, ROUTE, USERS, WARM, World


def lonely(world: World) -> tuple[csr_matrix, AlternatingLeastSquares]:
    """Listener 0 has no history and item 0 was never played."""
    train = world.train.tolil()
    train[0] = 0
    train[:, 0] = 0
    train = csr_matrix(train)
    train.eliminate_zeros()
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(factors=FACTORS, random_state=0, num_threads=1)
        model.fit(train, show_progress=False)
    return train, model


def test_a_user_without_history_is_an_error_not_the_last_items(world: World) -> None:
    train, model = lonely(world)
    ids, scores = model.recommend(0, train[0], N=10)
    assert ids.tolist() == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert (scores == 0).all()
    made = HybridRecommender(model, train, world.embeddings[:WARM], route=ROUTE)
    with pytest.raises(UnknownUser, match="the users 0 have played no item"):
        made.recommend(0, train[0])
    ids, scores = made.recommend([0, 1], train[:2], on_missing="skip")
    assert (ids[0] == -1).all()
    assert np.isnan(scores[0]).all()
    np.testing.assert_array_equal(ids[1], made.recommend(1, train[1])[0])
    # What is liked since then counts.
    assert len(made.recommend(0, world.train[0])[0]) == 10


def test_an_item_without_plays_is_heard_or_refused(world: World) -> None:
    train, model = lonely(world)
    ids, scores = model.similar_items(0, N=10)
    assert (scores == 0).all()
    sound = world.embeddings[:WARM].copy()
    made = HybridRecommender(model, train, sound, route=ROUTE)
    assert made.routes([0]) == [Route.SOUND]
    ids, scores = made.similar_items(0, N=3)
    assert ids[0] == 0
    assert scores[0] == pytest.approx(1.0)
    sound[0] = np.nan
    deaf = HybridRecommender(model, train, sound, route=ROUTE)
    assert 0 not in deaf.recommend(1, train[1], N=WARM)[0]
    with pytest.raises(UnknownTrack, match="items without plays and without an embedding: 0"):
        deaf.similar_items(0)
    for items in ([0], [3, 4, 0]):
        with pytest.raises(UnknownTrack, match="items names items without plays"):
            deaf.recommend(3, train[3], items=items)


def test_minus_one_is_not_the_last_item(world: World, plain: HybridRecommender) -> None:
    assert world.model.similar_items(-1, N=1)[0][0] == WARM - 1
    with pytest.raises(UnknownTrack, match="itemid names no item that exists: -1"):
        plain.similar_items(-1)
    with pytest.raises(UnknownUser, match="userid names no user that exists: -1"):
        plain.recommend(-1, world.train[0])


def test_what_is_left_out_does_not_fill_the_answer(world: World, plain: HybridRecommender) -> None:
    all_but_three = np.arange(3, WARM)
    ids, scores = world.model.recommend(
        5, world.train[5], N=6, filter_items=all_but_three, filter_already_liked_items=False
    )
    assert (scores < -3e38).sum() == 3
    ids, scores = plain.recommend(
        5, world.train[5], N=6, filter_items=all_but_three, filter_already_liked_items=False
    )
    assert set(ids) == {0, 1, 2}
    assert np.isfinite(scores).all()
    rows, their_scores = plain.recommend(
        [5, 6], world.train[5:7], N=6, filter_items=all_but_three, filter_already_liked_items=False
    )
    assert (rows[:, 3:] == -1).all()
    assert np.isnan(their_scores[:, 3:]).all()


def test_nothing_is_added_past_the_end(world: World) -> None:
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(factors=FACTORS, random_state=0, num_threads=1)
        model.fit(world.train, show_progress=False)
    users = csr_matrix(np.ones((1, USERS), np.float32))
    model.partial_fit_items([WARM + 5], users)
    assert (model.item_factors[WARM : WARM + 5] == 0).all()
    made = HybridRecommender(world.model, world.train, world.embeddings[:WARM], route=ROUTE)
    with pytest.raises(BadFactors, match=f"keys must continue with {WARM}"):
        made.add_items([WARM + 5], world.embeddings[:1])
    assert len(made) == WARM


def test_an_empty_choice_is_an_error_in_a_sentence(world: World, plain: HybridRecommender) -> None:
    with pytest.raises(IndexError):
        world.model.recommend(5, world.train[5], items=[])
    with pytest.raises(InvalidOption, match="items is empty"):
        plain.recommend(5, world.train[5], items=[])


def test_a_user_is_recalculated_where_the_ann_wrapper_fails(world: World) -> None:
    """The wrapper asks the model for "+_user_factor"."""
    model = AlternatingLeastSquares(factors=FACTORS, random_state=0, num_threads=1)
    with threadpool_limits(1, "blas"):
        wrapped = FaissModel(model, nlist=4, nprobe=4, use_gpu=False)
        wrapped.fit(world.train, show_progress=False)
    with pytest.raises(NotImplementedError, match="recalculate_user isn't supported"):
        wrapped.recommend(3, world.train[8], recalculate_user=True)
    sound = world.embeddings[:WARM]
    made = HybridRecommender(wrapped, world.train, sound, route=ROUTE)
    ids, scores = made.recommend(3, world.train[8], recalculate_user=True)
    assert len(ids) == 10
    bare = HybridRecommender(model, world.train, sound, route=ROUTE)
    np.testing.assert_array_equal(
        bare.recommend(3, world.train[8], recalculate_user=True)[1], scores
    )


def test_plays_of_an_item_that_nothing_is_known_of_say_nothing(world: World) -> None:
    train, model = lonely(world)
    played = csr_matrix(([1.0], [0], [0, 1]), (1, WARM))
    ids, scores = model.recommend(0, played, N=5, recalculate_user=True)
    assert (scores == 0).all()
    sound = world.embeddings[:WARM].copy()
    sound[0] = np.nan
    made = HybridRecommender(model, train, sound, route=ROUTE)
    for user, recalculate in ((0, False), (3, True), (9999, True)):
        with pytest.raises(UnknownUser, match=f"users? .*{user}"):
            made.recommend(user, played, recalculate_user=recalculate)
    ids, scores = made.recommend([0, 1], vstack([played, train[1]]).tocsr(), on_missing="skip")
    assert (ids[0] == -1).all()
    assert (ids[1] >= 0).all()
    liked = csr_matrix(([1.0, 1.0, 1.0], [0, 4, 7], [0, 3]), (1, WARM))
    known = csr_matrix(([1.0, 1.0], [4, 7], [0, 2]), (1, WARM))
    _, diluted = made.recommend(0, liked)
    np.testing.assert_array_equal(diluted, made.recommend(0, known)[1])
