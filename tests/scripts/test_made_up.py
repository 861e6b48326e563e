"""Made-up libraries: how near their vectors are to real ones, and what a catalog of one holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from benchmarks.catalogs import added_at, make_catalog
from benchmarks.made_up import MadeUp, made_up
from benchmarks.shape import shape

from recommender import Recommender, Where
from recommender.text.search import find

if TYPE_CHECKING:
    from pathlib import Path

COUNT, DIM = 5_000, 192
REAL = {
    "random pairs, percentile 1": (0.119, 0.12),
    "random pairs, percentile 10": (0.207, 0.08),
    "random pairs, percentile 50": (0.383, 0.08),
    "random pairs, percentile 90": (0.641, 0.05),
    "random pairs, percentile 99": (0.824, 0.05),
    "one artist, median": (0.694, 0.1),
    "nearest of other artists, rank 1": (0.869, 0.05),
    "nearest of other artists, rank 10": (0.801, 0.05),
    "nearest of other artists, rank 100": (0.628, 0.05),
    "skewness of 10-occurrence": (0.851, 0.4),
    "reach of 10-occurrence": (0.983, 0.02),
    "variance in 1 components": (0.168, 0.05),
    "variance in 10 components": (0.692, 0.1),
    "variance in 50 components": (0.910, 0.05),
}
"""What `python -m benchmarks.shape` prints of 899 excerpts of real music, and how far from it as
many made-up tracks may be."""


@pytest.fixture(scope="module")
def library() -> MadeUp:
    return made_up(COUNT, dim=DIM, seed=0)


def test_vectors_have_the_clusters_and_hubs_of_real_ones(library: MadeUp) -> None:
    rows = np.random.default_rng(0).permutation(COUNT)[:899]
    measured = shape(library.vectors[rows].astype(np.float32), library.artist[rows].tolist())
    far = {
        name: (measured[name], real)
        for name, (real, bound) in REAL.items()
        if abs(measured[name] - real) > bound
    }
    assert far == {}


def test_some_tracks_are_copies_and_some_artists_have_many(library: MadeUp) -> None:
    assert np.allclose(np.linalg.norm(library.vectors.astype(np.float32), axis=1), 1, atol=1e-3)
    copies = np.flatnonzero(library.original != np.arange(COUNT))
    assert 0.02 < len(copies) / COUNT < 0.04
    vectors = library.vectors.astype(np.float32)
    cosines = (vectors[copies] * vectors[library.original[copies]]).sum(1)
    assert cosines.min() > 0.985
    assert (cosines > 0.9999).mean() == pytest.approx(library.same_recording[copies].mean())
    sizes = np.bincount(library.artist)
    assert np.median(sizes) < 6
    assert sizes.max() > 100
    assert np.array_equal(library.vectors, made_up(COUNT, dim=DIM, seed=0).vectors)


def test_a_catalog_is_sound_and_its_tags_follow_the_vectors(tmp_path: Path) -> None:
    library = make_catalog(tmp_path / "catalog.db", 600, seed=1)
    with Recommender.open(tmp_path / "catalog.db") as recommender:
        assert len(recommender) == 600
        ids = recommender.ids(Where(added_since=float(np.median(added_at(library, 1)))))
        assert len(ids) == 300
        genre = recommender.tracks([1])[0].genres[0]
        assert 1 <= len(recommender.ids(Where(genre=(genre,)))) < 300
        hits = [hit.id - 1 for hit in find(recommender, "calm piano", 20)]
        vectors = library.vectors.astype(np.float32)
        alike = vectors[hits] @ vectors[hits].T
        assert np.median(alike) > np.median(vectors @ vectors.T) + 0.1
        assert recommender._library.verify().sound
