from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import evaluate_cold_start
import numpy as np
import pytest
from click.testing import CliRunner
from cold_start.descriptors import intervals, spectral_features
from cold_start.handover import draw
from cold_start.measures import measure
from cold_start.simulation import Habits, Tracks, simulate, split
from cold_start.sources import read_tracks
from cold_start.speed import compare, upload
from scipy.sparse import csr_matrix

from indexer.errors import QueryError
from indexer.filesystem import display_path
from recommender.engine import Recommender
from tests.catalogs import Planted, plant

COUNT = 120
ROOT = Path(__file__).parents[2]


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


def test_users_are_drawn_by_seed_and_favour_what_is_popular() -> None:
    habits = Habits(users=400, plays=8, tastes=10, popularity=1.5)
    plays = simulate(tracks(), habits, seed=1).plays
    assert (plays.data == 1).all()
    assert (simulate(tracks(), habits, seed=1).plays != plays).nnz == 0
    assert (simulate(tracks(), habits, seed=2).plays != plays).nnz > 0
    counts = np.sort(np.asarray(plays.sum(0)).ravel())
    assert counts[-COUNT // 5 :].sum() > 0.4 * counts.sum()


def test_oracles_know_what_they_say_they_know() -> None:
    """The more an oracle knows of how plays were drawn, the more plays it finds."""
    everything = tracks()
    world = simulate(everything, Habits(users=300, plays=8), seed=0)
    nothing = csr_matrix(world.plays.shape, dtype=np.float32)
    tail = np.ones(COUNT, bool)
    auc = [
        measure(scores, world.plays, nothing, np.ones(COUNT, bool), tail).means[0]
        for scores in (world.sound_taste, world.taste, world.chances)
    ]
    assert 0.6 < auc[0] < auc[1] < auc[2]
    for chances in (world.sound_taste, world.taste, world.chances):
        np.testing.assert_allclose(chances.sum(1), 1.0, rtol=1e-4)


def test_labels_do_not_reach_what_can_be_heard() -> None:
    deaf = Habits(users=50, artist=0.0, group=0.0, genre=0.0)
    fans = simulate(tracks(), Habits(users=50), seed=3)
    np.testing.assert_array_equal(fans.sound_taste, simulate(tracks(), deaf, seed=3).sound_taste)
    assert not np.allclose(fans.taste, fans.sound_taste)


def test_whole_artists_are_held_out_and_nothing_is_lost() -> None:
    everything = tracks()
    plays = simulate(everything, Habits(users=100, plays=10), seed=0).plays
    parts = split(
        plays, everything.artist_keys, cold_share=0.25, held_share=0.2, whole_artists=True, seed=0
    )
    artists = np.array(everything.artist_keys)
    assert 0.15 < parts.cold.mean() <= 0.25
    assert not set(artists[parts.cold]) & set(artists[~parts.cold])
    assert parts.train[:, parts.cold].nnz == 0
    assert (parts.everything != plays).nnz == 0
    assert parts.train.multiply(parts.held_out).nnz == 0
    halves = parts.halved(seed=1)
    assert (halves.everything != plays).nnz == 0
    assert halves.train.multiply(halves.held_out).nnz == 0
    assert 0.35 < halves.held_out.nnz / parts.held_out.nnz < 0.65


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


def test_descriptors_measure_intervals_not_keys() -> None:
    rng = np.random.default_rng(0)
    chroma = rng.random((50, 12))
    np.testing.assert_allclose(intervals(chroma), intervals(np.roll(chroma, 5, axis=1)), rtol=1e-6)
    seconds = np.arange(48_000) / 16_000

    def chord(*pitches: float) -> np.ndarray:
        return sum(np.sin(2 * np.pi * pitch * seconds) for pitch in pitches)[None].astype(
            np.float32
        )

    fifth, semitone = spectral_features(chord(440, 659.3)), spectral_features(chord(440, 466.2))
    assert fifth.shape == (62,)
    assert np.isfinite(fifth).all()
    # After 40 of MFCC: how much of itself the chroma finds 0 to 6 semitones higher.
    assert fifth[40 + 5] > semitone[40 + 5]
    assert semitone[40 + 1] > fifth[40 + 1]


def test_an_export_that_takes_too_much_memory_fails(tmp_path: Path) -> None:
    catalog = plant(tmp_path, ("loud",), [Planted("T 1", vector=[1.0] * 8)])
    code = (
        "import sys; sys.path.insert(0, 'scripts')\n"
        "from pathlib import Path\n"
        "from cold_start.memory import export_within\n"
        f"print(export_within(Path({str(catalog)!r}), Path({str(tmp_path / 'out.npz')!r}), "
        "limit_mb=int(sys.argv[1]))[0])"
    )
    for limit, leaves in (("4000", 0), ("50", 1)):
        done = subprocess.run(
            [sys.executable, "-c", code, limit], capture_output=True, text=True, cwd=ROOT
        )
        assert done.returncode == leaves, done.stderr
        assert (tmp_path / "out.npz").exists()
    assert done.stdout == ""


def test_both_sides_of_the_speed_test_run() -> None:
    theirs, ours = compare(users=20, items=300, factors=4, rounds=2)
    assert len(theirs) == len(ours) == 2
    assert min(theirs + ours) > 0


@pytest.mark.slow
def test_uploads_are_timed_until_they_are_served(
    original_catalog: Path, original_songs: Path
) -> None:
    song = sorted(original_songs.rglob("*.mp3"))[0]
    seconds = upload(original_catalog, song, rounds=2)
    assert len(seconds) == 2
    assert min(seconds) > 0


def test_vectors_without_the_array_that_was_named_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "some.npz", path=np.array(["a"]), vector=np.ones((1, 3)))
    with pytest.raises(QueryError, match='no npz with "path" and "MFCC"'):
        read_tracks({}, [], tmp_path / "some.npz", {"MFCC": tmp_path / "some.npz"})


@pytest.mark.slow
def test_a_small_world_is_simulated(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    planted = [
        Planted(f"T {number}", vector=rng.standard_normal(8).tolist()) for number in range(COUNT)
    ]  # fmt: skip
    catalog = plant(tmp_path, ("loud",), planted)
    with Recommender.open(catalog) as sound:
        ids = sound.ids()
        paths = [display_path(track.path) for track in sound.tracks(ids)]
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
        "--catalog", f"own={catalog}", "--labels", tmp_path / "labels.csv",
        "--taste", tmp_path / "taste.npz", "--factors", 8, "--users", 2000, "--worlds", 1,
    ]  # fmt: skip
    done = CliRunner().invoke(evaluate_cold_start.main, [str(w) for w in ("run", *asked, "--json")])
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert answer["simulation"] is True
    cold = {row["name"]: row for row in answer["tables"][0]["rows"]}
    # Here taste is the sound itself, so that the map must find it.
    assert cold["own, chosen"]["AUC"] > cold["own shuffled, chosen"]["AUC"] + 0.05
    assert cold["ceiling"]["AUC"] > cold["own, chosen"]["AUC"]
    titles = [table["title"] for table in answer["tables"]]
    assert titles[1:5] == [
        "Warm tracks", "All tracks", "Cold tracks, half of their plays asked for",
        "New tracks of known artists",
    ]  # fmt: skip
    ratios = {row["name"]: row["ratio"] for row in answer["tables"][-1]["rows"]}
    expected = cold["own, chosen"]["recall@20"] / cold["ceiling"]["recall@20"]
    assert ratios["ceiling"] == pytest.approx(expected, abs=1e-3)
