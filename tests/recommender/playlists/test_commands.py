from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.catalogs import Planted
from tests.catalogs import plant as plant_catalog
from tests.recommender.playlists.conftest import ring

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.recommender.playlists.conftest import Plant

    Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def catalog(plant: Plant) -> None:
    """A catalog of 60 tracks where `run` runs."""
    artists = [f"Band {number}" for number in range(60)]
    artists[1] = "Evil\x1b[2J\n#EXTINF:1,Lie"
    plant(ring(60), durations=[100.0 + 20 * number for number in range(60)], artists=artists)


def test_a_station_is_printed_as_a_table(run: Run) -> None:
    code, out, err = run("station", 1, "-n", 5, "--variety", 0)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "a station from Band 0 - Title 1:"
    assert lines[1].split() == ["cosine", "step", "length", "id", "track"]
    assert len(lines) == 8
    assert lines[-1].startswith("5 tracks, ")
    assert "\x1b" not in out
    assert "Evil\\x1b[2J\\n" in out


def test_a_station_honours_likes_and_dislikes(run: Run) -> None:
    def played(*options: object) -> list[int]:
        _code, out, _err = run("station", 1, "-n", 8, "--variety", 0, "--json", *options)
        return [entry["id"] for entry in json.loads(out)["entries"]]

    plain = played()
    assert 2 in plain
    assert 2 not in played("--dislike", 2, "--dislike", "title 3")
    assert sum(track_id <= 30 for track_id in played("--like", 8, "--like", 9)) > sum(
        track_id <= 30 for track_id in plain
    )


def test_artists_are_kept_apart_and_a_random_state_repeats_a_station(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "pairs").mkdir()
    pairs = [Planted(f"{n}", artist=f"Band {n // 2}", vector=v) for n, v in enumerate(ring(40))]
    catalog = plant_catalog(tmp_path / "pairs", ["rock"], pairs)

    def artists(*options: object) -> list[str]:
        _code, out, _err = run("station", 1, "-n", 12, "--json", "--catalog", catalog, *options)
        return [entry["artist"] for entry in json.loads(out)["entries"]]

    def closest(names: list[str]) -> int:
        return min(
            (b - a for a in range(12) for b in range(a + 1, 12) if names[a] == names[b]), default=12
        )

    assert closest(artists("--variety", 0, "--artist-gap", 0)) == 1
    assert closest(artists("--variety", 0, "--artist-gap", 4)) > 4
    drawn = artists("--variety", 1, "--random-state", 1)
    assert drawn == artists("--variety", 1, "--random-state", 1)
    assert drawn != artists("--variety", 1, "--random-state", 2)


def test_filters_are_taken(run: Run) -> None:
    _code, out, _err = run("station", 1, "--artist", "band 7", "--artist", "BAND 9", "--json")
    answer = json.loads(out)
    assert {entry["artist"] for entry in answer["entries"]} == {"Band 7", "Band 9"}
    assert "of the 2 tracks that the filter (artist band 7 or BAND 9) keeps" in answer["note"]
    _code, out, _err = run("path", 1, 20, "-n", 2, "--duration", "5m-6m", "--json")
    assert 300 <= json.loads(out)["entries"][1]["duration_s"] <= 360
    _code, out, _err = run("playlist", 1, "--total", "20m", "--duration", "-5m", "--json")
    assert max(entry["duration_s"] for entry in json.loads(out)["entries"]) <= 300


def test_a_path_prints_its_evenness(run: Run) -> None:
    code, out, _err = run("path", 1, "title 20", "--steps", 6)
    assert code == 0
    assert "longest step 1." in out.splitlines()[-1]
    _code, out, _err = run("path", 1, 20, "--steps", 6, "--json")
    answer = json.loads(out)
    assert answer.keys() == {"title", "duration_s", "evenness", "note", "entries"}
    assert len(answer["entries"]) == 7
    assert answer["entries"][3].keys() == {
        "id",
        "key",
        "path",
        "title",
        "artist",
        "album",
        "duration_s",
        "cosine_to_seed",
        "cosine_to_previous",
        "words",
    }


def test_a_playlist_is_written_with_relative_paths(run: Run, tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    file = tmp_path / "lists" / "evening.m3u8"
    code, out, _err = run("playlist", 1, "--total", "30m", "--out", file, "--relative")
    assert code == 0
    lines = file.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#EXTM3U"
    paths = [line for line in lines if not line.startswith("#")]
    assert f"{len(paths)} tracks" in out
    assert all(line.startswith("../music/") for line in paths)
    seconds = [int(line[8:].split(",")[0]) for line in lines if line.startswith("#EXTINF:")]
    assert sum(seconds) == pytest.approx(1800, rel=0.02)
    assert "Lie" not in paths


def test_an_m3u8_alone_goes_to_stdout(run: Run, tmp_path: Path) -> None:
    code, out, _err = run("station", 1, "-n", 3, "--out", "-")
    assert code == 0
    lines = out.splitlines()
    assert len(lines) == 2 + 2 * 3
    assert lines[3] == os.path.join(tmp_path, "music", os.path.basename(lines[3]))
    code, _out, err = run("station", 1, "--out", "-", "--json")
    assert code == 2
    assert "choose one" in err


def test_only_force_replaces_a_file_that_is_no_playlist(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "notes.m3u8"
    file.write_text("my notes")
    code, out, err = run("station", 1, "-n", 2, "--out", file)
    assert (code, out) == (1, "")
    assert "is no playlist" in err
    assert file.read_text() == "my notes"
    assert run("station", 1, "-n", 2, "--out", file, "--force")[0] == 0
    assert file.read_text().startswith("#EXTM3U")


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("station", "no such"), 1, "no track fits"),
        (("station", "title"), 1, "tracks fit 'title'"),
        (("station", 1, "-n", 0), 1, "n is 0"),
        (("station", 1, "--tie", 2), 2, "--tie"),
        (("path", 1, 1), 1, "begins and ends at track 1"),
        (("path", 1, 5, "-n", 0), 1, "0 steps"),
        (("path", 1, 5, "-n", 100), 1, "too few"),
        (("playlist", 1, "--total", "soon"), 2, "no duration"),
        (("playlist", 1, "--total", "0s"), 1, "give a time"),
        (("playlist", "--total", "1h"), 2, "SEED"),
        (("playlist", 1, "--total", "10m", "--out", "x.mp3"), 1, "ends neither in"),
    ],
    ids=str,
)
def test_errors_are_one_sentence(
    run: Run, arguments: tuple[object, ...], code: int, sentence: str
) -> None:
    ended, out, err = run(*arguments)
    assert (ended, out) == (code, "")
    assert sentence in err
    assert "Traceback" not in err


def test_a_million_tracks_are_as_many_as_there_are(run: Run) -> None:
    code, out, err = run("station", 1, "-n", 1_000_000)
    assert code == 0
    assert "59 tracks, " in out
    assert "59 of 1000000 tracks" in err


def test_an_empty_way_leaves_the_playlist_that_is_there(tmp_path: Path, run: Run) -> None:
    mine = tmp_path / "mine.m3u8"
    mine.write_text("#EXTM3U\n/music/favourite.mp3\n")
    for command in (("station", 1), ("playlist", 1, "--total", "5m")):
        code, _out, err = run(*command, "--genre", "nosuch", "--out", mine, "--force")
        assert code == 1
        assert "keeps no track" in err
    assert "favourite" in mine.read_text()
