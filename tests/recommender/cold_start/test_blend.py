from __future__ import annotations

import numpy as np
import pytest
from implicit.bpr import BayesianPersonalizedRanking
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from recommender.cold_start import HybridRecommender, Route
from recommender.cold_start.augmented_factors import artist_keys
from recommender.cold_start.blend import choose_blend
from recommender.cold_start.item_step import step_items
from recommender.cold_start.regression.folds import group_numbers
from recommender.cold_start.top_n import ROUTES
from tests.recommender.cold_start.plays import (
    FACTORS,
    ROUTE,
    USERS,
    WARM,
    World,
    fitted,
    recall,
)


def test_an_item_step_solves_its_equations_and_waits_for_plays() -> None:
    rng = np.random.default_rng(0)
    users = rng.standard_normal((30, 5)).astype(np.float32)
    predicted = 0.1 * rng.standard_normal((2, 5)).astype(np.float32)
    by_item = csr_matrix(([4.0, 2.0, 3.0], [3, 7, 11], [0, 3, 3]), (2, 30))
    targets = np.full(30, 2.0, np.float32)
    found = step_items(predicted, by_item, users, targets, 0.5)
    v, c = users[[3, 7, 11]], np.diag([4.0, 2.0, 3.0])
    expected = np.linalg.solve(v.T @ c @ v + 0.5 * np.eye(5), v.T @ c @ (2 - v @ predicted[0]))
    np.testing.assert_allclose(found[0] - predicted[0], expected, rtol=1e-3)
    np.testing.assert_array_equal(found[1], predicted[1])


def test_content_counts_for_old_items_as_far_as_it_finds_their_plays(world: World) -> None:
    sound, labels = world.embeddings[:WARM], np.arange(WARM)
    blend = choose_blend(ROUTE, world.train, sound, labels, seed=0)
    assert blend.by_weight is not None
    best = max(blend.by_weight, key=blend.by_weight.__getitem__)
    assert (blend.content_weight, blend.shrinkage) == best
    assert blend.content_weight > 0
    noise = np.random.default_rng(0).standard_normal(sound.shape).astype(np.float32)
    told = choose_blend(ROUTE, world.train, noise, labels, seed=0)
    assert told.content_weight < blend.content_weight
    assert blend.by_penalty is not None
    content, chosen = (blend.by_penalty[one] for one in (float("inf"), blend.step_penalty))
    assert chosen[0] >= content[0] - 0.01
    assert chosen[1] >= content[1]


def thinned(world: World, kept: int, thin: np.ndarray) -> csr_matrix:
    """Plays of which some items have only so many left."""
    rng = np.random.default_rng(0)
    plays = world.train.tolil()
    for item in thin:
        users = rng.permutation(world.train[:, [item]].nonzero()[0])
        plays[users[kept:], item] = 0
    left = csr_matrix(plays)
    left.eliminate_zeros()
    return left


@pytest.mark.parametrize("kind", ["als", "bpr"])
def test_an_upload_that_gets_plays_is_not_recommended_less(world: World, kind: str) -> None:
    """Recall of its other users, among such items and among all, beside content and plays alone."""
    counts = np.asarray(world.train.sum(0)).ravel()
    thin = np.random.default_rng(0).permutation(np.flatnonzero(counts >= 30))[:40]
    exposure = np.ones(WARM)
    exposure[thin] = 0.0
    truth = world.train.toarray() > 0
    for kept in (0, 1, 5, 20):
        plays = thinned(world, kept, thin)
        if kind == "als":
            model = fitted(plays)
        else:
            with threadpool_limits(1, "blas"):
                model = BayesianPersonalizedRanking(
                    factors=FACTORS, iterations=60, random_state=0, num_threads=1
                )
                model.fit(plays, show_progress=False)
        made = HybridRecommender(
            model, plays, world.embeddings[:WARM], exposure=exposure, route=ROUTE
        )
        users = made.user_factors(range(USERS))
        factors = made.all_factors()
        content = factors.copy()
        content[thin], _ = made.learned.new_items(world.embeddings[thin])
        cf = np.zeros_like(factors)
        cf[:, : model.item_factors.shape[1]] = model.item_factors
        asked = truth & (plays.toarray() == 0)
        found = []
        for items in (factors, content, cf):
            scores = users @ items.T
            scores[plays.nonzero()] = -np.inf
            found.append((recall(scores[:, thin], asked[:, thin]), recall(scores, asked)))
        both, *others = np.array(found)
        assert (both >= np.max(others, axis=0) - 0.03).all(), (kept, found)


def test_exposure_leads_from_the_item_step_to_the_models_own_factors(world: World) -> None:
    def factors(exposure: float | None) -> np.ndarray:
        given = None if exposure is None else np.full(WARM, exposure)
        return HybridRecommender(
            world.model, world.train, world.embeddings[:WARM], exposure=given, route=ROUTE
        ).all_factors()

    new, half, old = factors(0.0), factors(0.5), factors(1.0)
    np.testing.assert_allclose(half, (new + old) / 2, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(old, factors(None))


def test_items_with_plays_are_ranked_at_least_as_well_as_by_the_model(world: World) -> None:
    rng = np.random.default_rng(0)
    pairs = world.train.tocoo()
    held = rng.random(pairs.nnz) < 0.25
    train, truth = (
        csr_matrix((pairs.data[part], (pairs.row[part], pairs.col[part])), pairs.shape)
        for part in (~held, held)
    )
    model = fitted(train)
    made = HybridRecommender(model, train, world.embeddings[:WARM], route=ROUTE)
    quality = []
    for users, items in (
        (model.user_factors, model.item_factors),
        (made.user_factors(range(USERS)), made.all_factors()),
    ):
        scores = users @ items.T
        scores[train.nonzero()] = -np.inf
        quality.append(recall(scores, truth.toarray() > 0))
    assert quality[1] > quality[0]


def test_an_upload_starts_from_what_the_artists_other_items_say() -> None:
    """Users like artists, who sound like nothing in particular."""
    rng = np.random.default_rng(0)
    artist = np.repeat(np.arange(50), 5)
    liked = rng.random((300, 50)) < 0.12
    plays = csr_matrix((liked[:, artist] & (rng.random((300, 250)) < 0.6)).astype(np.float32))
    old = np.arange(250) % 5 != 0
    sound = rng.standard_normal((250, 6)).astype(np.float32)
    names = [f"Artist {number}" for number in artist]
    train = plays[:, old].tocsr()
    made = HybridRecommender(
        fitted(train), train, sound[old], route=ROUTE,
        artists=[name for name, use in zip(names, old, strict=True) if use],
    )  # fmt: skip
    new = [name.upper() for name, use in zip(names, old, strict=True) if not use]
    known, sources = made.learned.new_items(sound[~old], artist_keys(new))
    alone, lone_sources = made.learned.new_items(sound[~old])
    assert set(ROUTES[sources]) == {Route.ARTIST}
    assert set(ROUTES[lone_sources]) == {Route.SOUND}
    truth = plays[:, ~old].toarray() > 0
    users = made.user_factors(range(300))
    assert recall(users @ known.T, truth) > 1.5 * recall(users @ alone.T, truth)


def test_artists_that_say_nothing_do_not_count(world: World) -> None:
    shuffled = np.random.default_rng(0).permutation(world.artists[:WARM]).tolist()
    told, deaf = (
        choose_blend(
            ROUTE, world.train, world.embeddings[:WARM], group_numbers(names, WARM), seed=0
        ).artist_shrinkage
        for names in (None, shuffled)
    )
    assert told == float("inf")
    assert deaf >= 3.0
