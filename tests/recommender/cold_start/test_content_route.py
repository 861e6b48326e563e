from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix, random_array

from recommender.cold_start.content_features import KERNEL, LINEAR, fit_features
from recommender.cold_start.content_route import RouteSettings, fit_route
from recommender.cold_start.least_squares import confidence_matrix, fit_map, solve_factors
from recommender.cold_start.ranking_quality import ndcg
from recommender.cold_start.route_choice import choose_route
from tests.recommender.cold_start.plays import ITEMS, USERS, WARM, World, recall


def some_plays(users: int = 30, items: int = 40) -> csr_matrix:
    rng = np.random.default_rng(0)
    plays = random_array((users, items), density=0.2, rng=rng, dtype=np.float32)
    return csr_matrix(plays)


def test_factors_are_those_of_least_squares() -> None:
    confidence = confidence_matrix(some_plays(), 5.0)
    items = np.random.default_rng(1).standard_normal((40, 4)).astype(np.float32)
    found = solve_factors(items, confidence, 2.0, steps=30)
    for user in range(30):
        c = np.ones(40)
        c[confidence[user].indices] = confidence[user].data
        played = (c != 1) * 1.0
        gram = (items.T * c) @ items + 2.0 * np.eye(4)
        np.testing.assert_allclose(
            found[user], np.linalg.solve(gram, items.T @ (c * played)), rtol=1e-3, atol=1e-4
        )


def test_a_map_is_that_of_least_squares() -> None:
    """Against the normal equations of all users, items and factors at once."""
    rng = np.random.default_rng(1)
    confidence = confidence_matrix(some_plays(), 5.0)
    users = rng.standard_normal((30, 2)).astype(np.float32)
    features = rng.standard_normal((40, 3)).astype(np.float32)
    c, played = np.ones((30, 40)), np.zeros((30, 40))
    pairs = confidence.nonzero()
    c[pairs], played[pairs] = confidence.data, 1.0
    design = np.einsum("uf,id->uidf", users, features).reshape(1200, 6)
    gram = (design.T * c.ravel()) @ design + 3.0 * np.eye(6)
    expected = np.linalg.solve(gram, design.T @ (c * played).ravel()).reshape(3, 2)
    found = fit_map(features, users, confidence.T.tocsr(), 3.0)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_kernel_features_have_the_kernels_inner_products() -> None:
    x = np.random.default_rng(0).standard_normal((60, 5)).astype(np.float32)
    features = fit_features(KERNEL, x, seed=0)
    found = features(x)[:, :-5]
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    expected = np.exp(-features.width * (2 - 2 * unit @ unit.T))
    np.testing.assert_allclose(found @ found.T, expected, atol=2e-3)
    np.testing.assert_allclose(fit_features(LINEAR, x, seed=0)(x), unit, atol=1e-6)


def test_ndcg_is_that_worked_out_by_hand() -> None:
    scores = np.array([[0.9, 0.8, 0.7, 0.6], [0.1, 0.2, 0.3, 0.4]], np.float32)
    relevant = csr_matrix(np.array([[0, 1, 0, 1], [0, 0, 0, 0]]))
    found = ndcg(scores, relevant, depth=3)
    assert found[0] == pytest.approx((1 / np.log2(3)) / (1 + 1 / np.log2(3)))
    assert np.isnan(found[1])


def test_the_sum_of_scores_is_one_inner_product(world: World) -> None:
    """Without the map, the route is a ridge regression of each user's plays."""
    sound = world.embeddings[:WARM]
    settings = RouteSettings(LINEAR, ridge_penalty=2.0, weights=(0.0, 1.0, 0.0))
    route, users = fit_route(settings, world.train, sound, seed=0)
    found = users @ route.item_vectors(world.embeddings[WARM:]).T
    unit = world.embeddings / np.linalg.norm(world.embeddings, axis=1, keepdims=True)
    old, new = unit[:WARM], unit[WARM:]
    inverse = np.linalg.inv(old.T @ old + 2.0 * np.eye(old.shape[1]))
    expected = world.train @ old @ inverse @ (new - old.mean(0)).T
    ratio = (found * expected).sum() / (expected**2).sum()
    np.testing.assert_allclose(found, ratio * expected, atol=1e-3 * np.abs(found).max())


def test_new_items_are_found_and_the_choice_is_not_below_its_parts(world: World) -> None:
    sound = world.embeddings[:WARM]
    choice = choose_route(world.train, sound, np.arange(WARM), seed=0)
    assert choice.personal
    quality = choice.quality
    assert quality["chosen"] >= max(quality[part] for part in ("map", "ridge", "cosine"))
    route, users = fit_route(choice.settings, world.train, sound, seed=0)
    truth = world.plays[:, WARM:].toarray() > 0
    found = recall(users @ route.item_vectors(world.embeddings[WARM:]).T, truth)
    chance = recall(np.random.default_rng(0).random(truth.shape), truth)
    assert found > 1.8 * chance


def test_an_artists_items_are_held_out_together() -> None:
    """Items sound like their artist only, plays follow the artist: new artists stay unknown."""
    rng = np.random.default_rng(0)
    artist = np.repeat(np.arange(40), 6)
    x = rng.standard_normal((40, 30))[artist] + 0.01 * rng.standard_normal((ITEMS, 30))
    liked = rng.random((USERS, 40)) < 0.15
    plays = csr_matrix((liked[:, artist] & (rng.random((USERS, ITEMS)) < 0.5)).astype(np.float32))
    x = x.astype(np.float32)
    alone = choose_route(plays, x, np.arange(ITEMS), seed=0)
    together = choose_route(plays, x, artist, seed=0)
    assert alone.personal
    assert alone.quality["chosen"] > 0.5
    assert together.quality["chosen"] < 0.5
