from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.errors import InvalidOption
from recommender.retrieval.library_statistics import Percentiles
from recommender.retrieval.ranking import cap_groups, maximal_marginal_relevance

if TYPE_CHECKING:
    from numpy.typing import NDArray


def unit_vectors(count: int, dim: int = 16, *, seed: int = 0) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).standard_normal((count, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@settings(max_examples=60)
@given(
    count=st.integers(1, 40),
    n=st.integers(0, 50),
    diversity=st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.9, 1.0]),
    seed=st.integers(0, 1000),
)
def test_marginal_relevance_is_the_formula(count: int, n: int, diversity: float, seed: int) -> None:
    vectors = unit_vectors(count, 5, seed=seed)
    relevance = vectors @ unit_vectors(1, 5, seed=seed + 1)[0]
    chosen = maximal_marginal_relevance(relevance, vectors, n, diversity=diversity)
    assert chosen.dtype == np.int64
    assert len(set(chosen.tolist())) == len(chosen) == min(n, count)
    cosines = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    for row, place in enumerate(chosen):
        # That of Carbonell & Goldstein, word for word; the first is the most relevant.
        values = relevance.astype(np.float64)
        if row:
            nearest = cosines[:, chosen[:row]].max(axis=1)
            values = (1 - diversity) * values - diversity * nearest
        # Of two whose values are within rounding of each other, either may be taken.
        left = np.delete(values, chosen[:row])
        assert values[place] >= left.max() - 1e-6


def test_without_diversity_relevance_alone_orders_and_equals_stay_in_order() -> None:
    relevance = np.array([0.5, 0.9, 0.5, 0.9], np.float32)
    vectors = np.tile(unit_vectors(1), (4, 1))
    assert maximal_marginal_relevance(relevance, vectors, 9, diversity=0).tolist() == [1, 3, 0, 2]


def test_with_all_diversity_the_second_is_the_one_least_like_the_first() -> None:
    vectors = unit_vectors(200)
    relevance = vectors @ vectors[7]
    first, second = maximal_marginal_relevance(relevance, vectors, 2, diversity=1)
    assert first == 7
    assert second == np.argmin(relevance)


def test_of_many_of_a_kind_a_varied_answer_takes_few() -> None:
    kinds = np.repeat(np.arange(100), 10)
    vectors = unit_vectors(100, 40)[kinds] + 0.05 * unit_vectors(1000, 40, seed=1)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    relevance = vectors @ vectors[0]
    plain = maximal_marginal_relevance(relevance, vectors, 10, diversity=0)
    varied = maximal_marginal_relevance(relevance, vectors, 10, diversity=0.7)
    assert len(set(kinds[plain])) == 1
    assert len(set(kinds[varied])) >= 8
    assert varied[0] == plain[0] == 0


@pytest.mark.parametrize("diversity", [-0.1, 1.1, float("nan")])
def test_diversity_is_from_0_to_1(diversity: float) -> None:
    with pytest.raises(InvalidOption, match="from 0 to 1"):
        maximal_marginal_relevance([1.0], unit_vectors(1), 1, diversity=diversity)


def test_a_cap_keeps_the_first_of_each_group_and_all_that_have_none() -> None:
    groups = ["a", "a", None, "b", "a", None, "b", None]
    order = [4, 0, 7, 1, 3, 6, 2, 5]
    assert cap_groups(order, groups, 2).tolist() == [4, 0, 7, 3, 6, 2, 5]
    assert cap_groups(order, groups, 1).tolist() == [4, 7, 3, 2, 5]
    assert cap_groups([], groups, 1).tolist() == []
    with pytest.raises(InvalidOption, match="at least one"):
        cap_groups(order, groups, 0)


def test_percentiles_of_a_small_library_come_from_all_its_pairs() -> None:
    vectors = unit_vectors(30)
    cosines = np.sort((vectors @ vectors.T)[np.triu_indices(30, 1)])
    of = Percentiles.from_vectors(vectors)
    assert len(of.cosines) == 435
    for share in (0.0, 0.1, 0.5, 0.99, 1.0):
        assert of.percentile(np.quantile(cosines, share)) == pytest.approx(share, abs=1e-6)
    assert of.percentile([cosines[0], cosines[-1]]).tolist() == [0.0, 1.0]
    assert of.percentile([-2.0, 2.0]).tolist() == [0.0, 1.0]


def test_percentiles_rise_with_the_cosine_and_random_pairs_stand_for_all() -> None:
    vectors = unit_vectors(500)
    everything = np.sort((vectors @ vectors.T)[np.triu_indices(500, 1)])
    of = Percentiles.from_vectors(vectors, pairs=20_000, random_state=3)
    again = Percentiles.from_vectors(vectors, pairs=20_000, random_state=3)
    assert np.array_equal(of.cosines, again.cosines)
    grid = of.percentile(np.linspace(-1, 1, 999))
    assert (np.diff(grid) >= 0).all()
    for share in (0.05, 0.5, 0.95):
        assert of.percentile(np.quantile(everything, share)) == pytest.approx(share, abs=0.02)
    assert of.cosines[-1] < 0.999, "no vector was paired with itself"


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_without_some_pairs_there_is_no_percentile(count: int) -> None:
    """Of two tracks the only pair would be more alike than all."""
    of = Percentiles.from_vectors(unit_vectors(4)[:count])
    assert np.isnan(of.percentile([0.3, 1.0])).all()
