from __future__ import annotations

import csv
import json
from pathlib import Path

import evaluate
import numpy as np
import pytest
from click.testing import CliRunner, Result
from evaluation import bliss, labels, mfcc
from evaluation.embeddings import Cache
from evaluation.tables import Figure, Table, as_json, as_markdown

from indexer.errors import QueryError
from indexer.models.registry import load_model
from tests import sounds
from tests.catalogs import DIM, Planted, plant

GENRES = ("calm", "loud")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(evaluate.main, [str(argument) for argument in arguments])


def tables_of(result: Result) -> dict[str, dict[str, dict[str, object]]]:
    """Rows by name of tables by title."""
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    return {
        table["title"]: {row.pop("name"): row for row in table["rows"]} for table in told["tables"]
    }


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A music folder: eight songs of two genres by eight artists."""
    folder = tmp_path_factory.mktemp("music")
    (folder / "clips").mkdir()
    rows = []
    for number in range(8):
        genre = GENRES[number % 2]
        sound = sounds.music(4 + 0.5 * number, sample_rate=16_000, channels=1, seed=number)
        if genre == "loud":
            noise = np.random.default_rng(number).standard_normal(sound.shape)
            sound = (0.3 * sound + 0.25 * noise).clip(-1, 1).astype(np.float32)
        path = sounds.write_audio(folder / "clips" / f"{number}.wav", sound, sample_rate=16_000)
        rows.append(
            {
                "path": f"clips/{path.name}",
                "seconds": "5",
                "title": f"Song {number}",
                "artist": f"Artist {number}",
                "genre": genre,
                "group": "emotify",
                "licence": "CC0",
                "split": "eval",
            }
        )
    with (folder / "clips.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tracks of six artists and two genres; those of an artist lie together, and of a genre."""
    rng = np.random.default_rng(0)
    genres = rng.standard_normal((2, DIM))
    artists = genres[np.arange(6) % 2] + 0.5 * rng.standard_normal((6, DIM))
    planted = [
        Planted(
            f"track {number}",
            genre=GENRES[number % 2].title(),
            artist=f"Artist {number % 6}",
            vector=(artists[number % 6] + 0.2 * rng.standard_normal(DIM)).tolist(),
        )
        for number in range(30)
    ]
    return plant(tmp_path_factory.mktemp("catalog"), ("loud", "soft"), planted)


def test_a_labelled_catalog_is_measured_beside_its_baselines(catalog: Path) -> None:
    tables = tables_of(run("labelled", "--catalog", catalog, "--without-mfcc", "--json"))
    assert list(tables) == [
        "labelled tracks: same genre, own artist out",
        "labelled tracks: same genre",
        "labelled tracks: same artist",
        "labelled tracks: hubs",
    ]
    genre = tables["labelled tracks: same genre, own artist out"]
    assert list(genre) == [
        "planted",
        "planted, local scaling",
        "planted, shuffled",
        "random",
        "popularity (artists with most tracks)",
    ]
    own, control = genre["planted"], genre["planted, shuffled"]
    assert own["seeds"] == 30
    # 15 of a genre, 5 of them by the own artist: 10 of 25 others.
    assert own["chance"] == "0.400"
    assert own["P@5"]["value"] > 0.9 > 0.6 > control["P@5"]["value"]
    assert own["P@5"]["low"] <= own["P@5"]["value"] <= own["P@5"]["high"]
    assert tables["labelled tracks: hubs"]["popularity (artists with most tracks)"]["reach"][
        "value"
    ] == pytest.approx(11 / 30, abs=1e-3)


