from __future__ import annotations

import pickle
import sys
import threading
from copy import deepcopy
from typing import TYPE_CHECKING

import numpy as np
import pytest
from implicit.als import AlternatingLeastSquares
from implicit.bpr import BayesianPersonalizedRanking
from scipy.sparse import csr_matrix, hstack
from threadpoolctl import threadpool_limits

from indexer.errors import (
    AnalysisError,
    BadFactors,
    InvalidOption,
    QueryError,
    UnknownTrack,
)
from recommender.cold_start import HybridRecommender, Route
from recommender.engine import Recommender
from tests.catalogs import Planted, plant
from tests.recommender.cold_start.plays import (
    FACTORS,
    ITEMS,
    NEW,
    ROUTE,
    USERS,
    WARM,
    World,
    factors_of,
    keys,
    recall,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module")
def hybrid(world: World) -> HybridRecommender:
    """Old items and new ones, called by number."""
    made = HybridRecommender(
        world.model, world.train, world.embeddings[:WARM], artists=world.artists[:WARM],
        route=ROUTE,
    )  # fmt: skip
    made.add_items(range(WARM, ITEMS), world.embeddings[WARM:], artists=world.artists[WARM:])
    return made


def test_one_user_and_several_get_the_same(world: World, hybrid: HybridRecommender) -> None:
    ids, scores = hybrid.recommend(7, world.train[7], N=12)
    assert ids.shape == scores.shape == (12,)
    assert (np.diff(scores) <= 0).all()
    assert not set(ids) & set(world.train[7].indices)
    many, their_scores = hybrid.recommend(np.array([3, 7]), world.train[[3, 7]], N=12)
    np.testing.assert_array_equal(many[1], ids)
    np.testing.assert_allclose(their_scores[1], scores, rtol=1e-5)


def test_scores_are_those_of_the_factors(world: World, hybrid: HybridRecommender) -> None:
    ids, scores = hybrid.recommend(7, world.train[7], N=ITEMS, filter_already_liked_items=False)
    expected = hybrid.item_factors(range(ITEMS)) @ hybrid.user_factors([7])[0]
    np.testing.assert_array_equal(ids, np.argsort(-expected, kind="stable"))
    np.testing.assert_allclose(scores, expected[ids], rtol=1e-4, atol=1e-6)


def test_items_with_all_the_plays_in_the_world_are_as_implicit_has_them(world: World) -> None:
    made = HybridRecommender(
        world.model, world.train, world.embeddings[:WARM], route=ROUTE, content_weight=0.0
    )
    ours = made.recommend([1, 2, 3], world.train[1:4], N=10)
    theirs = world.model.recommend(np.array([1, 2, 3]), world.train[1:4], N=10)
    np.testing.assert_array_equal(ours[0], theirs[0])
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-4)
    similar = made.similar_items(5, N=6)
    np.testing.assert_array_equal(similar[0], world.model.similar_items(5, N=6)[0])
    assert similar[0][0] == 5


def test_new_items_are_found_by_those_who_would_play_them(
    world: World, hybrid: HybridRecommender
) -> None:
    everyone = np.arange(USERS)
    ids, _ = hybrid.recommend(
        everyone, world.train, N=10, filter_already_liked_items=False, items=np.arange(WARM, ITEMS)
    )
    truth = world.plays[:, WARM:].toarray() > 0
    hits = np.take_along_axis(truth, ids - WARM, 1)[truth.any(1)].sum(1)
    found = (hits / np.minimum(truth[truth.any(1)].sum(1), 10)).mean()
    chance = recall(np.random.default_rng(0).random(truth.shape), truth)
    assert found > 1.8 * chance


def test_new_items_are_neither_buried_nor_everywhere(
    world: World, hybrid: HybridRecommender
) -> None:
    ids, _ = hybrid.recommend(np.arange(USERS), world.train, N=20)
    share = (ids >= WARM).mean()
    assert 0.5 * NEW / ITEMS < share < 2.5 * NEW / ITEMS


