"""Stations, paths and playlists that words steer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from indexer.errors import InvalidOption, QueryError
from recommender import Recommender, Where
from recommender.playlists import Playlist, Station, fill_playlist, path_between
from tests.catalogs import Planted, plant

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNT = 300
TAGS = ("Mellow", "sad")
Run = Callable[..., tuple[int, str, str]]
Make = Callable[..., Playlist]


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    tracks = [
        Planted(
            f"title {number}",
            {"Mellow": float(rng.uniform()), "sad": float(rng.uniform())},
            artist=f"artist {number}",
            genre="Rock" if number % 2 else "Jazz",
            duration_s=180.0 + number,
            vector=(rng.normal(size=8) + np.eye(8)[0]).tolist(),
        )
        for number in range(1, COUNT + 1)
    ]
    return plant(tmp_path_factory.mktemp("steering"), TAGS, tracks)


@pytest.fixture
def recommender(catalog: Path) -> Iterator[Recommender]:
    with Recommender.open(catalog) as opened:
        yield opened


def station(recommender: Recommender, **options: object) -> Playlist:
    return Station(recommender, 5, **options).take(25)


def path(recommender: Recommender, **options: object) -> Playlist:
    return path_between(recommender, 5, 9, 8, **options)


def filled(recommender: Recommender, **options: object) -> Playlist:
    return fill_playlist(recommender, [5, 9], 3600, **options)


ALL = pytest.mark.parametrize("make", [station, path, filled])


def mean_percentile(found: Playlist, word: int = 0) -> float:
    # The ends of a path are given.
    inner = found[1:-1] if found.title.startswith("from") else found
    return float(np.mean([entry.words[word].percentile for entry in inner]))


@ALL
def test_words_steer(recommender: Recommender, make: Make) -> None:
    calm, wild = make(recommender, more=("calmer",)), make(recommender, less="calm")
    assert mean_percentile(calm) > 0.6
    assert mean_percentile(wild) > 0.6
    assert calm.title.endswith(", more calm")
    assert wild.title.endswith(", less calm")
    shift = calm[3].words[0]
    assert shift.word == "more calm"
    assert shift.because.startswith("Mellow ")
    assert (shift.shift > 0) == (shift.percentile > 0.5)
    assert shift.moved is None
    both = make(recommender, more=("calm",), less=("sad",))
    assert mean_percentile(both, 0) > 0.55
    assert mean_percentile(both, 1) > 0.55
    assert both.to_json()["entries"][0]["words"][1]["word"] == "less sad"


@ALL
def test_no_words_change_nothing(recommender: Recommender, make: Make) -> None:
    plain = make(recommender)
    assert plain == make(recommender, more=(), less=[])
    assert all(entry.words == () for entry in plain)


@ALL
def test_a_filter_holds_beside_words(recommender: Recommender, make: Make) -> None:
    found = make(recommender, where=Where(genre=("rock",)), more=("calm",))
    assert {entry.track.genre for entry in found} == {"Rock"}


@ALL
def test_words_that_cannot_steer_are_said(recommender: Recommender, make: Make) -> None:
    with pytest.raises(QueryError, match=r"'qwrtz'.*Mellow"):
        make(recommender, more=("calm", "qwrtz"))
    with pytest.raises(QueryError, match="known tempo"):
        make(recommender, less=("faster",))
    with pytest.raises(InvalidOption, match="choose one"):
        make(recommender, more=("calm",), less=("mellow",))


def test_a_steered_path_goes_on_in_even_steps(recommender: Recommender) -> None:
    plain, calm = path(recommender), path(recommender, more=("calm",))
    assert [entry.track.id for entry in calm][:: len(calm) - 1] == [5, 9]
    assert calm.evenness is not None
    assert plain.evenness is not None
    assert calm.evenness < plain.evenness + 0.5
    assert len(path_between(recommender, 5, 9, 1, more=("calm",))[0].words) == 1


def test_a_station_plays_everything_once_and_ends(recommender: Recommender) -> None:
    steered = Station(recommender, 5, more=("calm",), artist_gap=0)
    played = [entry.track.id for entry in steered]
    assert sorted(played) == [number for number in range(1, COUNT + 1) if number != 5]
    assert steered.ended is not None


def test_a_station_is_steered_anew_without_beginning_again(recommender: Recommender) -> None:
    playing = Station(recommender, 5)
    before = playing.take(5)
    playing.steer(more=("sad",))
    sad = playing.take(20)
    playing.steer(less=("sad",))
    glad = playing.take(20)
    ids = [entry.track.id for part in (before, sad, glad) for entry in part]
    assert len(set(ids)) == 45
    assert mean_percentile(sad) > 0.6
    assert mean_percentile(glad) > 0.6
    playing.steer()
    assert playing.take(1)[0].words == ()


def test_a_stations_state_keeps_its_words(recommender: Recommender) -> None:
    playing = Station(recommender, 5, more=("calm",), less=("sad",))
    playing.take(4)
    state = json.loads(json.dumps(playing.to_json()))
    again = Station.from_json(recommender, state)
    assert again.take(6).entries == playing.take(6).entries
    assert [word.word for word in next(again).words] == ["more calm", "less sad"]
    with pytest.raises(QueryError, match="qwrtz"):
        Station.from_json(recommender, {**state, "more": ["qwrtz"]})
    with pytest.raises(InvalidOption):
        Station.from_json(recommender, {**state, "more": 7})


@pytest.mark.parametrize(
    "command",
    [("station", 5, "-n", 4), ("path", 5, 9, "-n", 4), ("playlist", 5, "--total", "15m")],
    ids=lambda command: command[0],
)
def test_the_commands_take_words(run: Run, catalog: Path, command: tuple[object, ...]) -> None:
    asked = (*command, "--more", "calmer", "--less", "sad", "--catalog", catalog)
    code, out, err = run(*asked)
    assert (code, err) == (0, "")
    title, header, first, *_ = out.splitlines()
    assert title.endswith(", more calm, less sad:")
    assert header.split() == ["cosine", "step", "length", "words", "id", "track"]
    assert "more calm 0." in first
    code, out, _ = run(*asked, "--json")
    assert [word["word"] for word in json.loads(out)["entries"][0]["words"]] == [
        "more calm",
        "less sad",
    ]
    assert run(*command, "--more", "qwrtz", "--catalog", catalog)[0] == 1
