from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import evaluate_cold_start
import numpy as np
import pytest
from click.testing import CliRunner
from cold_start import hand_over
from cold_start.datasets import read_dataset
from cold_start.methods import split
from cold_start.speed import compare, upload

from indexer.errors import QueryError
from tests.catalogs import Planted, plant

ROOT = Path(__file__).parents[2]


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


def small_table(folder: Path) -> tuple[Path, Path]:
    """Plays that follow the vectors, as a CSV, and the vectors."""
    rng = np.random.default_rng(0)
    latent = rng.standard_normal((90, 3))
    chances = np.exp(2 * rng.standard_normal((120, 3)) @ latent.T)
    lines = ["user,item,count"]
    for user, own in enumerate(chances):
        items = rng.choice(90, 18, replace=False, p=own / own.sum())
        lines += [f"u{user},i{item},{rng.integers(1, 30)}" for item in items]
    plays, vectors = folder / "plays.csv", folder / "vectors.npz"
    plays.write_text("\n".join(lines))
    np.savez(
        vectors,
        item=np.array([f"i{number}" for number in range(90)]),
        vector=latent @ rng.standard_normal((3, 8)),
        artist=np.array([f"artist {number // 3}" for number in range(90)]),
    )
    return plays, vectors


def ask(*words: object) -> dict[str, object]:
    done = CliRunner().invoke(evaluate_cold_start.main, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:embeddings do not tell:RuntimeWarning")
def test_real_plays_are_ranked_by_every_way_and_measured_once(tmp_path: Path) -> None:
    plays, vectors = small_table(tmp_path)
    asked = (
        "real", plays, "--vectors", vectors, "--seeds", 1, "--factors", 8, "--json",
        "--cache", tmp_path / "cache", "--without", "Cornac VBPR",
    )  # fmt: skip
    first, second = ask(*asked)["tables"]
    rows = {row["name"]: row for row in first["rows"]}
    quality = {name: row["nDCG@20"]["value"] for name, row in rows.items()}
    assert quality["default"] > quality["default, vectors shuffled"]
    assert quality["ceiling"] > quality["content cosine"]
    assert rows["default"]["nDCG@20"]["low"] < quality["default"]
    assert {row["name"] for row in second["rows"]} >= {"content cosine", "ridge on the plays"}
    stored = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()}
    assert ask(*asked)["tables"][0] == first
    assert stored == {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()}


@pytest.mark.slow
def test_a_curve_of_items_with_few_plays_is_measured_and_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plays, vectors = small_table(tmp_path)
    with np.load(vectors) as z:
        np.savez(vectors, item=z["item"], vector=z["vector"])
    monkeypatch.setattr(hand_over, "FEWEST", 10)
    monkeypatch.setattr(hand_over, "PLAYS", (0, 1, 2, 5, 50))
    answer = ask(
        "handover", plays, "--vectors", vectors, "--seeds", 1, "--factors", 8, "--json",
        "--plot", tmp_path / "plot.png",
    )  # fmt: skip
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    for table in answer["tables"]:
        nothing = table["rows"][0]
        assert nothing["both, exposure 0"] == nothing["content alone"]
        # No item has 50 plays.
        assert [row["name"] for row in table["rows"]] == ["0", "1", "2", "5"]


def test_tables_of_plays_are_read_and_split_by_artist(tmp_path: Path) -> None:
    plays, vectors = small_table(tmp_path)
    data = read_dataset(plays, vectors=vectors, catalog=None)
    assert data.plays.data.mean() == pytest.approx(1.0)
    parts = split(data, by_artist=True, factors=8, alpha=5.0, seed=0)
    assert not set(data.artists[parts.cold]) & set(data.artists[parts.warm])
    assert 0.1 < len(parts.cold) / data.plays.shape[1] <= 0.2
    count = data.plays.shape[1]
    protocol = np.random.default_rng(1003).permutation(count)[: count // 5]
    items = split(data, by_artist=False, factors=8, alpha=5.0, seed=3).cold
    np.testing.assert_array_equal(items, np.sort(protocol))
    with pytest.raises(QueryError, match="give --vectors or --catalog"):
        read_dataset(plays, vectors=None, catalog=None)


def test_movielens_is_read_as_it_is_downloaded(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    genres = ["Action|Comedy", "Drama", "Comedy|Drama", "Action|Horror"]
    movies = [f'{n},"Film {n} (1999)",{genres[n % 4]}' for n in range(40)]
    ratings = [
        f"{user},{movie},{rng.integers(1, 6) if user else 5},0"
        for user in range(60)
        for movie in range(40)
    ]
    (tmp_path / "movies.csv").write_text("movieId,title,genres\n" + "\n".join(movies))
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + "\n".join(ratings))
    data = read_dataset(tmp_path, vectors=None, catalog=None)
    assert data.plays.shape == (60, 40)
    assert (data.plays.data == 1).all()
    assert 0.3 < data.plays.nnz / 2400 < 0.5
    cosines = data.vectors @ data.vectors[0]
    assert cosines[4] == pytest.approx(1.0, abs=1e-3)
    assert cosines[1] < 0.5
    with pytest.raises(QueryError, match="holds neither"):
        (tmp_path / "empty").mkdir()
        read_dataset(tmp_path / "empty", vectors=None, catalog=None)
