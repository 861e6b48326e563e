from __future__ import annotations

import csv
import json
from pathlib import Path

import evaluate
import numpy as np
import pytest
from click.testing import CliRunner
from evaluation.steering import FIRST, MOODS, WEIGHTS

from tests.catalogs import Planted, plant

TAG_OF_QUADRANT = {"Q1": "happy", "Q2": "angry music", "Q3": "sad", "Q4": "calm"}
GENRES = ("Jazz", "Rock", "Folk")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A catalog of songs that sound like their genre, with tags of their mood, and their labels."""
    folder = tmp_path_factory.mktemp("steering")
    rng = np.random.default_rng(0)
    tracks, rows = [], []
    for number in range(1, 145):
        genre, quadrant = GENRES[number % 3], f"Q{number // 3 % 4 + 1}"
        activations = {tag: float(rng.uniform(0, 0.3)) for tag in TAG_OF_QUADRANT.values()}
        activations[TAG_OF_QUADRANT[quadrant]] += 0.5
        activations["party"] = 0.8 if quadrant in ("Q1", "Q2") else 0.1
        vector = 2 * np.eye(8)[number % 3] + rng.normal(size=8)
        tracks.append(Planted(None, activations, vector=vector.tolist()))
        rows.append(
            {
                "path": f"songs/{number:04}.mp3",
                "genre": genre if number % 8 else "",
                "genres": f"{genre};International",
                "quadrant": quadrant,
                "artist": f"artist {number // 2}",
            }
        )
    labels = folder / "labels.csv"
    with labels.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return plant(folder, (*TAG_OF_QUADRANT.values(), "party"), tracks), labels


def ask(*words: object) -> str:
    done = CliRunner().invoke(evaluate.main, ["steering", *map(str, words)])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_words_reach_their_mood_and_mostly_keep_the_genre(library: tuple[Path, Path]) -> None:
    choice, shown = json.loads(ask(*library, "--json"))["tables"]
    assert [float(row["name"]) for row in choice["rows"]] == list(WEIGHTS)
    moods = [row[f"mood reached @{FIRST}"] for row in choice["rows"]]
    genres = [row[f"genre kept @{FIRST}"] for row in choice["rows"]]
    assert moods[0] < moods[5] < moods[-1]
    assert genres[0] > genres[-1]
    assert "the rule takes" in choice["notes"]
    assert [row["name"] for row in shown["rows"]] == list(MOODS)
    for row in shown["rows"]:
        alone, steered = row["mood reached: seed alone"], row["mood reached: seed and word"]
        assert steered["value"] > alone["value"] + 0.1
        assert steered["low"] < steered["value"] < steered["high"]
        kept = row["genre kept: seed and word"]["value"]
        assert kept > row["genre kept: word alone"] + 0.1
    assert "own artist left out" in shown["notes"]


def test_the_same_seed_gives_the_same_table(library: tuple[Path, Path]) -> None:
    first = ask(*library, "--seed", 3)
    assert first == ask(*library, "--seed", 3)
    assert first != ask(*library, "--seed", 4)


def test_a_catalog_of_other_tracks_is_refused(library: tuple[Path, Path], tmp_path: Path) -> None:
    other = plant(tmp_path, ("sad",), [Planted("alone")])
    done = CliRunner().invoke(evaluate.main, ["steering", str(other), str(library[1])])
    assert done.exit_code == 1
    assert "too few tracks of labels.csv" in done.output