def test_rare_items_are_recommended_more_often_at_no_loss(world: World) -> None:
    """Plays of old items are held out; the long tail is the least played 80 %."""
    rng = np.random.default_rng(0)
    pairs = world.train.tocoo()
    held = rng.random(pairs.nnz) < 0.25

    def part(which: np.ndarray) -> csr_matrix:
        places = (pairs.row[which], pairs.col[which])
        return csr_matrix((pairs.data[which], places), pairs.shape)

    train, truth = part(~held), part(held).toarray() > 0
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=FACTORS, alpha=5.0, iterations=10, random_state=0, num_threads=1
        )
        model.fit(train, show_progress=False)
    made = HybridRecommender(model, train, world.embeddings[:WARM], route=ROUTE)
    plays = np.asarray(train.sum(0)).ravel()
    tail = np.zeros(WARM, bool)
    tail[np.argsort(plays, kind="stable")[: int(0.8 * WARM)]] = True
    everyone = np.arange(USERS)
    answers = {}
    for name, one in (("cf", model), ("hybrid", made)):
        ids, _ = one.recommend(everyone, train, N=10)
        hits = np.take_along_axis(truth, np.asarray(ids), 1)[truth.any(1)].sum(1)
        accuracy = (hits / np.minimum(truth[truth.any(1)].sum(1), 10)).mean()
        answers[name] = accuracy, tail[ids].mean()
    assert answers["hybrid"][0] > 0.95 * answers["cf"][0]
    assert answers["hybrid"][1] > answers["cf"][1]


def test_routes_come_with_every_answer(world: World, hybrid: HybridRecommender) -> None:
    ranked = hybrid.recommend([3, 4], world.train[3:5], N=30)
    assert ranked.routes.shape == (2, 30)
    for ids, routes in zip(ranked[0], ranked.routes, strict=True):
        assert hybrid.routes(ids) == routes.tolist()
        new = {route for one, route in zip(ids, routes, strict=True) if one >= WARM}
        assert new <= {Route.ARTIST, Route.SOUND}
    assert hybrid.routes([0]) == [Route.BLEND]


def test_an_item_is_served_from_plays_where_nothing_was_heard(world: World) -> None:
    sound = world.embeddings[:WARM].copy()
    sound[5] = np.nan
    made = HybridRecommender(world.model, world.train, sound, route=ROUTE)
    assert made.routes([5, 6]) == [Route.PLAYS, Route.BLEND]
    np.testing.assert_array_equal(made.item_factors([5])[0, :FACTORS], world.model.item_factors[5])


def test_a_new_user_gets_what_goes_with_a_few_liked_items(
    world: World, hybrid: HybridRecommender
) -> None:
    rng = np.random.default_rng(0)
    hits, chance = [], []
    for user in range(150):
        liked = rng.permutation(world.train[user].indices)
        ids, _ = hybrid.recommend_liked(liked[:4], N=20)
        assert not set(ids) & set(liked[:4])
        others = world.plays[user].indices
        hits.append(np.isin(ids, others).sum())
        chance.append(20 * (len(others) - 4) / (ITEMS - 4))
    assert np.mean(hits) > 1.5 * np.mean(chance)
    ids, _ = hybrid.recommend_liked([WARM + 1], N=5)
    assert len(ids) == 5


def test_the_callers_names_go_in_and_come_out(world: World) -> None:
    made = HybridRecommender(
        world.model, world.train, world.embeddings[:WARM], route=ROUTE,
        item_keys=keys(0, WARM), user_keys=np.arange(1000, 1000 + USERS),
    )  # fmt: skip
    assert made.add_items(keys(WARM, ITEMS), world.embeddings[WARM:]) == [Route.SOUND] * NEW
    by_number = HybridRecommender(world.model, world.train, world.embeddings[:WARM], route=ROUTE)
    by_number.add_items(range(WARM, ITEMS), world.embeddings[WARM:])
    named, _ = made.recommend(1003, world.train[3], filter_items=["item 9", "item 201"])
    numbers, _ = by_number.recommend(3, world.train[3], filter_items=[9, 201])
    assert named.tolist() == [f"item {number}" for number in numbers]
    few, _ = made.similar_items("item 7", N=3, items=["item 8", "item 230"])
    assert set(few) == {"item 8", "item 230"}


def test_a_matrix_may_be_as_wide_as_the_model_or_as_all_items(
    world: World, hybrid: HybridRecommender
) -> None:
    narrow, _ = hybrid.recommend(3, world.train[3])
    wide = csr_matrix(hstack([world.train[3], csr_matrix((1, NEW))]))
    np.testing.assert_array_equal(hybrid.recommend(3, wide)[0], narrow)
    new = [one for one in hybrid.recommend(3, wide, N=ITEMS)[0] if one >= WARM]
    played = [*world.train[3].indices.tolist(), new[0]]
    wide = csr_matrix((np.ones(len(played)), played, [0, len(played)]), shape=(1, ITEMS))
    assert new[0] not in hybrid.recommend(3, wide, N=ITEMS)[0]


