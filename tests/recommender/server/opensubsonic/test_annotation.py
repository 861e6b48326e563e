"""Stars, ratings and plays under `/rest`, and how they steer its radio."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from indexer.catalog import writer
from indexer.catalog.status import TrackStatus
from indexer.library import Library
from tests.catalogs import Planted, plant
from tests.recommender.server.opensubsonic.library import NS, Rest, rest_of
from tests.recommender.server.opensubsonic.schemas import check
from tests.recommender.server.opensubsonic.songs import rest_of_catalog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WRITES = ("star", "unstar", "setRating")


@pytest.fixture(scope="module")
def writable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rest]:
    with rest_of(tmp_path_factory.mktemp("writable"), allow_writes=True) as found:
        yield found


@pytest.fixture
def marks(writable: Rest) -> Iterator[Rest]:
    """A server whose marks are taken away after a test."""
    yield writable
    for song in range(1, 10):
        writable.ok("unstar", id=f"tr-{song}")
        writable.ok("setRating", id=f"tr-{song}", rating=0)
    starred = writable.ok("getStarred2")["starred2"]
    for name, parameter in (("artist", "artistId"), ("album", "albumId")):
        for one in starred[name]:
            writable.ok("unstar", **{parameter: one["id"]})


def album_of(rest: Rest, name: str) -> dict[str, Any]:
    albums = rest.ok("getAlbumList2", type="alphabeticalByName", size=500)["albumList2"]["album"]
    (found,) = [one for one in albums if one["name"] == name]
    return found


def names(found: list[dict[str, Any]]) -> list[str]:
    return [one.get("title") or one["name"] for one in found]


def test_without_leave_nothing_is_written_and_all_is_read(rest: Rest) -> None:
    for name in WRITES:
        answer = rest.json(name, id="tr-1", rating=1)
        assert answer["error"]["code"] == 50
        assert "--allow-writes" in answer["error"]["message"]
    assert rest.ok("getStarred2")["starred2"] == {"artist": [], "album": [], "song": []}
    assert "starred" not in rest.ok("getSong", id="tr-1")["song"]


def test_stars_are_shown_wherever_songs_albums_and_artists_are(marks: Rest) -> None:
    album = album_of(marks, "Kind of Blue")
    began = datetime.now(UTC).replace(microsecond=0)
    marks.ok("star", id=["tr-2", "tr-1"], albumId=album["id"], artistId=album["artistId"])
    song = marks.ok("getSong", id="tr-1")["song"]
    assert datetime.fromisoformat(song["starred"]) >= began
    assert marks.ok("getAlbum", id=album["id"])["album"]["starred"] == song["starred"]
    assert marks.ok("getArtist", id=album["artistId"])["artist"]["starred"] == song["starred"]
    for endpoint, envelope, schema in (
        ("getStarred", "starred", "FoundFolders"),
        ("getStarred2", "starred2", "Found"),
    ):
        found = marks.ok(endpoint)[envelope]
        check(found, schema, endpoint)
        assert sorted(one["id"] for one in found["song"]) == ["tr-1", "tr-2"]
        assert [one["id"] for one in found["album"]] == [album["id"]]
        assert [one["id"] for one in found["artist"]] == [album["artistId"]]
        # What Feishin makes albums and artists of.
        assert (found["album"][0]["name"], found["album"][0]["songCount"]) == (album["name"], 5)
        assert found["artist"][0]["coverArt"] == album["artistId"]
    assert len(marks.xml("getStarred2").findall(f"{NS}starred2/{NS}song")) == 2
    starred = marks.ok("getAlbumList2", type="starred")["albumList2"]["album"]
    assert names(starred) == ["Kind of Blue"]
    marks.ok("unstar", id="tr-1", albumId=album["id"])
    found = marks.ok("getStarred2")["starred2"]
    assert ([one["id"] for one in found["song"]], found["album"]) == (["tr-2"], [])


def test_folder_clients_star_everything_by_one_parameter(marks: Rest) -> None:
    album = album_of(marks, "Hits")
    marks.ok("star", id=[album["id"], "tr-4"])
    found = marks.ok("getStarred2")["starred2"]
    assert (names(found["album"]), len(found["song"])) == (["Hits"], 1)


def test_the_latest_star_comes_first(marks: Rest) -> None:
    for song in (3, 1, 2):
        marks.ok("star", id=f"tr-{song}")
    found = marks.ok("getStarred2")["starred2"]["song"]
    assert [one["id"] for one in found] == ["tr-2", "tr-1", "tr-3"]


def test_ratings(marks: Rest) -> None:
    album = album_of(marks, "Kind of Blue")
    for rating in (1, 5):
        marks.ok("setRating", id="tr-3", rating=rating)
        assert marks.ok("getSong", id="tr-3")["song"]["userRating"] == rating
    marks.ok("setRating", id=album["id"], rating=4)
    assert names(marks.ok("getAlbumList2", type="highest")["albumList2"]["album"]) == [
        "Kind of Blue"
    ]
    marks.ok("setRating", id=album["id"], rating=0)
    marks.ok("setRating", id="tr-3", rating=0)
    assert "userRating" not in marks.ok("getSong", id="tr-3")["song"]
    for rating in ("6", "-1", "2147483648", "-2147483648", "five", "1.5"):
        assert marks.error("setRating", id="tr-3", rating=rating) == 0, rating
    assert marks.error("setRating", id="tr-3") == 10
    assert marks.error("setRating", rating=3) == 10


@pytest.mark.parametrize(
    "item",
    ["tr-0", "tr-999", "tr-9999999999999999999", "tr-", "tr-1 ", "1", "al-nothing", "ar-%", "xx"],
)
def test_what_is_not_there_gets_no_mark(marks: Rest, item: str) -> None:
    assert marks.error("star", id=item) == 70
    assert marks.error("setRating", id=item, rating=3) == 70
    # And one of several that is not there keeps all from being starred.
    assert marks.error("star", id=["tr-1", item]) == 70
    assert marks.ok("getStarred2")["starred2"]["song"] == []


def test_plays_are_accepted_and_not_kept(rest: Rest) -> None:
    before = rest.ok("getSong", id="tr-1")
    for parameters in ({}, {"submission": "false"}, {"time": "1700000000000"}):
        rest.ok("scrobble", id=["tr-1", "tr-2"], **parameters)
    assert rest.ok("getSong", id="tr-1") == before
    assert rest.ok("getNowPlaying")["nowPlaying"] == {"entry": []}
    assert rest.error("scrobble") == 10
    assert rest.error("scrobble", id="tr-999") == 70


def near(axis: int, amount: float) -> list[float]:
    vector = [1.0] + [0.0] * 7
    vector[axis] = amount
    return vector


def test_stars_and_dislikes_steer_radio_and_nothing_else(tmp_path: Path) -> None:
    sides = [
        Planted(
            f"side {axis} {step}",
            vector=near(axis, 0.3 + 0.05 * step),
            artist=f"Artist {axis}",
            album=f"Album {axis} {step}",
        )
        for step in range(5)
        for axis in (1, 2)
    ]
    rest_of_library = [Planted(f"far {number}", artist=f"F{number}") for number in range(60)]
    seed = Planted("seed", vector=near(1, 0.0), artist="Seed", album="Seed")
    catalog = plant(tmp_path, ["calm"], [seed, *sides, *rest_of_library])

    with rest_of_catalog(catalog, allow_writes=True) as rest:

        def radio(name: str = "getSimilarSongs2", envelope: str = "similarSongs2") -> list[str]:
            return names(rest.ok(name, id="tr-1", count=6)[envelope]["song"])

        def matches() -> list[str]:
            found = rest.ok("getSonicSimilarTracks", id="tr-1", count=6)["sonicMatch"]
            return [one["entry"]["title"] for one in found]

        plain, sonic = radio(), matches()
        assert plain[:2] == ["side 1 0", "side 2 0"]
        rest.ok("setRating", id="tr-2", rating=1)
        disliked = radio()
        assert disliked[:3] == ["side 2 0", "side 2 1", "side 2 2"]
        assert "side 1 0" not in disliked
        assert radio("getSimilarSongs", "similarSongs") == disliked
        assert matches() == sonic
        # A star on it says otherwise only when the rating is taken away.
        rest.ok("star", id="tr-2")
        assert radio() == disliked
        rest.ok("setRating", id="tr-2", rating=0)
        rest.ok("unstar", id="tr-2")
        assert radio() == plain
        # A dislike of an artist counts for all songs but those with marks of their own.
        artist = rest.ok("getSong", id="tr-2")["song"]["artistId"]
        rest.ok("setRating", id=artist, rating=1)
        assert not [title for title in radio() if title.startswith("side 1")]
        rest.ok("setRating", id="tr-4", rating=3)
        assert [one for one in radio() if one.startswith("side 1")] in ([], ["side 1 1"])
        titles = names(rest.ok("getSimilarSongs2", id="tr-1", count=500)["similarSongs2"]["song"])
        assert [title for title in titles if title.startswith("side 1")] == ["side 1 1"]


def test_songs_that_have_left_the_library_leave_nothing_behind(tmp_path: Path) -> None:
    tracks = [Planted(f"Song {n}", artist=f"Artist {n}", album=f"Album {n}") for n in range(1, 9)]
    catalog = plant(tmp_path, ["calm"], tracks)
    (tmp_path / "music" / "all.m3u").write_text("0001.mp3\n0002.mp3\n0003.mp3\n")
    with rest_of_catalog(catalog, allow_writes=True) as rest:
        songs = [rest.ok("getSong", id=f"tr-{n}")["song"] for n in (1, 2, 3)]
        for song in songs:
            rest.ok("star", id=song["id"], albumId=song["albumId"], artistId=song["artistId"])
        rest.ok("setRating", id="tr-4", rating=1)
        with closing(Library.open_for_writing(catalog)) as library:
            with library.catalog.writing() as connection:
                writer.set_status(connection, [1, 4], TrackStatus.REMOVED)
                writer.set_status(connection, [2], TrackStatus.MISSING)
        starred = rest.ok("getStarred2")["starred2"]
        assert {name: [one["id"] for one in found] for name, found in starred.items()} == {
            "artist": [songs[2]["artistId"]],
            "album": [songs[2]["albumId"]],
            "song": ["tr-3"],
        }
        assert len(rest.ok("getSimilarSongs2", id="tr-5")["similarSongs2"]["song"]) == 4
        for gone in ("tr-1", "tr-2"):
            for name in ("stream", "download", "getCoverArt", "getLyricsBySongId", "star"):
                assert rest.error(name, id=gone) == 70, name
            rest.ok("unstar", id=gone)
            assert rest.error("getPlaylist", id=gone.replace("tr", "st")) == 70
        (saved,) = [
            one for one in rest.ok("getPlaylists")["playlists"]["playlist"] if one["name"] == "all"
        ]
        assert saved["songCount"] == 1
    with closing(Library.open(catalog)) as library:
        assert library.verify().sound
