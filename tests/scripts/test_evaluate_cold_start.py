from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import evaluate_cold_start
import numpy as np
import pytest
from click.testing import CliRunner
from cold_start.handover import draw
from cold_start.measures import measure
from cold_start.simulation import Habits, Tracks, listen, split
from scipy.sparse import csr_matrix

from indexer.paths import shown
from recommender.engine import Recommender
from tests.recommender.catalogs import Planted, plant

if TYPE_CHECKING:
    from pathlib import Path

COUNT = 120


def tracks() -> Tracks:
    rng = np.random.default_rng(0)
    taste = rng.standard_normal((COUNT, 6)).astype(np.float32)
    return Tracks(
        [f"artist {number // 4}" if number % 5 else "" for number in range(COUNT)],
        [f"group {number // 12}" for number in range(COUNT)],
        ["rock" if number % 2 else "" for number in range(COUNT)],
        {},
        taste / np.linalg.norm(taste, axis=1, keepdims=True),
    )


def test_listeners_are_drawn_by_seed_and_favour_what_is_popular() -> None:
    habits = Habits(listeners=400, plays=8, tastes=10, popularity=1.5)
    plays = listen(tracks(), habits, seed=1)
    assert (plays.data == 1).all()
    assert (listen(tracks(), habits, seed=1) != plays).nnz == 0
    assert (listen(tracks(), habits, seed=2) != plays).nnz > 0
    counts = np.sort(np.asarray(plays.sum(0)).ravel())
    assert counts[-COUNT // 5 :].sum() > 0.4 * counts.sum()


def test_whole_artists_are_held_out_and_nothing_is_lost() -> None:
    everything = tracks()
    plays = listen(everything, Habits(listeners=100, plays=10), seed=0)
    parts = split(
        plays, everything.makers, cold_share=0.25, held_share=0.2, whole_artists=True, seed=0
    )
    makers = np.array(everything.makers)
    assert 0.15 < parts.cold.mean() <= 0.25
    assert not set(makers[parts.cold]) & set(makers[~parts.cold])
    assert parts.train[:, parts.cold].nnz == 0
    assert (parts.everything != plays).nnz == 0
    assert parts.train.multiply(parts.held_out).nnz == 0


def test_measures_agree_with_those_worked_out_by_hand() -> None:
    scores = np.array([[0.9, 0.8, 0.7, 0.6, 0.5]], np.float32)
    relevant = csr_matrix(np.array([[0, 1, 0, 1, 0]], np.float32))
    known = csr_matrix(np.array([[1, 0, 0, 0, 0]], np.float32))
    everything = np.ones(5, bool)
    tail = np.array([False, False, False, True, True])
    found = measure(scores, relevant, known, everything, tail)
    # Ranked: 1 (hit), 2, 3 (hit), 4, and the one that is known last.
    auc, average, recall, ndcg, _ = found.means
    assert auc == pytest.approx(3 / 4)
    assert average == pytest.approx((1 + 2 / 3) / 2)
    assert recall == 1.0
    assert ndcg == pytest.approx((1 + 1 / 2) / (1 + 1 / np.log2(3)))


def test_the_plot_is_drawn(tmp_path: Path) -> None:
    draw(np.random.default_rng(0).random((2, 6, 3)), tmp_path / "plot.png", title="x")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_small_world_is_simulated(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    planted = [
        Planted(f"T {number}", vector=rng.standard_normal(8).tolist()) for number in range(COUNT)
    ]  # fmt: skip
    catalog = plant(tmp_path, ("loud",), planted)
    with Recommender.open(catalog) as sound:
        ids = sound.ids()
        paths = [shown(track.path) for track in sound.tracks(ids)]
        vectors = sound.vectors(ids)
    np.savez(tmp_path / "taste.npz", path=np.array(paths), vector=vectors)
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "artist", "group", "genre"])
        rows.writerows(
            [f"music/{number + 1:04}.mp3", f"artist {number // 4}", "", ""]
            for number in range(COUNT)
        )
    asked = [
        "run", "--catalog", f"own={catalog}", "--labels", tmp_path / "labels.csv",
        "--taste", tmp_path / "taste.npz", "--kinds", "ridge", "--factors", 8,
        "--listeners", 400, "--seeds", 1, "--json",
    ]  # fmt: skip
    done = CliRunner().invoke(evaluate_cold_start.main, [str(word) for word in asked])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["simulation"] is True
    cold = {row["name"]: row for row in told["tables"][0]["rows"]}
    # Here taste is the sound itself, so that the map must find it.
    assert cold["own, ridge"]["AUC"] > cold["own shuffled, ridge"]["AUC"] + 0.05
    assert cold["ceiling"]["AUC"] > cold["own, ridge"]["AUC"]
