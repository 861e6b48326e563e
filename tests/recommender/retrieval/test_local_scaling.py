from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from recommender.engine import Recommender
from recommender.evaluation.metrics import hubness
from recommender.retrieval.library_statistics import NEAREST, LocalScale
from recommender.retrieval.ranking import Ranking
from tests.catalogs import DIM, Planted, plant

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def gaussian_cloud(count: int, dim: int, *, seed: int = 0) -> NDArray[np.float32]:
    """Unit vectors around a common mean: the middle of the cloud is everyone's neighbour."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((count, dim)) + 1.0
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def first_ten(
    vectors: NDArray[np.float32], scale: LocalScale | None, *, pool: int
) -> NDArray[np.int64]:
    """The ten nearest of each vector, out of a pool of nearest ones."""
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    found = np.argsort(-cosines, axis=1, kind="stable")[:, :pool]
    if scale is not None:
        for seed, row in enumerate(found):
            relevance = scale.relevance(cosines[seed, row], vectors[row])
            found[seed] = row[np.argsort(-relevance, kind="stable")]
    return found[:, :10]


@pytest.mark.parametrize("references", [900, 300])
def test_local_scaling_makes_hubs_of_a_gaussian_cloud_smaller(references: int) -> None:
    vectors = gaussian_cloud(900, 100)
    scale = LocalScale.from_references(vectors[:references])
    plain = hubness(first_ten(vectors, None, pool=60), len(vectors))
    tamed = hubness(first_ten(vectors, scale, pool=60), len(vectors))
    assert plain.skewness > 1.5, "there is something to tame"
    assert tamed.skewness < plain.skewness / 2
    assert tamed.reach > plain.reach + 0.1
    assert tamed.largest < plain.largest


def test_the_scale_is_the_mean_distance_to_the_nearest_others() -> None:
    vectors = gaussian_cloud(50, 8)
    scale = LocalScale.from_references(vectors)
    distances = np.sort(1 - vectors @ vectors.T, axis=1)[:, 1 : NEAREST + 1]
    assert scale.scales(vectors) == pytest.approx(distances.mean(axis=1), abs=1e-6)
    assert scale.median_scale == pytest.approx(np.median(distances.mean(axis=1)), abs=1e-6)


def test_a_candidate_of_the_usual_scale_keeps_its_cosine_and_a_hub_sinks() -> None:
    vectors = gaussian_cloud(501, 20)
    scale = LocalScale.from_references(vectors)
    order = np.argsort(scale.scales(vectors))
    hub, typical, loner = order[[0, 250, 500]]
    cosines = np.full(3, 0.7, np.float32)
    sunk, kept, risen = scale.relevance(cosines, vectors[[hub, typical, loner]])
    assert kept == pytest.approx(0.7, abs=1e-3)
    assert sunk < 0.7 < risen


def test_a_library_of_none_or_one_changes_nothing() -> None:
    vectors = gaussian_cloud(1, 8)
    for references in (vectors[:0], vectors):
        scale = LocalScale.from_references(references)
        assert scale.relevance([0.3], vectors) == pytest.approx([0.3])


def test_answers_that_tame_hubs_reach_more_of_a_library(tmp_path: Path) -> None:
    vectors = gaussian_cloud(150, DIM)
    tracks = [Planted(f"Song {n}", vector=row.tolist()) for n, row in enumerate(vectors)]

    def occurrences(ranking: Ranking) -> NDArray[np.int64]:
        found = [
            [one.id - 1 for one in recommender.similar_to_track(seed, 5, ranking=ranking)]
            for seed in range(1, 151)
        ]
        assert all(len(row) == 5 for row in found)
        return np.array(found)

    with Recommender.open(plant(tmp_path, ["calm"], tracks)) as recommender:
        plain = hubness(occurrences(Ranking(collapse=False)), 150)
        tamed = hubness(occurrences(Ranking(collapse=False, local_scaling=True)), 150)
    assert tamed.reach > plain.reach
    assert tamed.skewness < plain.skewness
