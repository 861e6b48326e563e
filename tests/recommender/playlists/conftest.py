from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np
import pytest

from recommender import Recommender
from tests import catalogs
from tests.catalogs import Planted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

Plant = Callable[..., Recommender]


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    """Opens a new catalog of tracks with ids from 1 on, made of vectors (n, dim)."""
    with ExitStack() as opened:

        def make(
            vectors: NDArray[np.floating],
            *,
            artists: Sequence[str | None] | None = None,
            durations: Sequence[float] | None = None,
            recordings: Mapping[int, int] | None = None,
            titles: Mapping[int, str] | None = None,
            years: Sequence[int] | None = None,
        ) -> Recommender:
            tracks = [
                Planted(
                    (titles or {}).get(number, f"Title {number}"),
                    artist=artists[number - 1] if artists else f"Artist {number}",
                    # 20 s apart, so that only what is meant to be a copy is one.
                    duration_s=durations[number - 1] if durations else 20.0 * number,
                    recording=(recordings or {}).get(number),
                    year=years[number - 1] if years else None,
                    vector=vector.tolist(),
                )
                for number, vector in enumerate(vectors, start=1)
            ]
            return opened.enter_context(
                Recommender.open(catalogs.plant(tmp_path, ("loud",), tracks))
            )

        yield make


def ring(count: int, *, dim: int = 8, noise: float = 0.05) -> NDArray[np.float64]:
    """Tracks evenly round a circle, a little off it; track i + 1 lies at the angle 2 pi i / n."""
    angles = np.arange(count) * 2 * np.pi / count
    vectors = noise * np.random.default_rng(0).normal(size=(count, dim))
    vectors[:, 0] += np.cos(angles)
    vectors[:, 1] += np.sin(angles)
    return vectors


def clusters(count: int, kinds: int, *, dim: int = 16, noise: float = 0.2) -> NDArray[np.float64]:
    """Tracks around as many points as there are kinds; track i + 1 is of kind i modulo kinds."""
    rng = np.random.default_rng(1)
    centres = np.linalg.qr(rng.normal(size=(dim, kinds)))[0].T
    return centres[np.arange(count) % kinds] + noise * rng.normal(size=(count, dim))
