"""Playlists under `/rest`: files in the library's folders, and stations."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from recommender.playlists.station import Station
from recommender.server.opensubsonic import kept_playlists
from tests.catalogs import Planted, plant
from tests.recommender.server.opensubsonic.library import NS
from tests.recommender.server.opensubsonic.songs import rest_of_catalog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from recommender.engine import Recommender
    from recommender.retrieval.where import Where
    from tests.recommender.server.opensubsonic.library import Rest


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a library of 80 songs, `0001.mp3` and so on, with two lists."""
    tracks = [
        Planted(f"Song {n}", artist=f"Artist {n}", album=f"Album {n // 8}", duration_s=100.0 + n)
        for n in range(1, 81)
    ]
    tmp_path = tmp_path_factory.mktemp("lists")
    plant(tmp_path, ["calm"], tracks)
    music = tmp_path / "music"
    (music / "night.m3u8").write_text("#EXTM3U\n#PLAYLIST:Long <nights>\n0003.mp3\n0001.mp3\n")
    (music / "empty.m3u").write_text("not/here.mp3\n/etc/passwd\n")
    return tmp_path


@pytest.fixture(scope="module")
def rest(folder: Path) -> Iterator[Rest]:
    with rest_of_catalog(folder / "catalog.db", allow_writes=True) as found:
        yield found


def playlists(rest: Rest) -> dict[str, dict[str, object]]:
    found = rest.ok("getPlaylists")["playlists"]["playlist"]
    return {one["name"]: one for one in found}


def entries(rest: Rest, playlist: str) -> list[str]:
    return [one["id"] for one in rest.ok("getPlaylist", id=playlist)["playlist"]["entry"]]


def test_a_list_in_a_folder_is_a_playlist(rest: Rest) -> None:
    found = playlists(rest)
    assert "empty" not in found
    night = found["Long <nights>"]
    assert (night["songCount"], night["duration"], night["readonly"]) == (2, 204, True)
    whole = rest.ok("getPlaylist", id=night["id"])["playlist"]
    assert [one["title"] for one in whole.pop("entry")] == ["Song 3", "Song 1"]
    assert whole == night
    entries = rest.xml("getPlaylist", id=night["id"]).findall(f"{NS}playlist/{NS}entry")
    assert [one.attrib["id"] for one in entries] == ["tr-3", "tr-1"]
    assert rest.get("getCoverArt", id=night["coverArt"], apiKey=rest.secret).status_code == 200


def test_a_station_goes_on_from_a_song_with_a_star(rest: Rest) -> None:
    stations = [name for name in playlists(rest) if name.startswith("Station: ")]
    assert len(stations) == kept_playlists.STATIONS
    rest.ok("star", id="tr-42")
    found = playlists(rest)
    assert next(name for name in found if name.startswith("Station: ")) == (
        "Station: Artist 42 - Song 42"
    )
    station = found["Station: Artist 42 - Song 42"]
    whole = rest.ok("getPlaylist", id=station["id"])["playlist"]
    ids = [one["id"] for one in whole["entry"]]
    assert ids[0] == "tr-42"
    assert len(set(ids)) == len(ids) == station["songCount"] == kept_playlists.STATION_SONGS
    assert rest.ok("getPlaylist", id="st-42")["playlist"] == whole
    # What is disliked is not played.
    rest.ok("setRating", id=ids[1], rating=1)
    again = rest.ok("getPlaylist", id="st-42")["playlist"]["entry"]
    assert ids[1] not in [one["id"] for one in again]


def test_a_station_is_made_once_until_its_songs_may_change(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def count(recommender: Recommender, track_id: int, *, where: Where | None) -> Station:
        made.append(track_id)
        return Station(recommender, track_id, where=where)

    monkeypatch.setattr(kept_playlists, "Station", count)
    with rest_of_catalog(folder / "catalog.db", allow_writes=True) as rest:
        with ThreadPoolExecutor(8) as threads:
            first, *others = threads.map(lambda _: playlists(rest), range(8))
        assert all(one == first for one in others)
        assert len(made) == kept_playlists.STATIONS
        songs = {
            str(one["id"]): entries(rest, str(one["id"]))
            for name, one in first.items()
            if name.startswith("Station: ")
        }
        station, played = next(iter(songs.items()))
        # Made anew are those that play what is disliked, and again when that is taken back.
        holding = [one for one, ids in songs.items() if played[-1] in ids[1:]]
        made.clear()
        rest.ok("setRating", id=played[-1], rating=1)
        assert played[-1] not in entries(rest, station)
        playlists(rest)
        assert sorted(made) == sorted(int(one.removeprefix("st-")) for one in holding)
        made.clear()
        rest.ok("setRating", id=played[-1], rating=0)
        playlists(rest)
        assert len(made) == len(holding)


def test_what_is_no_playlist(rest: Rest) -> None:
    for wanted in ("pl-none", "st-999", "st-", "st-x", "st--1", "x", "tr-1", "../night.m3u8"):
        assert rest.error("getPlaylist", id=wanted) == 70, wanted
    assert rest.error("getPlaylist") == 10
    for name in ("createPlaylist", "updatePlaylist", "deletePlaylist"):
        assert rest.error(name, playlistId="pl-none", songId="tr-1") == 50


def test_lists_are_looked_for_again_after_a_while(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_playlists, "KEEP_S", 0.0)
    monkeypatch.setattr(kept_playlists, "SHARE", float("inf"))
    with rest_of_catalog(folder / "catalog.db") as rest:
        assert "new" not in playlists(rest)
        (folder / "music" / "new.m3u").write_text("./0080.mp3")
        assert playlists(rest)["new"]["songCount"] == 1


def test_an_empty_library_has_none(tmp_path: Path) -> None:
    with rest_of_catalog(plant(tmp_path, ["calm"], [])) as rest:
        assert playlists(rest) == {}
