from __future__ import annotations

import numpy as np

from recommender.playlists.sampling import sample_from_best

SCORES = np.array([0.5, 0.9, 0.8, 0.88, 0.1, 0.85], np.float32)


def test_without_variety_the_order_is_that_of_the_scores() -> None:
    rng = np.random.default_rng(0)
    assert sample_from_best(SCORES, 0, rng).tolist() == [1, 3, 5, 2, 0, 4]
    assert sample_from_best(np.ones(3, np.float32), 1, rng).tolist() == [0, 1, 2]
    assert sample_from_best(np.empty(0, np.float32), 1, rng).tolist() == []


def test_the_better_come_first_more_often_and_all_come_once() -> None:
    rng = np.random.default_rng(0)
    orders = [sample_from_best(SCORES, 0.1, rng).tolist() for _ in range(2000)]
    assert all(sorted(order) == list(range(6)) for order in orders)
    firsts = np.bincount([order[0] for order in orders], minlength=6) / 2000
    near = np.array([1, 2, 3, 5])
    weights = np.exp(SCORES[near] / 0.08)
    assert np.allclose(firsts[near], weights / weights.sum(), atol=0.03)


def test_the_tail_is_never_drawn_before_the_others() -> None:
    rng = np.random.default_rng(0)
    assert all(sample_from_best(SCORES, 0.1, rng).tolist()[-2:] == [0, 4] for _ in range(500))
