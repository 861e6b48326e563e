from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from training.genre_run import run_genre
from training.labelled import folds_by_artist

from indexer.errors import BadLabels
from indexer.models.registry import load_model
from recommender.genres.labels import Song, from_folders
from tests import sounds

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight songs of four artists in two classes: notes, and noise."""
    folder = tmp_path_factory.mktemp("labelled")
    for genre in ("notes", "noise"):
        (folder / genre).mkdir()
        for number in range(4):
            wave = sounds.music(7, sample_rate=16_000, channels=1, seed=number)
            if genre == "noise":
                wave = np.random.default_rng(number).standard_normal(wave.shape) / 8
            sounds.write_audio(
                folder / genre / f"{number}.wav",
                wave.astype(np.float32),
                sample_rate=16_000,
                tags={"artist": f"{genre} {number // 2}", "genre": genre.title()},
            )
    return folder


def test_no_artist_is_in_two_folds(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    songs = [
        Song(tmp_path / str(n), (f"genre {n % 3}",), f"artist {rng.integers(20)}")
        for n in range(90)
    ]
    folds = folds_by_artist(songs, folds=3, seed=0)
    owners: dict[str, set[int]] = {}
    for song, fold in zip(songs, folds, strict=True):
        owners.setdefault(song.artist, set()).add(int(fold))
    assert all(len(found) == 1 for found in owners.values())
    assert set(folds) == {0, 1, 2}


def test_too_few_classes_or_artists_are_said(labelled: Path, tmp_path: Path) -> None:
    options = {"name": "x", "folds": 2, "epochs": 1, "windows": 1, "seed": 0, "report": str}
    songs = from_folders(labelled)
    with pytest.raises(BadLabels, match="fewer than 2 classes"):
        run_genre(songs[:4], tmp_path, **options)
    lone = [Song(song.path, song.genres, "one") for song in songs]
    with pytest.raises(BadLabels, match="at least 2 artists"):
        run_genre(lone, tmp_path, **options)


@pytest.mark.slow
def test_a_classifier_trained_from_nothing_tells_notes_from_noise(
    labelled: Path, tmp_path: Path
) -> None:
    figures = run_genre(
        from_folders(labelled),
        tmp_path,
        name="two",
        folds=2,
        epochs=15,
        windows=2,
        seed=0,
        report=lambda _: None,
    )
    assert figures["accuracy"] == 1.0
    assert json.loads((tmp_path / "figures.json").read_text()) == figures
    assert (tmp_path / "confusion.png").stat().st_size > 1000
    assert (tmp_path / "curves.png").stat().st_size > 1000
    model = load_model(tmp_path / "two.safetensors")
    assert model.info.tag_names == ("noise", "notes")
    noise = np.random.default_rng(9).standard_normal((1, 48_000)).astype(np.float32) / 8
    _, activations = model.pool([model.embed({16_000: noise})])
    assert activations[0] > 0.5 > activations[1]