def test_finding_a_recording_again_is_no_hit(catalog: Path, tmp_path: Path) -> None:
    planted = [
        Planted(
            f"track {number}",
            genre="Rock" if number < 4 else "Jazz",
            vector=np.eye(DIM)[number // 2].tolist(),
        )
        for number in range(8)
    ]
    twice = plant(tmp_path, ("loud", "soft"), planted)
    done = run("labelled", "--catalog", twice, "--without-mfcc", "--json")
    assert tables_of(done)["labelled tracks: same genre"]["planted"]["seeds"] == 4
    assert "4 tracks with labels, 4 near-duplicates left out" in done.stderr


def test_the_same_seed_gives_the_same_figures(catalog: Path) -> None:
    arguments = ("labelled", "--catalog", catalog, "--without-mfcc", "--json", "--seed", 5)
    assert run(*arguments).stdout == run(*arguments).stdout
    assert run(*arguments[:-1], 6).stdout != run(*arguments).stdout


def write_labels(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_labels_come_from_tables_by_the_end_of_the_path(catalog: Path, tmp_path: Path) -> None:
    rows = [
        f"music/{n:04}.mp3,{'AB'[n % 2]},{n},{'yes' if n <= 20 else 'no'}" for n in range(1, 31)
    ]
    table = write_labels(tmp_path / "labels.csv", "path,group,plays,kept\n" + "\n".join(rows))
    arguments = ("labelled", "--catalog", catalog, "--without-mfcc", "--json", "--labels", table)
    tables = tables_of(run(*arguments))
    group = tables["labelled tracks: same group"]
    assert list(group)[-1] == "popularity (plays)"
    assert group["planted"]["P@1"]["value"] > 0.9
    # The most played are 30, 29, ...: of either group in turn.
    assert group["popularity (plays)"]["P@10"]["value"] == pytest.approx(0.5, abs=0.1)
    some = tables_of(run(*arguments, "--where", "kept=yes"))
    assert some["labelled tracks: same group"]["planted"]["seeds"] == 20


def test_a_second_catalog_stands_beside_the_first(catalog: Path) -> None:
    arguments = ("--catalog", catalog, "--catalog", catalog, "--without-mfcc", "--json")
    rows = tables_of(run("labelled", *arguments))["labelled tracks: same artist"]
    assert list(rows)[:2] == ["planted", "planted (catalog 2)"]
    assert rows["planted"] == rows["planted (catalog 2)"]


def test_a_longer_path_wins_and_a_part_of_a_name_is_no_path(tmp_path: Path) -> None:
    table = write_labels(
        tmp_path / "t.csv", "path,genre,group\na.mp3,one,all\nx/a.mp3,Two,all\n,three,\n"
    )
    places, known = labels.from_tables([b"/m/x/a.mp3", b"/m/y/a.mp3", b"/m/ba.mp3"], [table])
    assert places == [0, 1]
    assert known.of == {"genre": ["two", "one"]}  # One group for all tells nothing apart.
    assert known.plays is None


def test_questions_without_an_answer_end_in_a_sentence(
    catalog: Path, tmp_path: Path, music: Path
) -> None:
    for name in ("one", "untagged"):
        (tmp_path / name).mkdir()
    nameless = [Planted(f"track {number}", artist=None) for number in range(3)]
    untagged = plant(tmp_path / "untagged", ("loud",), nameless)
    one = plant(tmp_path / "one", ("loud",), [Planted("alone")])
    elsewhere = write_labels(tmp_path / "elsewhere.csv", "path,genre\nnowhere.mp3,rock\n")
    headless = write_labels(tmp_path / "headless.csv", "file,genre\nnowhere.mp3,rock\n")
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\x00\xff" * 500)
    empty = tmp_path / "empty"
    empty.mkdir()
    plain = ("labelled", "--without-mfcc", "--catalog")
    for arguments, said in (
        ((*plain, untagged), "no two tracks share"),
        ((*plain, one), "nothing to compare"),
        ((*plain, tmp_path / "absent.db"), "absent.db"),
        ((*plain, catalog, "--labels", elsewhere), "none of the 1 paths"),
        ((*plain, catalog, "--labels", headless), 'no column "path"'),
        ((*plain, catalog, "--labels", binary), "binary.csv"),
        ((*plain, catalog, "--labels", elsewhere, "--where", "genre=jazz"), "has genre=jazz"),
        (("labelled", "--catalog", catalog), "none of 30 files can be analysed"),
        (("models", music, "--model", "nonesuch"), "nonesuch is not on this machine"),
        (("models", empty), "has none of the tables mood4q.csv"),
        (("windows", empty), "has none of the tables mood4q.csv"),
        (("candidates", empty), "has none of the tables mood4q.csv"),
        (("candidates", music), "no table with a split `train`"),
        (("windows", music, "--model", "nonesuch"), "nonesuch is not on this machine"),
        (("copies", empty), "0 sound files"),
    ):
        result = run(*arguments)
        assert result.exit_code == 1, arguments
        assert said in result.stderr
        assert "Traceback" not in result.stderr
        assert result.stderr.splitlines()[-1].startswith("Error: ")


def test_models_are_compared_and_a_second_run_embeds_nothing(music: Path, tmp_path: Path) -> None:
    arguments = ("models", music, "--model", "musicnn", "--cache", tmp_path, "--windows", 2)
    first = run(*arguments, "--json")
    tables = tables_of(first)
    rows = tables["Models, against musicnn"]
    assert [name for name in rows if name != bliss.NAME] == [
        "musicnn",
        mfcc.NAME,
        "musicnn, shuffled",
    ]
    column = "Emotify: genre (8)"
    precision, average = map(float, rows["musicnn"][column].split(" / "))
    assert precision == 0.6  # 3 of 5 are all that there are.
    assert average == 1.0
    assert rows["musicnn"]["verdict"] == "first"
    assert rows[mfcc.NAME]["verdict"] == rows["musicnn, shuffled"]["verdict"] == "-"
    assert rows["musicnn, shuffled"]["mean difference"].startswith("-")
    cost = tables["What a track costs"]["musicnn"]
    assert cost["numbers kept"] == load_model("musicnn").info.dim
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")}
    assert len(kept) == 8 * (2 + (bliss.NAME in rows))
    assert run(*arguments, "--json").stdout == first.stdout
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")} == kept


def test_more_windows_cost_more_and_come_nearer_to_all(music: Path, tmp_path: Path) -> None:
    result = run(
        "windows",
        music,
        "--model",
        "musicnn",
        "--count",
        1,
        "--count",
        2,
        "--count",
        0,
        "--cache",
        tmp_path,
        "--json",
    )
    ((title, rows),) = tables_of(result).items()
    assert title == "musicnn, windows asked for: Emotify: genre"
    assert list(rows) == ["1", "2", "all"]
    assert [row["windows used (mean)"] for row in rows.values()] == [1.0, 1.5, 1.5]
    assert rows["all"]["median cosine to all"] == pytest.approx(1, abs=1e-3)
    assert rows["1"]["median cosine to all"] < rows["2"]["median cosine to all"]
    assert {"P@5", "mAP"} <= rows["1"].keys()


def test_copies_are_looked_up(music: Path, tmp_path: Path) -> None:
    result = run(
        "copies",
        music / "clips",
        "--model",
        "musicnn",
        "--tracks",
        2,
        "--cache",
        tmp_path,
        "--json",
    )
    (rows,) = tables_of(result).values()
    assert len(rows) == 8
    assert rows["all"]["tries"] == 14
    assert rows["mono/stereo"]["median cosine"] == pytest.approx(1, abs=1e-3)
    assert rows["mono/stereo"]["nearest is its original"]["value"] == 1.0
    assert rows["MP3 64k"]["median cosine"] > 0.9
    least = min(row["least"] for name, row in rows.items() if name != "all")
    assert rows["all"]["least"] == least


def test_a_changed_file_is_heard_again(tmp_path: Path) -> None:
    cache, path = Cache(tmp_path / "cache"), tmp_path / "song"
    for content in ("old", "new, longer"):
        path.write_text(content)
        made = cache.get("maker", path, lambda: {"length": np.array(path.stat().st_size)})
        assert made["length"] == len(content)
    again = cache.get("maker", path, lambda: pytest.fail("it was heard before"))
    assert again["length"] == len("new, longer")


def test_the_baseline_is_the_divergence_of_gaussians() -> None:
    rng = np.random.default_rng(0)
    frames = [rng.standard_normal((200, 20)) @ rng.standard_normal((20, 20)) for _ in range(4)]
    songs = [(frame.mean(0), np.cov(frame.T)) for frame in frames]
    rows = np.array([np.concatenate([m, s.ravel()]) for m, s in songs], dtype=np.float32)
    near = mfcc.divergence(rows)(np.array([0, 2]))
    for row, one in zip(near, (0, 2), strict=True):
        for other in range(4):
            (m1, s1), (m2, s2) = songs[one], songs[other]
            p1, p2 = np.linalg.inv(s1), np.linalg.inv(s2)
            expected = np.trace(p1 @ s2) + np.trace(p2 @ s1) + (m1 - m2) @ (p1 + p2) @ (m1 - m2)
            assert row[other] == pytest.approx(-expected, rel=1e-3)


def test_mfccs_are_those_of_librosa_over_all_windows() -> None:
    import librosa

    windows = sounds.music(6, sample_rate=16_000, channels=1).reshape(2, 48_000)
    row = mfcc.gaussian(windows)
    setting = {"sr": 16_000, "n_fft": 1024, "hop_length": 512}
    mels = np.hstack([librosa.feature.melspectrogram(y=window, **setting) for window in windows])
    frames = librosa.feature.mfcc(S=librosa.power_to_db(mels), n_mfcc=20)
    np.testing.assert_allclose(row[:20], frames.mean(1), rtol=1e-4)
    np.testing.assert_allclose(
        row[20:].reshape(20, 20), np.cov(frames) + 1e-3 * np.eye(20), rtol=1e-3, atol=1e-2
    )


def test_tables_say_what_was_not_measured_and_keep_their_shape() -> None:
    cells = (Figure(0.5, 0.25, 0.75), Figure(float("nan")), None, 1200, "a|b")
    table = Table("what", tuple("abcde"), (("row | \x1b[1m", cells),), "note")
    lines = as_markdown(table).splitlines()
    assert lines[4] == "| row \\| ?[1m | 0.500 (0.250-0.750) | - | - | 1,200 | a\\|b |"
    (row,) = as_json(table)["rows"]
    assert row["a"] == {"value": 0.5, "low": 0.25, "high": 0.75}
    assert (row["b"], row["c"], row["d"]) == (None, None, 1200)
    json.dumps(row, allow_nan=False)


def test_a_table_that_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="cannot be read"):
        labels.read_table(tmp_path)
