from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from sklearn.utils.estimator_checks import check_estimator

from indexer.errors import BadFactors, InvalidOption
from recommender.cold_start import FactorRegressor
from recommender.cold_start.regression.folds import group_numbers
from tests.recommender.cold_start.plays import FACTORS, ITEMS, NEW, WARM, World, recall

if TYPE_CHECKING:
    pass

NOT_HELD = {
    "check_sample_weight_equivalence_on_dense_data": "a weight counts as w / (w + median w), and "
    "folds are drawn over items: twice the plays is not the item twice",
}


@pytest.mark.parametrize("kind", ["ridge", "nearest"])
def test_scikit_learns_own_checks_hold_but_for_one(kind: str) -> None:
    results = check_estimator(FactorRegressor(kind), expected_failed_checks=NOT_HELD, on_skip=None)
    assert {r["check_name"] for r in results if r["status"] == "xfail"} == set(NOT_HELD)


def counts(world: World) -> np.ndarray:
    return np.asarray(world.train.sum(0)).ravel()


@pytest.mark.parametrize("kind", ["ridge", "nearest"])
def test_each_kind_finds_users_of_items_nobody_has_played(world: World, kind: str) -> None:
    regressor = FactorRegressor(kind, folds=2).fit(
        world.embeddings[:WARM],
        world.model.item_factors,
        sample_weight=counts(world),
        groups=world.artists[:WARM],
    )
    new = regressor.predict(world.embeddings[WARM:])
    assert new.shape == (NEW, FACTORS)
    truth = world.plays[:, WARM:].toarray() > 0
    found = recall(world.model.user_factors @ new.T, truth)
    shuffled = np.random.default_rng(0).permutation(ITEMS)
    control = FactorRegressor(kind, folds=2).fit(
        world.embeddings[shuffled][:WARM], world.model.item_factors, sample_weight=counts(world)
    )
    nothing = control.predict(world.embeddings[shuffled][WARM:])
    assert found > 1.5 * recall(world.model.user_factors @ nothing.T, truth)


def test_the_kind_is_the_one_that_did_best_on_artists_left_out(world: World) -> None:
    regressor = FactorRegressor().fit(
        world.embeddings[:WARM], world.model.item_factors, groups=world.artists[:WARM]
    )
    best = max(regressor.correlations_, key=regressor.correlations_.__getitem__)
    assert (regressor.kind_, regressor.strength_) == best
    assert {kind for kind, _ in regressor.correlations_} == {"ridge", "nearest"}
    assert regressor.correlation_ == pytest.approx(max(regressor.correlations_.values()))


def test_an_artists_sound_does_not_pass_for_taste() -> None:
    """Items sound like their artist only, factors follow the artist: new artists stay unknown."""
    rng = np.random.default_rng(0)
    artist = np.repeat(np.arange(40), 5)
    x = rng.standard_normal((40, 30))[artist] + 0.01 * rng.standard_normal((200, 30))
    y = rng.standard_normal((40, 4))[artist]
    alone = FactorRegressor("nearest").fit(x, y)
    grouped = FactorRegressor("nearest").fit(x, y, groups=artist.tolist())
    assert alone.correlation_ > 0.9
    assert grouped.correlation_ < 0.2


def test_new_items_are_as_far_from_the_mean_as_old_ones(world: World) -> None:
    y = world.model.item_factors
    widened = FactorRegressor("ridge").fit(world.embeddings[:WARM], y)
    plain = FactorRegressor("ridge", calibrate=False).fit(world.embeddings[:WARM], y)

    def width(factors: np.ndarray) -> float:
        return float(np.sqrt(((factors - y.mean(0)) ** 2).sum(1).mean()))

    new = world.embeddings[WARM:]
    assert width(plain.predict(new)) < 0.9 * width(y)
    assert 0.8 * width(y) < width(widened.predict(new)) < 1.25 * width(y)


def test_noise_is_not_made_louder() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((200, 20)), rng.standard_normal((200, 5))
    regressor = FactorRegressor("ridge").fit(x, y)
    assert regressor.correlation_ < 0.1
    assert regressor.scale_ == 1.0
    spread = np.linalg.norm(regressor.predict(x) - regressor.mean_, axis=1).mean()
    assert spread < np.linalg.norm(y - y.mean(0), axis=1).mean()


