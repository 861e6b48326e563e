"""What does not fit is refused in a sentence, and leaves everything as it was."""

from __future__ import annotations

import numpy as np
import pytest
from cornac.models import BPR
from implicit.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix

from indexer.errors import BadFactors, InvalidOption, QueryError, UnknownTrack, UnknownUser
from recommender.cold_start import HybridRecommender
from tests.recommender.cold_start.plays import FACTORS, ROUTE, USERS, WARM, World, keys


def refused(world: World, message: str, **changed: object) -> None:
    arguments: dict[str, object] = {
        "model": world.model,
        "user_items": world.train,
        "embeddings": world.embeddings[:WARM],
        "route": ROUTE,
    }
    with pytest.raises(BadFactors, match=message):
        HybridRecommender(**{**arguments, **changed})  # type: ignore[arg-type] # as meant


def test_what_cannot_be_built_on_is_refused_by_name(world: World) -> None:
    users, items = world.model.user_factors.copy(), world.model.item_factors.copy()
    broken = items.copy()
    broken[[3, 8]] = np.nan
    refused(world, "item_factors has NaN or infinity in rows 3, 8", model=(users, broken))
    refused(world, "both must come from one model", model=(users[:, :5], items))
    refused(world, "train with at most as many factors", model=(users, items[:5]))
    refused(world, "AlternatingLeastSquares is not fitted", model=AlternatingLeastSquares())
    refused(world, "BPR is not fitted: call its fit first", model=BPR())
    refused(world, "a dict has no factors to read", model={})
    refused(world, "user_items has the shape", user_items=world.train[:10])
    refused(world, "user_items must be a sparse matrix", user_items=world.train.toarray())
    refused(world, "user_items holds no plays", user_items=csr_matrix(world.train.shape))
    refused(world, "user_items holds complex numbers", user_items=world.train * 1j)
    disliked = world.train.copy()
    disliked.data[disliked.indptr[4]] = -1.0
    refused(world, "user_items has a number below 0.* in row 4", user_items=disliked)
    refused(world, "exposure has a number below 0 in rows 0, 1, 2", exposure=[-1.0] * WARM)
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
    refused(world, "item_keys has -1 in row 1", item_keys=[7, -1, *range(100, WARM + 98)])
    refused(world, "item_keys names 3 items of 200", item_keys=keys(0, 3))
    refused(world, "artists names 1 items of 200", artists=["x"])
    for lone in (set(range(WARM)), "text", 5):
        refused(world, "item_keys must be a sequence of keys", item_keys=lone)
    refused(world, "more than 64 bits in row 1", item_keys=[5, 2**63, *range(10, WARM + 8)])
    refused(world, "embeddings holds something that is no number", embeddings=[["a"]] * WARM)
    refused(world, "embeddings is no array of numbers", embeddings=[[1.0], [1.0, 2.0]])
    for index in (-1, WARM):
        broken = world.train.copy()
        broken.indices[3] = index
        refused(world, "user_items is a broken sparse matrix", user_items=broken)


def test_what_is_absurdly_long_is_refused(world: World) -> None:
    users, items = world.model.user_factors.copy(), world.model.item_factors.copy()
    items[7] = 1e30
    refused(world, r"item_factors has a number beyond 1e\+09 in row 7", model=(users, items))
    for factors, name in ((users.copy(), "user"), (world.model.item_factors.copy(), "item")):
        factors[7] *= 1e6
        model = (factors, world.model.item_factors) if name == "user" else (users, factors)
        refused(world, f"{name}_factors has a length of more than 1000 times", model=model)
    sound = world.embeddings[:WARM].copy()
    sound[3] *= 1e4
    refused(world, "embeddings has a length of more than 10 times .* in row 3", embeddings=sound)
    sound[3] = 1e30
    refused(world, "embeddings has a number beyond", embeddings=sound)
    refused(world, "embeddings has NaN or infinity", embeddings=np.full((WARM, 2), 1e300))
    made = HybridRecommender(world.model, world.train, world.embeddings[:WARM], route=ROUTE)
    with pytest.raises(BadFactors, match="more than 10 times the median"):
        made.add_items([WARM], 1e4 * world.embeddings[:1])
    assert made.add_items([], world.embeddings[:0]) == []
    assert len(made) == WARM


def test_plays_in_another_order_than_the_factors_are_refused(world: World) -> None:
    rng = np.random.default_rng(0)
    shuffled = world.train[rng.permutation(USERS)], world.train[:, rng.permutation(WARM)]
    for plays in shuffled:
        refused(world, "in only .* of pairs: give user_items as it was fitted on", user_items=plays)


