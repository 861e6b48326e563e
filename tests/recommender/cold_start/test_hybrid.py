from __future__ import annotations

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
    UnknownListener,
    UnknownTrack,
)
from recommender.cold_start import FactorRegressor, HybridRecommender, Route
from recommender.engine import Recommender
from tests.recommender.cold_start.listeners import FACTORS, ITEMS, LISTENERS, NEW, World, recall

if TYPE_CHECKING:
    from pathlib import Path

WARM = ITEMS - NEW
RIDGE = FactorRegressor("ridge")


def keys(start: int, stop: int) -> list[str]:
    return [f"item {number}" for number in range(start, stop)]


@pytest.fixture(scope="module")
def hybrid(world: World) -> HybridRecommender:
    """Old items and new ones, called by number."""
    made = HybridRecommender(
        world.model, world.train, world.embeddings[:WARM], artists=world.artists[:WARM],
        regressor=RIDGE,
    )  # fmt: skip
    made.add_items(range(WARM, ITEMS), world.embeddings[WARM:], artists=world.artists[WARM:])
    return made


@pytest.fixture(scope="module")
def plain(world: World) -> HybridRecommender:
    return HybridRecommender(world.model, world.train, world.embeddings[:WARM], regressor=RIDGE)


def test_one_listener_and_several_get_the_same(world: World, hybrid: HybridRecommender) -> None:
    ids, scores = hybrid.recommend(7, world.train[7], N=12)
    assert ids.shape == scores.shape == (12,)
    assert (np.diff(scores) <= 0).all()
    assert not set(ids) & set(world.train[7].indices)
    many, their_scores = hybrid.recommend(np.array([3, 7]), world.train[[3, 7]], N=12)
    np.testing.assert_array_equal(many[1], ids)
    np.testing.assert_allclose(their_scores[1], scores, rtol=1e-5)


def test_scores_are_those_of_the_factors(world: World, hybrid: HybridRecommender) -> None:
    ids, scores = hybrid.recommend(7, world.train[7], N=ITEMS, filter_already_liked_items=False)
    expected = hybrid.item_factors(range(ITEMS)) @ world.model.user_factors[7]
    np.testing.assert_array_equal(ids, np.argsort(-expected, kind="stable"))
    np.testing.assert_allclose(scores, expected[ids], rtol=1e-4, atol=1e-6)