def test_directions_that_sound_does_not_tell_are_believed_less() -> None:
    """Half of the factors follow the sound; users see them mixed with the others."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 10))
    told, untold = x[:, :3], 2 * rng.standard_normal((300, 3))
    mixing = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    y = np.hstack([told, untold]) @ mixing
    users = rng.standard_normal((200, 6)) * [2, 1.5, 1.2, 1, 0.9, 0.8] @ mixing
    by_scores = FactorRegressor("ridge").fit(x, y, user_factors=users)
    by_factors = FactorRegressor("ridge").fit(x, y)
    wrong = [
        np.abs((one.predict(x) - one.mean_) @ mixing.T[:, 3:]).mean()
        for one in (by_scores, by_factors)
    ]
    assert wrong[0] < 0.7 * wrong[1]
    assert by_scores.correlation_ > by_factors.correlation_
    with pytest.raises(BadFactors, match=r"user_factors has the shape \(200, 5\)"):
        FactorRegressor("ridge").fit(x, y, user_factors=users[:, :5])


def test_a_bias_is_predicted_but_not_widened(world: World) -> None:
    x = world.embeddings
    rng = np.random.default_rng(0)
    bias = 10 * (x[:, 0] + 0.5 * rng.standard_normal(ITEMS))
    y = np.hstack([rng.standard_normal((ITEMS, 4)) + x[:, :4], bias[:, None]])
    regressor = FactorRegressor("ridge", bias_column=-1).fit(x, y)
    plain = FactorRegressor("ridge", bias_column=-1, calibrate=False).fit(x, y)
    assert regressor.scale_ > 1.05
    np.testing.assert_allclose(regressor.predict(x)[:, -1], plain.predict(x)[:, -1], rtol=1e-5)
    assert np.corrcoef(regressor.predict(x)[:, -1], bias)[0, 1] > 0.8


def test_items_without_plays_are_not_learned_from(world: World) -> None:
    y = world.model.item_factors.copy()
    weights = counts(world)
    weights[:20] = 0
    before = FactorRegressor("ridge").fit(world.embeddings[:WARM], y, sample_weight=weights)
    y[:20] = 1e6
    after = FactorRegressor("ridge").fit(world.embeddings[:WARM], y, sample_weight=weights)
    np.testing.assert_array_equal(before.predict(world.embeddings), after.predict(world.embeddings))


def test_importing_the_package_loads_neither_torch_nor_scikit_learn() -> None:
    code = (
        "import sys, recommender.cold_start as c; print('sklearn' in sys.modules); "
        "c.FactorRegressor; c.HybridRecommender; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize(
    ("x", "y", "weights", "message"),
    [
        (np.where(np.arange(30)[:, None] == [7], np.nan, 1.0), np.ones((30, 2)), None,
         "embeddings has NaN or infinity in row 7"),
        (np.ones((30, 3)), np.where(np.arange(30)[:, None] % 4 == [1], np.inf, 1.0), None,
         r"item_factors has NaN or infinity in rows 1, 5, 9, 13, 17 and 3 more"),
        (np.ones((30, 3)), np.where(np.arange(30)[:, None] == [7], 1e6, 1.0) * np.ones(2), None,
         "item_factors has a length of more than 1000 times the median 1.41 in row 7"),
        (np.ones((30, 3)), np.ones((29, 2)), None, "inconsistent numbers of samples"),
        (np.eye(6), np.ones((6, 7)), None, "6 item.* are too few to predict 7 factors"),
        (np.eye(6), np.ones((6, 2)), np.ones(5), "sample_weight must be one number for each of 6"),
        (np.eye(6), np.ones((6, 2)), [1, 1, -1, 1, 1, 1],
         "sample_weight has a number below 0 in row 2"),
        (np.eye(6), np.ones((6, 2)), np.zeros(6), "sample_weight is zero everywhere"),
    ],
)  # fmt: skip
def test_arrays_that_cannot_be_learned_from_are_refused_by_name(
    x: np.ndarray, y: np.ndarray, weights: object, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        FactorRegressor("ridge").fit(x, y, sample_weight=weights)


@pytest.mark.parametrize(
    ("regressor", "message"),
    [
        (FactorRegressor("forest"), "kind is .*forest.*: choose of auto, ridge, nearest"),
        (FactorRegressor("auto", strength=1.0), "strength is 1.0"),
        (FactorRegressor("ridge", strength=-1.0), "strength is -1.0"),
        (FactorRegressor("ridge", folds=1), "folds is 1"),
        (FactorRegressor("ridge", bias_column=2), "bias_column is 2: item_factors has 2 columns"),
    ],
)
def test_parameters_without_sense_are_refused(regressor: FactorRegressor, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        regressor.fit(np.eye(10), np.ones((10, 2)))


def test_groups_name_every_item() -> None:
    with pytest.raises(BadFactors, match=re.escape("groups names 3 items of 10")):
        FactorRegressor("ridge").fit(np.eye(10), np.ones((10, 2)), groups=["a", "b", "c"])


def test_what_has_no_name_is_a_group_of_its_own() -> None:
    unknown = [float("nan"), float("nan"), "a", None, None, "", pd.NA, "a", np.float64("nan")]
    assert group_numbers(unknown, 9).tolist() == [0, 1, 2, 3, 4, 5, 6, 2, 7]
    text = pd.Series(["a", None, "a", pd.NA], dtype="string")
    assert group_numbers(text, 4).tolist() == [0, 1, 0, 2]
    for lone in ("x" * 9, b"x" * 9, 9):
        with pytest.raises(BadFactors, match="groups must be a sequence of 9 names, not"):
            group_numbers(lone, 9)  # type: ignore[arg-type] # as meant
