"""What the vectors of a library look like: figures that made-up ones are held to.

    python -m benchmarks.shape CATALOG [CSV...]

prints them for a catalog of real music; artists are those of its tags, or of tables with the
columns `path`, as the tracks' keys, and `artist`.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recommender.evaluation.metrics import hubness, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

_PAIRS = 100_000
_SEEDS = 1_000
"""Seeds whose neighbours are measured."""
_NEAR_DUPLICATE = 0.985
"""The cosine from which `recommender.retrieval.near_duplicates` may see one recording."""
_RANKS = (1, 3, 10, 30, 100)


def shape(vectors: Vectors, artists: Sequence[object], *, seed: int = 0) -> dict[str, float]:
    """Measure unit vectors (n, dim) of tracks by artists (n,), more than 100 of each.

    Returns
    -------
    dict
        Percentiles of the cosines of random pairs, the median cosine of two tracks of an artist,
        the median cosine of the nearest tracks of other artists by rank, `skewness` and `reach` of
        10-occurrence, the share of the variance in the first principal components, and the share of
        tracks with a near-duplicate.
    """
    rng = np.random.default_rng(seed)
    _, owners = np.unique([str(artist) for artist in artists], return_inverse=True)
    pairs = rng.integers(0, len(vectors), (2, _PAIRS))
    others = owners[pairs[0]] != owners[pairs[1]]
    cosines = (vectors[pairs[0]] * vectors[pairs[1]]).sum(1)
    measured = {
        f"random pairs, percentile {percentile}": float(np.percentile(cosines[others], percentile))
        for percentile in (1, 10, 50, 90, 99)
    }
    seeds = np.sort(rng.permutation(len(vectors))[:_SEEDS])
    of_artist: list[float] = []
    by_rank: list[NDArray[np.float32]] = []
    near = 0
    for row in seeds.tolist():
        to_all = vectors @ vectors[row]
        to_all[row] = -1.0
        near += bool(to_all.max() >= _NEAR_DUPLICATE)
        same = owners == owners[row]
        of_artist += to_all[same & (to_all > -1.0)].tolist()[:20]
        falling = np.sort(to_all[~same])[::-1]
        by_rank.append(falling[np.array(_RANKS) - 1])
    measured["one artist, median"] = float(np.median(of_artist or [np.nan]))
    for rank, cosine in zip(_RANKS, np.median(by_rank, axis=0).tolist(), strict=True):
        measured[f"nearest of other artists, rank {rank}"] = cosine
    hubs = hubness(nearest(lambda rows: vectors[rows] @ vectors.T, len(vectors)), len(vectors))
    measured["skewness of 10-occurrence"] = hubs.skewness
    measured["reach of 10-occurrence"] = hubs.reach
    variances = np.linalg.svd(vectors - vectors.mean(0), compute_uv=False) ** 2
    for first in (1, 10, 50):
        measured[f"variance in {first} components"] = float(
            variances[:first].sum() / variances.sum()
        )
    measured["tracks with a near-duplicate"] = near / len(seeds)
    return measured


def _main(catalog: str, *tables: str) -> None:
    from recommender import Recommender

    named = {}
    for table in tables:
        with Path(table).open(encoding="utf-8", newline="") as file:
            named |= {row["path"]: row["artist"] for row in csv.DictReader(file)}
    with Recommender.open(catalog) as recommender:
        ids = recommender.ids()
        artists = [
            named.get(track.key) or track.artist or track.key for track in recommender.tracks(ids)
        ]
        measured = shape(recommender.vectors(ids), artists)
        print(f"{len(ids):,} tracks, {len(set(artists)):,} artists")
        activations = recommender.activations(ids)
        measured |= {
            f"mean activation of a tag, percentile {percentile}": float(
                np.percentile(activations.mean(0), percentile)
            )
            for percentile in (10, 50, 90, 100)
        }
    for name, value in measured.items():
        print(f"{value:8.4f}  {name}")


if __name__ == "__main__":
    _main(*sys.argv[1:])
