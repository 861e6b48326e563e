"""What implicit's own tests ask of a model, asked of implicit and of a hybrid without new items."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from implicit.cpu.matrix_factorization_base import MatrixFactorizationBase
from implicit.evaluation import precision_at_k, ranking_metrics_at_k, train_test_split
from scipy.sparse import csr_array, csr_matrix

from indexer.errors import InvalidOption, UnknownTrack, UnknownUser
from recommender.cold_start import HybridRecommender
from tests.recommender.cold_start.plays import ROUTE, USERS, WARM, World, fitted

if TYPE_CHECKING:
    from collections.abc import Callable

Model = Any


@pytest.fixture(scope="module")
def as_implicit(world: World) -> HybridRecommender:
    """A hybrid that ranks as its model does."""
    return HybridRecommender(
        world.model, world.train, world.embeddings[:WARM], route=ROUTE, content_weight=0.0
    )


@pytest.fixture(params=["implicit", "hybrid"])
def model(request: pytest.FixtureRequest, world: World, as_implicit: HybridRecommender) -> Model:
    return world.model if request.param == "implicit" else as_implicit


@pytest.mark.parametrize("name", ["recommend", "similar_items", "similar_users"])
def test_parameters_are_implicits(name: str) -> None:
    theirs = inspect.signature(getattr(MatrixFactorizationBase, name)).parameters
    ours = inspect.signature(getattr(HybridRecommender, name)).parameters
    assert list(ours)[: len(theirs)] == list(theirs)
    for parameter, one in theirs.items():
        if one.default is not inspect.Parameter.empty:
            assert ours[parameter].default == one.default


@pytest.mark.parametrize(
    "ask",
    [
        lambda one, world: one.recommend(7, world.train[7], N=12),
        lambda one, world: one.recommend([7, 3], world.train[[7, 3]], N=12),
        lambda one, _: one.recommend(7, None, N=12, filter_already_liked_items=False),
        lambda one, world: one.recommend(7, world.train[7], N=12, filter_items=[0, 3, 5]),
        lambda one, world: one.recommend(
            [7, 3], world.train[[7, 3]], N=5, items=[90, 4, 17, 60, 61, 62, 63, 64, 65, 66, 67, 3]
        ),
        lambda one, _: one.similar_items(5, N=12),
        lambda one, _: one.similar_items([5, 0], N=12),
        lambda one, _: one.similar_items(5, N=12, filter_items=[5, 6]),
        lambda one, _: one.similar_items(5, N=3, items=[80, 4, 17]),
        lambda one, _: one.similar_users(5, N=12),
        lambda one, _: one.similar_users([5, 9], N=3, users=[80, 4, 17]),
        lambda one, _: one.similar_users(5, N=12, filter_users=[5, 6]),
    ],
)
def test_answers_are_implicits(
    ask: Callable[[Model, World], Any], world: World, as_implicit: HybridRecommender
) -> None:
    ids, scores = ask(as_implicit, world)
    their_ids, their_scores = ask(world.model, world)
    np.testing.assert_array_equal(ids, their_ids)
    np.testing.assert_allclose(scores, their_scores, rtol=1e-4, atol=1e-5)
    assert ids.dtype == np.int32
    assert scores.dtype == their_scores.dtype == np.float32


def test_liked_items_are_filtered_or_not(model: Model, world: World) -> None:
    for user in range(40):
        row = world.train[user]
        ids, _ = model.recommend(user, row, N=WARM - row.nnz)
        assert not set(ids) & set(row.indices)
        ids, _ = model.recommend(user, row, N=WARM, filter_already_liked_items=False)
        assert set(ids) == set(range(WARM))
        first = int(ids[0])
        ids, _ = model.recommend(user, row, N=5, filter_items=[first])
        assert first not in ids


def test_only_given_items_are_ranked_and_liked_ones_left_out(model: Model, world: World) -> None:
    row = world.train[7]
    new = np.setdiff1d(np.arange(WARM), row.indices)[:8]
    given = np.concatenate([row.indices[:2], new])
    ids, scores = model.recommend(7, row, N=8, items=given)
    assert set(ids) == set(new)
    assert (np.diff(scores) <= 0).all()
    ids, _ = model.recommend(7, row, N=10, items=given, filter_already_liked_items=False)
    assert set(ids) == set(given)


def test_a_batch_is_its_single_questions(model: Model, world: World) -> None:
    users = np.array([31, 2, 99])
    ids, scores = model.recommend(users, world.train[users], N=9)
    for row, user in enumerate(users):
        alone, own_scores = model.recommend(int(user), world.train[user], N=9)
        np.testing.assert_array_equal(ids[row], alone)
        np.testing.assert_allclose(scores[row], own_scores, rtol=1e-4, atol=1e-6)
    items, cosines = model.similar_items(users, N=4)
    assert (items[:, 0] == users).all()
    np.testing.assert_allclose(cosines[:, 0], 1, rtol=1e-5)


def test_a_recalculated_user_gets_nearly_the_same(model: Model, world: World) -> None:
    shared = []
    for user in range(30):
        own, _ = model.recommend(user, world.train[user], N=20)
        again, _ = model.recommend(user, world.train[user], N=20, recalculate_user=True)
        shared.append(len(set(own) & set(again)) / 20)
    assert np.mean(shared) > 0.6


def test_a_recalculated_item_is_like_what_its_users_play(model: Model, world: World) -> None:
    by_item = csr_matrix(world.train.T.tocsr())
    before, _ = model.similar_items(5, N=20)
    after, _ = model.similar_items(5, N=20, recalculate_item=True, item_users=by_item[5])
    other, _ = model.similar_items(5, N=20, recalculate_item=True, item_users=by_item[60])
    assert len(set(before) & set(after)) > len(set(before) & set(other))


def test_what_does_not_exist_is_an_error(model: Model, world: World) -> None:
    for wrong in (
        lambda: model.recommend(7, world.train[7], items=[WARM + 5]),
        lambda: model.similar_items(WARM + 5),
        lambda: model.similar_users(USERS + 5),
    ):
        with pytest.raises(LookupError):
            wrong()
    with pytest.raises(ValueError, match="CSR"):
        model.recommend(7, world.train[7].toarray())
    with pytest.raises(ValueError, match="filter"):
        model.recommend(7, world.train[7], items=[1, 2], filter_items=[3])
    with pytest.raises(ValueError, match="row"):
        model.recommend([7, 8], world.train[7])


def test_scipys_sparse_arrays_are_taken(world: World, as_implicit: HybridRecommender) -> None:
    plays = csr_array(world.train)
    expected = as_implicit.recommend(7, world.train[7])[0]
    for row in (plays[7], plays[[7]]):
        np.testing.assert_array_equal(as_implicit.recommend(7, row)[0], expected)
    made = HybridRecommender(world.model, plays, world.embeddings[:WARM], route=ROUTE)
    assert len(made) == WARM


def test_implicits_own_evaluation_runs_on_a_hybrid(world: World) -> None:
    train, test = train_test_split(world.train, random_state=0)
    made = HybridRecommender(
        fitted(train), train, world.embeddings[:WARM], route=ROUTE, content_weight=0.0
    )
    # Not equal: items that nobody has played in the split come from their sound.
    assert precision_at_k(made, train, test, K=10, show_progress=False) == pytest.approx(
        precision_at_k(fitted(train), train, test, K=10, show_progress=False), rel=0.1
    )
    assert ranking_metrics_at_k(made, train, test, K=10, show_progress=False)["ndcg"] > 0.1


def test_similar_users_have_played_something(world: World) -> None:
    train = world.train.tolil()
    train[0] = 0
    train = csr_matrix(train)
    made = HybridRecommender(world.model, train, world.embeddings[:WARM], route=ROUTE)
    assert 0 not in made.similar_users(1, N=USERS)[0]
    with pytest.raises(UnknownUser, match="the users 0 have played no item"):
        made.similar_users(0)
    with pytest.raises(UnknownUser, match="users names users without plays: 0"):
        made.similar_users(1, users=[0, 1])
    with pytest.raises(InvalidOption, match="filter_users and users exclude each other"):
        made.similar_users(1, users=[1], filter_users=[2])


def test_errors_are_pythons_kinds(world: World, as_implicit: HybridRecommender) -> None:
    for kind, own, ask in (
        (LookupError, UnknownTrack, lambda: as_implicit.similar_items(900)),
        (LookupError, UnknownUser, lambda: as_implicit.recommend(900, world.train[0])),
        (ValueError, InvalidOption, lambda: as_implicit.recommend(3, world.train[3], N=0)),
    ):
        with pytest.raises(kind) as caught:
            ask()
        assert caught.type is own