def test_embeddings_in_another_order_are_told_of_and_spread_no_noise(world: World) -> None:
    rng = np.random.default_rng(0)
    with pytest.warns(RuntimeWarning, match="are their rows in the order of the columns"):
        made = HybridRecommender(
            world.model, world.train, rng.permutation(world.embeddings[:WARM]), content_weight=0.0
        )
    made.add_items([WARM], world.embeddings[WARM : WARM + 1])
    mean = world.model.item_factors.mean(0)
    np.testing.assert_allclose(made.item_factors([WARM])[0, :FACTORS], mean, rtol=1e-5)
    assert (made.item_factors([WARM])[0, FACTORS:] == 0).all()


def test_options_of_a_hybrid_that_make_no_sense_are_refused(world: World) -> None:
    for message, options in (
        ("content_weight is '5'", {"content_weight": "5"}),
        ("content_weight is nan", {"content_weight": float("nan")}),
        ("content_weight is True", {"content_weight": True}),
        ("route is a RouteSettings, not 'linear'", {"route": "linear"}),
    ):
        with pytest.raises(InvalidOption, match=message):
            HybridRecommender(world.model, world.train, world.embeddings[:WARM], **options)  # type: ignore[arg-type] # as meant


def test_one_id_is_as_good_as_a_list_of_one(world: World) -> None:
    made = HybridRecommender(
        world.model, world.train, world.embeddings[:WARM], route=ROUTE,
        item_keys=(name for name in keys(0, WARM)),  # type: ignore[arg-type] # any iterable is taken
    )  # fmt: skip
    row = world.train[3]
    assert made.routes("item 3") == made.routes(["item 3"])
    for one, several in (
        (made.recommend_liked("item 3"), made.recommend_liked(["item 3"])),
        (made.recommend(3, row, filter_items="item 3"),
         made.recommend(3, row, filter_items=["item 3"])),
        (made.recommend(3, row, items="item 4"), made.recommend(3, row, items=["item 4"])),
    ):  # fmt: skip
        np.testing.assert_array_equal(one[0], several[0])
    for ask in (
        lambda: made.routes(name for name in ("item 3", "nothing")),
        lambda: made.similar_items(iter(["nothing"])),
        lambda: made.recommend_liked("nothing"),
    ):
        with pytest.raises(UnknownTrack, match="names no item that exists: 'nothing'"):
            ask()
    # Rows of an answer follow those of the question, which in a set have no order.
    for ask in (
        lambda: made.recommend({3, 4}, world.train[3:5]),
        lambda: made.similar_items({"item 3", "item 4"}),
    ):
        with pytest.raises(BadFactors, match=r"must be a sequence of keys.*, not a set"):
            ask()
    with pytest.raises(InvalidOption, match="filter_items must be str"):
        made.recommend(3, row, filter_items=3)


def test_who_does_not_exist_and_who_played_nothing_are_told_apart(world: World) -> None:
    train = world.train.tolil()
    train[0] = 0
    train = csr_matrix(train)
    made = HybridRecommender(world.model, train, world.embeddings[:WARM], route=ROUTE)
    message = "names no user that exists: 9999; the users 0 have played no item"
    with pytest.raises(UnknownUser, match=message):
        made.recommend([3, 9999, 0], train[[3, 0, 0]])


def test_questions_that_make_no_sense_are_refused(world: World, plain: HybridRecommender) -> None:
    row = world.train[3]
    for message, ask in (
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
        with pytest.raises(InvalidOption, match=message):
            ask()
    with pytest.raises(BadFactors, match="user_items has 2 rows for 1 users"):
        plain.recommend(3, world.train[3:5])
    with pytest.raises(BadFactors, match="columns: there are 200 items"):
        plain.recommend(3, csr_matrix((1, 7)))
    with pytest.raises(UnknownTrack, match="900, 901, 902, 903, 904 and 2 more"):
        plain.recommend(3, row, items=np.arange(900, 907))


def test_a_bad_upload_leaves_everything_as_it_was(world: World) -> None:
    made = HybridRecommender(world.model, world.train, world.embeddings[:WARM], route=ROUTE)
    before = made.recommend(3, world.train[3])[0]
    bad = world.embeddings[WARM : WARM + 2].copy()
    bad[1, 0] = np.nan
    for message, ids, sound in (
        ("embeddings has NaN or infinity in row 1", [WARM, WARM + 1], bad),
        ("a key twice: 3|must go on", [3], bad[:1]),
        ("embeddings has the shape", [WARM], bad[:1, :3]),
    ):
        with pytest.raises(BadFactors, match=message):
            made.add_items(ids, sound)
    with pytest.raises(QueryError, match="add_item needs an open catalog"):
        made.add_item(WARM, "song.mp3")
    assert len(made) == WARM
    np.testing.assert_array_equal(made.recommend(3, world.train[3])[0], before)
