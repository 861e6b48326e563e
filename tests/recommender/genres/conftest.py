from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.catalogs import DIM, Planted, plant

if TYPE_CHECKING:
    from pathlib import Path

TAGS = ("guitar", "piano", "electro", "mellow")
GENRES = ("Jazz", "Rock", "Techno")


def voices(*, artists: int = 4, of_each: int = 3, spread: float = 0.5) -> list[Planted]:
    """Tracks of three genres in directions of their own, each artist a little aside."""
    rng = np.random.default_rng(0)
    planted = []
    for number, genre in enumerate(GENRES):
        for artist in range(artists):
            aside = spread * rng.standard_normal(DIM)
            for song in range(of_each):
                vector = np.eye(DIM)[number] * 3 + aside + 0.2 * rng.standard_normal(DIM)
                planted.append(
                    Planted(
                        f"{genre} {artist} {song}",
                        activations={TAGS[number]: 0.8, "mellow": 0.5 if genre == "Jazz" else 0.05},
                        genre=genre,
                        artist=f"{genre} band {artist}",
                        vector=vector.tolist(),
                    )
                )
    return planted


@pytest.fixture(scope="package")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """36 tracks of three genres, and two that name none; not to be changed."""
    silent = [
        Planted("Nameless one", artist="X", vector=[3.0, *[0.1] * (DIM - 1)]),
        Planted("Nameless two", artist="X", vector=[0.1, 3.0, *[0.1] * (DIM - 2)], genre="Other"),
    ]
    return plant(tmp_path_factory.mktemp("library"), TAGS, voices() + silent)