def test_items_with_all_the_plays_in_the_world_are_as_implicit_has_them(world: World) -> None:
    made = HybridRecommender(
        world.model, world.train, world.embeddings[:WARM], regressor=RIDGE, k=0.0
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
    everyone = np.arange(LISTENERS)
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
    ids, _ = hybrid.recommend(np.arange(LISTENERS), world.train, N=20)
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
    made = HybridRecommender(model, train, world.embeddings[:WARM], regressor=RIDGE)
    plays = np.asarray(train.sum(0)).ravel()
    tail = np.zeros(WARM, bool)
    tail[np.argsort(plays, kind="stable")[: int(0.8 * WARM)]] = True
    everyone = np.arange(LISTENERS)
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
    made = HybridRecommender(world.model, world.train, sound, regressor=RIDGE)
    assert made.routes([5, 6]) == [Route.PLAYS, Route.BLEND]
    np.testing.assert_array_equal(made.item_factors([5])[0], world.model.item_factors[5])


def test_a_new_listener_gets_what_goes_with_a_few_liked_items(
    world: World, hybrid: HybridRecommender
) -> None:
    rng = np.random.default_rng(0)
    hits, chance = [], []
    for listener in range(150):
        liked = rng.permutation(world.train[listener].indices)
        ids, _ = hybrid.recommend_liked(liked[:4], N=20)
        assert not set(ids) & set(liked[:4])
        others = world.plays[listener].indices
        hits.append(np.isin(ids, others).sum())
        chance.append(20 * (len(others) - 4) / (ITEMS - 4))
    assert np.mean(hits) > 1.5 * np.mean(chance)
    ids, _ = hybrid.recommend_liked([WARM + 1], N=5)
    assert len(ids) == 5


def test_the_callers_names_go_in_and_come_out(world: World) -> None:
    made = HybridRecommender(
        world.model, world.train, world.embeddings[:WARM], regressor=RIDGE,
        item_keys=keys(0, WARM), user_keys=np.arange(1000, 1000 + LISTENERS),
    )  # fmt: skip
    assert made.add_items(keys(WARM, ITEMS), world.embeddings[WARM:]) == [Route.SOUND] * NEW
    by_number = HybridRecommender(
        world.model, world.train, world.embeddings[:WARM], regressor=RIDGE
    )
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
    made = HybridRecommender(model, world.train, world.embeddings[:WARM], regressor=RIDGE)
    made.add_items(range(WARM, ITEMS), world.embeddings[WARM:])
    truth = world.plays[:, WARM:].toarray() > 0
    scores = model.user_factors @ made.item_factors(range(WARM, ITEMS)).T
    assert recall(scores, truth) > 1.3 * recall(np.random.default_rng(0).random(truth.shape), truth)


# What implicit 0.7.3 answers silently, each beside its own call.


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


def test_a_listener_without_history_is_an_error_not_the_last_items(world: World) -> None:
    train, model = lonely(world)
    ids, scores = model.recommend(0, train[0], N=10)
    assert ids.tolist() == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert (scores == 0).all()
    made = HybridRecommender(model, train, world.embeddings[:WARM], regressor=RIDGE)
    with pytest.raises(UnknownListener, match="nothing is known of the listeners 0"):
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
    made = HybridRecommender(model, train, sound, regressor=RIDGE)
    assert made.routes([0]) == [Route.SOUND]
    ids, scores = made.similar_items(0, N=3)
    assert ids[0] == 0
    assert scores[0] == pytest.approx(1.0)
    sound[0] = np.nan
    deaf = HybridRecommender(model, train, sound, regressor=RIDGE)
    assert 0 not in deaf.recommend(1, train[1], N=WARM)[0]
    with pytest.raises(UnknownTrack, match="nobody has played and that were not heard: 0"):
        deaf.similar_items(0)


def test_minus_one_is_not_the_last_item(world: World, plain: HybridRecommender) -> None:
    assert world.model.similar_items(-1, N=1)[0][0] == WARM - 1
    with pytest.raises(UnknownTrack, match="itemid names no item there is: -1"):
        plain.similar_items(-1)
    with pytest.raises(UnknownListener, match="userid names no listener there is: -1"):
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
    users = csr_matrix(np.ones((1, LISTENERS), np.float32))
    model.partial_fit_items([WARM + 5], users)
    assert (model.item_factors[WARM : WARM + 5] == 0).all()
    made = HybridRecommender(world.model, world.train, world.embeddings[:WARM], regressor=RIDGE)
    with pytest.raises(BadFactors, match=f"keys must go on with {WARM}"):
        made.add_items([WARM + 5], world.embeddings[:1])
    assert len(made) == WARM


def test_an_empty_choice_is_an_error_in_a_sentence(world: World, plain: HybridRecommender) -> None:
    with pytest.raises(IndexError):
        world.model.recommend(5, world.train[5], items=[])
    with pytest.raises(InvalidOption, match="items is empty"):
        plain.recommend(5, world.train[5], items=[])


def test_listeners_are_recalculated(world: World, plain: HybridRecommender) -> None:
    other = plain.recommend(3, world.train[8], recalculate_user=True, N=20)[0]
    own = plain.recommend(8, world.train[8], N=20)[0]
    assert len(set(other) & set(own)) >= 10
    unknown = plain.recommend(9999, world.train[8], recalculate_user=True, N=20)[0]
    np.testing.assert_array_equal(unknown, other)


# What does not fit.


def refused(world: World, said: str, **changed: object) -> None:
    arguments: dict[str, object] = {
        "model": world.model,
        "user_items": world.train,
        "embeddings": world.embeddings[:WARM],
        "regressor": RIDGE,
    }
    with pytest.raises(BadFactors, match=said):
        HybridRecommender(**{**arguments, **changed})  # type: ignore[arg-type] # as meant


def test_what_cannot_be_built_on_is_refused_by_name(world: World) -> None:
    users, items = world.model.user_factors.copy(), world.model.item_factors.copy()
    broken = items.copy()
    broken[[3, 8]] = np.nan
    refused(world, "item_factors has NaN or infinity in rows 3, 8", model=(users, broken))
    refused(world, "both must come from one model", model=(users[:, :5], items))
    refused(world, "fewer items than factors", model=(users, items[:5]))
    refused(world, "AlternatingLeastSquares is not fitted", model=AlternatingLeastSquares())
    refused(world, "a dict has no factors to read", model={})
    refused(world, "user_items has the shape", user_items=world.train[:10])
    refused(world, "user_items must be a sparse matrix", user_items=world.train.toarray())
    refused(world, "user_items holds no plays", user_items=csr_matrix(world.train.shape))
    nan = world.train.copy()
    nan.data[nan.indptr[4]] = np.nan
    refused(world, "user_items has NaN or infinity in row 4", user_items=nan)
    sound = world.embeddings[:WARM].copy()
    sound[11, 2] = np.inf
    refused(world, "embeddings has NaN or infinity in row 11", embeddings=sound)
    refused(world, "200 rows were expected", embeddings=sound[:7])
    refused(world, "no item has both plays", embeddings=np.full_like(sound, np.nan))
    names = [*keys(0, WARM - 1), "item 4"]
    refused(world, "item_keys has a key twice: 'item 4', in row 199", item_keys=names)
    refused(
        world, "item_keys must be str: 17 is not, in row 3", item_keys=[*names[:3], 17, *names[4:]]
    )
    refused(world, "item_keys must be int or str: 0.0 is not", item_keys=np.arange(WARM) * 1.0)
    refused(world, "item_keys names 3 items of 200", item_keys=keys(0, 3))
    refused(world, "artists names 1 items of 200", artists=["x"])


def test_questions_that_make_no_sense_are_refused(world: World, plain: HybridRecommender) -> None:
    row = world.train[3]
    for said, ask in (
        ("N is 0", lambda: plain.recommend(3, row, N=0)),
        ("items names an item twice, in row 2", lambda: plain.recommend(3, row, items=[5, 6, 5])),
        ("exclude each other", lambda: plain.recommend(3, row, items=[5], filter_items=[6])),
        ("must be int", lambda: plain.recommend(3, row, items=["5"])),
        ("must be int.*True is bool", lambda: plain.similar_items(True)),
        ("userid must be int", lambda: plain.recommend("3", row)),
        ("user_items must be a CSR matrix", lambda: plain.recommend(3, row.toarray())),
        ("user_items must be a CSR matrix, not NoneType", lambda: plain.recommend(3)),
        ("liked is empty", lambda: plain.recommend_liked([])),
        ("on_missing is 'drop'", lambda: plain.recommend(3, row, on_missing="drop")),
    ):
        with pytest.raises(InvalidOption, match=said):
            ask()
    with pytest.raises(BadFactors, match="user_items has 2 rows for 1 listeners"):
        plain.recommend(3, world.train[3:5])
    with pytest.raises(BadFactors, match="columns: there are 200 items"):
        plain.recommend(3, csr_matrix((1, 7)))
    with pytest.raises(UnknownTrack, match="900, 901, 902, 903, 904 and 2 more"):
        plain.recommend(3, row, items=np.arange(900, 907))


def test_a_bad_upload_leaves_everything_as_it_was(world: World) -> None:
    made = HybridRecommender(world.model, world.train, world.embeddings[:WARM], regressor=RIDGE)
    before = made.recommend(3, world.train[3])[0]
    bad = world.embeddings[WARM : WARM + 2].copy()
    bad[1, 0] = np.nan
    for said, ids, sound in (
        ("embeddings has NaN or infinity in row 1", [WARM, WARM + 1], bad),
        ("a key twice: 3|must go on", [3], bad[:1]),
        ("embeddings has the shape", [WARM], bad[:1, :3]),
    ):
        with pytest.raises(BadFactors, match=said):
            made.add_items(ids, sound)
    with pytest.raises(QueryError, match="nothing to hear files with"):
        made.add_item(WARM, "song.mp3")
    assert len(made) == WARM
    np.testing.assert_array_equal(made.recommend(3, world.train[3])[0], before)


def test_an_upload_is_servable_when_add_item_returns(
    original_catalog: Path, original_songs: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    with Recommender.open(original_catalog) as sound:
        names = [track.key for track in sound.tracks(sound.ids())]
        plays = csr_matrix((rng.random((30, 12)) < 0.4).astype(np.float32))
        plays = csr_matrix(np.where(plays.sum(1) == 0, 1.0, plays.toarray()))
        model = rng.standard_normal((30, 3)), rng.standard_normal((12, 3))
        made = HybridRecommender.from_catalog(
            model, plays, sound, item_keys=names, regressor=FactorRegressor("ridge")
        )
        song = sorted(original_songs.rglob("*.mp3"))[0]
        route = made.add_item("upload-7", song)
        assert route in (Route.SOUND, Route.ARTIST)
        ids, _ = made.recommend(0, plays[0], N=13, filter_already_liked_items=False)
        assert "upload-7" in ids
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