def test_bpr_keeps_its_bias(world: World) -> None:
    with threadpool_limits(1, "blas"):
        model = BayesianPersonalizedRanking(
            factors=FACTORS, iterations=60, random_state=0, num_threads=1
        )
        model.fit(world.train, show_progress=False)
    made = HybridRecommender(model, world.train, world.embeddings[:WARM], route=ROUTE)
    made.add_items(range(WARM, ITEMS), world.embeddings[WARM:])
    truth = world.plays[:, WARM:].toarray() > 0
    scores = made.user_factors(range(USERS)) @ made.item_factors(range(WARM, ITEMS)).T
    assert recall(scores, truth) > 1.3 * recall(np.random.default_rng(0).random(truth.shape), truth)


def test_users_are_recalculated(world: World, plain: HybridRecommender) -> None:
    other = plain.recommend(3, world.train[8], recalculate_user=True, N=20)[0]
    own = plain.recommend(8, world.train[8], N=20)[0]
    assert len(set(other) & set(own)) >= 10
    unknown = plain.recommend(9999, world.train[8], recalculate_user=True, N=20)[0]
    np.testing.assert_array_equal(unknown, other)


def test_an_upload_is_servable_when_add_item_returns(
    original_catalog: Path, original_songs: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    with Recommender.open(original_catalog) as sound:
        names = [track.key for track in sound.tracks(sound.ids())]
        plays = csr_matrix((rng.random((30, 12)) < 0.4).astype(np.float32))
        plays = csr_matrix(np.where(plays.sum(1) == 0, 1.0, plays.toarray()))
        model = factors_of(plays, 3)
        made = HybridRecommender.from_catalog(model, plays, sound, item_keys=names, route=ROUTE)
        song = sorted(original_songs.rglob("*.mp3"))[0]
        route = made.add_item("upload-7", song)
        assert route in (Route.SOUND, Route.ARTIST)
        ids, _ = made.recommend(0, plays[0], N=13, filter_already_liked_items=False)
        assert "upload-7" in ids
        with pytest.raises(InvalidOption, match="path is a file's name, not None"):
            made.add_item("upload-8", None)  # type: ignore[arg-type] # as meant
        with pytest.raises(BadFactors, match="item_keys must be a sequence of keys"):
            HybridRecommender.from_catalog(model, plays, sound, item_keys=None)  # type: ignore[arg-type] # as meant
        (tmp_path / "text.mp3").write_text("no sound")
        with pytest.raises(AnalysisError):
            made.add_item("upload-8", tmp_path / "text.mp3")
        with pytest.raises(BadFactors, match="key has a key twice: 'upload-7'"):
            made.add_item("upload-7", song)
        with pytest.raises(UnknownTrack, match="'upload-8'"):
            made.similar_items("upload-8")
        with pytest.raises(UnknownTrack, match="names no track of the catalog: 'x0', 'x1'"):
            HybridRecommender.from_catalog(
                model, plays, sound, item_keys=[f"x{number}" for number in range(12)]
            )


def test_an_item_whose_file_failed_is_served_from_its_plays(tmp_path: Path) -> None:
    """The catalog has no vector of it; others are heard."""
    rng = np.random.default_rng(0)
    catalog = plant(
        tmp_path, ("loud",),
        [Planted(f"T {n}", vector=rng.standard_normal(8).tolist()) for n in range(12)],
    )  # fmt: skip
    plays = csr_matrix((rng.random((30, 13)) < 0.4).astype(np.float32))
    model = factors_of(plays, 3)
    with Recommender.open(catalog) as sound:
        names = [*(track.key for track in sound.tracks(sound.ids())), "failed.mp3"]
        made = HybridRecommender.from_catalog(model, plays, sound, item_keys=names, route=ROUTE)
    assert made.routes(["failed.mp3"]) == [Route.PLAYS]
    np.testing.assert_allclose(made.item_factors(["failed.mp3"])[0, :3], model[1][12], rtol=1e-6)
    assert made.routes(names[:1]) == [Route.BLEND]


def test_a_model_fitted_anew_changes_nothing(world: World) -> None:
    users, items = world.model.user_factors.copy(), world.model.item_factors.copy()
    made = HybridRecommender((users, items), world.train, world.embeddings[:WARM], route=ROUTE)
    before = made.recommend([3, 4], world.train[3:5])
    users[:], items[:] = 1.0, 1.0
    after = made.recommend([3, 4], world.train[3:5])
    np.testing.assert_array_equal(after[0], before[0])
    np.testing.assert_array_equal(after[1], before[1])


def pickled(made: HybridRecommender) -> HybridRecommender:
    copied: HybridRecommender = pickle.loads(pickle.dumps(made))  # noqa: S301 - its own bytes
    return copied


@pytest.mark.parametrize("copied", [deepcopy, pickled])
def test_a_copy_answers_as_the_original_and_takes_new_items(
    world: World, copied: Callable[[HybridRecommender], HybridRecommender]
) -> None:
    made = HybridRecommender(world.model, world.train, world.embeddings[:WARM], route=ROUTE)
    other = copied(made)
    np.testing.assert_array_equal(
        other.recommend(3, world.train[3])[1], made.recommend(3, world.train[3])[1]
    )
    other.add_items([WARM], world.embeddings[WARM : WARM + 1])
    assert (len(other), len(made)) == (WARM + 1, WARM)
    with pytest.raises(QueryError, match="add_item needs an open catalog"):
        other.add_item(WARM + 1, "song.mp3")


def test_an_item_comes_first_among_those_that_sound_the_same(world: World) -> None:
    made = HybridRecommender(world.model, world.train, world.embeddings[:WARM], route=ROUTE)
    made.add_items(range(WARM, WARM + 5), np.repeat(world.embeddings[WARM : WARM + 1], 5, axis=0))
    asked = np.arange(WARM, WARM + 5)
    for count in (1, 3, 8):
        ids, scores = made.similar_items(asked, N=count)
        np.testing.assert_array_equal(ids[:, 0], asked)
        assert (np.diff(scores, axis=1) <= 0).all()
        assert all(len(set(row)) == count for row in ids.tolist())
    ids, _ = made.similar_items(WARM + 3, N=2, items=[WARM + 1, WARM + 3])
    assert ids.tolist() == [WARM + 3, WARM + 1]
    ids, _ = made.similar_items(WARM + 3, N=4, filter_items=[WARM + 3])
    assert set(ids) == {WARM, WARM + 1, WARM + 2, WARM + 4}


def test_questions_while_another_thread_adds(world: World) -> None:
    made = HybridRecommender(world.model, world.train, world.embeddings[:WARM], route=ROUTE)
    done = threading.Event()

    def add() -> None:
        try:
            for number in range(WARM, WARM + 300):
                made.add_items([number], world.embeddings[:1])
        finally:
            done.set()

    adding = threading.Thread(target=add)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        adding.start()
        while not done.is_set():
            try:
                made.routes([len(made)])
                made.item_factors([len(made)])
            except UnknownTrack:
                continue
    finally:
        adding.join()
        sys.setswitchinterval(interval)
    assert len(made) == WARM + 300


def test_what_was_played_more_says_more_of_a_user(world: World, plain: HybridRecommender) -> None:
    def row(*plays: float) -> csr_matrix:
        return csr_matrix((plays, [5, 60], [0, 2]), (1, WARM))

    def scores(*plays: float) -> np.ndarray:
        ids, found = plain.recommend(
            3, row(*plays), N=WARM, filter_already_liked_items=False, recalculate_user=True
        )
        return found[np.argsort(ids)]

    alone = csr_matrix(([1.0], [5], [0, 1]), (1, WARM))
    ids, found = plain.recommend(
        3, alone, N=WARM, filter_already_liked_items=False, recalculate_user=True
    )
    np.testing.assert_allclose(scores(1e6, 1.0), found[np.argsort(ids)], atol=1e-4)
    assert np.abs(scores(1000.0, 1.0) - scores(1.0, 1000.0)).max() > 0.1
    np.testing.assert_allclose(scores(7.0, 7.0), scores(1.0, 1.0), atol=1e-5)
    for plays, message in (((-1.0, 2.0), "a number below 0"), ((1.0, np.nan), "NaN or infinity")):
        with pytest.raises(BadFactors, match=f"user_items has {message}.* in row 0"):
            plain.recommend(3, row(*plays), recalculate_user=True)
        # Where they only say what to leave out they may be anything.
        assert not {5, 60} & set(plain.recommend(3, row(*plays), N=WARM)[0])
