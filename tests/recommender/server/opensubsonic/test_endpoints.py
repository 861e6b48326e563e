"""Every endpoint in one table: its answer in JSON by the specification, in XML the same content."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from recommender.server.opensubsonic.endpoints import ENDPOINTS
from recommender.server.opensubsonic.library_tree import artist_id
from tests.recommender.server.opensubsonic.library import NS, TRACKS, Rest
from tests.recommender.server.opensubsonic.schemas import (
    ENVELOPE,
    check_object,
    from_xml,
    without_empty_lists,
)

if TYPE_CHECKING:
    from collections.abc import Callable

MILES = artist_id("Miles Davis")
ALL = len(TRACKS)

TABLE: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "ping": ("", [{}]),
    "getLicense": ("license:License!", [{}]),
    "getOpenSubsonicExtensions": ("openSubsonicExtensions:[Extension]!", [{}]),
    "tokenInfo": ("tokenInfo:TokenInfo!", [{}]),
    "getMusicFolders": ("musicFolders:MusicFolders!", [{}]),
    "getUser": ("user:User!", [{"username": "soundalike"}]),
    "getUsers": ("users:Users!", [{}]),
    "getScanStatus": ("scanStatus:ScanStatus!", [{}]),
    "getArtists": ("artists:Artists!", [{}, {"musicFolderId": 1}]),
    "getIndexes": ("indexes:Indexes!", [{}, {"ifModifiedSince": 2**62}]),
    "getArtist": ("artist:ArtistWithAlbums!", [{"id": MILES}, {"id": artist_id("Ünïcode\x0b")}]),
    "getAlbum": ("album:AlbumWithSongs!", [{"id": "{album}"}, {"id": "{odd album}"}]),
    "getSong": ("song:Child!", [{"id": f"tr-{number}"} for number in range(1, ALL + 1)]),
    "getMusicDirectory": (
        "directory:Directory!",
        [{"id": "1"}, {"id": MILES}, {"id": "{album}"}],
    ),
    "getAlbumInfo": ("albumInfo:AlbumInfo!", [{"id": "{album}"}, {"id": "tr-1"}]),
    "getAlbumInfo2": ("albumInfo:AlbumInfo!", [{"id": "{album}"}, {"id": "tr-1"}]),
    "getArtistInfo": ("artistInfo:ArtistInfo!", [{"id": MILES}, {"id": MILES, "count": 0}]),
    "getArtistInfo2": ("artistInfo2:ArtistInfo2!", [{"id": MILES}, {"id": MILES, "count": 0}]),
    "getAlbumList": (
        "albumList:AlbumFolders!",
        [{"type": "newest"}, {"type": "recent"}, {"type": "random", "size": 500}],
    ),
    "getAlbumList2": (
        "albumList2:Albums!",
        [
            *({"type": kind, "size": 500} for kind in ("random", "newest", "highest", "frequent")),
            *({"type": kind, "offset": 1} for kind in ("recent", "starred", "alphabeticalByName")),
            {"type": "alphabeticalByArtist", "size": 3, "offset": 2},
            {"type": "byYear", "fromYear": 2020, "toYear": 1980},
            {"type": "byGenre", "genre": "rock"},
        ],
    ),
    "getGenres": ("genres:Genres!", [{}]),
    "getSongsByGenre": (
        "songsByGenre:Songs!",
        [{"genre": "Rock", "count": 3, "offset": 1}, {"genre": "none such"}],
    ),
    "getRandomSongs": (
        "randomSongs:Songs!",
        [{"size": 500}, {"size": 500, "genre": "Jazz", "fromYear": 1950, "toYear": 1960}],
    ),
    "search2": ("searchResult2:FoundFolders!", [{"query": "blue"}]),
    "search3": (
        "searchResult3:Found!",
        [{"query": "blue"}, {"query": '""', "songCount": 500}, {"query": "no such words"}],
    ),
    "getSimilarSongs": (
        "similarSongs:Songs!",
        [{"id": one, "count": 7} for one in ("tr-1", "{album}", MILES)],
    ),
    "getSimilarSongs2": (
        "similarSongs2:Songs!",
        [{"id": one} for one in (MILES, "{album}", "tr-1")],
    ),
    "getTopSongs": ("topSongs:Songs!", [{"artist": "miles davis"}, {"id": MILES, "count": 2}]),
    "getSonicSimilarTracks": ("sonicMatch:[SonicMatch]", [{"id": "tr-1"}]),
    "findSonicPath": (
        "sonicMatch:[SonicMatch]",
        [{"startSongId": "tr-1", "endSongId": "tr-40", "count": 6}],
    ),
    "getPlaylists": ("playlists:Playlists!", [{}]),
    "getStarred": ("starred:FoundFolders!", [{}]),
    "getStarred2": ("starred2:Found!", [{}]),
    "getLyricsBySongId": ("lyricsList:LyricsList!", [{"id": "tr-1"}]),
    "getLyrics": ("lyrics:Lyrics!", [{"artist": "Miles Davis", "title": "Blue 1"}]),
    "scrobble": ("", [{"id": "tr-1"}]),
    "getNowPlaying": ("nowPlaying:NowPlaying!", [{}]),
    "getPlayQueue": ("playQueue:PlayQueue!", [{}]),
    "getPodcasts": ("podcasts:Podcasts!", [{}, {"includeEpisodes": "true"}]),
    "getNewestPodcasts": ("newestPodcasts:NewestPodcasts!", [{}]),
    "getInternetRadioStations": ("internetRadioStations:RadioStations!", [{}]),
    "getBookmarks": ("bookmarks:Bookmarks!", [{}]),
    "getShares": ("shares:Shares!", [{}]),
    "getVideos": ("videos:Videos!", [{}]),
}
"""What the envelope of each endpoint's answer holds, and what is asked."""
SUPPORTED = {
    "song": "bitDepth samplingRate channelCount mediaType bpm musicBrainzId isrc genres artists "
    "displayArtist albumArtists displayAlbumArtist",
    "album": "userRating musicBrainzId genres artists displayArtist isCompilation",
    "artist": "musicBrainzId sortName roles",
}
"""Fields of OpenSubsonic that this server has, so that they must be there when they are empty."""
ELSEWHERE = (
    *("stream", "download", "getCoverArt", "star", "unstar", "setRating"),
    *("getPlaylist", "createPlaylist", "updatePlaylist", "deletePlaylist"),
)
"""Endpoints whose answers are no text, or need something made before: tested by themselves."""
DRAWN = ("getRandomSongs", "getAlbumList", "getAlbumList2")


def test_every_endpoint_is_in_the_table() -> None:
    assert ENDPOINTS.keys() <= {*TABLE, *ELSEWHERE}


@pytest.mark.parametrize("name", [name for name in TABLE if name in ENDPOINTS])
def test_an_answer_is_as_specified_and_the_same_in_xml(rest: Rest, name: str) -> None:
    holds, asked = TABLE[name]
    for parameters in asked:
        given = {key: _filled(rest, value) for key, value in parameters.items()}
        as_json = rest.ok(name, **given)
        schema = f"{ENVELOPE} {holds}"
        check_object(as_json, schema, name)
        as_xml = from_xml(rest.xml(f"{name}.view", **given), schema)
        as_json = without_empty_lists(as_json)
        if name in DRAWN:
            as_json, as_xml = _in_order(as_json), _in_order(as_xml)
        assert as_xml == as_json


def test_what_must_be_there_is_asked_for(rest: Rest) -> None:
    for name, needed in (
        ("getArtist", ()),
        ("getAlbum", ()),
        ("getSong", ()),
        ("getMusicDirectory", ()),
        ("getAlbumInfo2", ()),
        ("getArtistInfo2", ()),
        ("getAlbumList2", ()),
        ("getAlbumList2", (("type", "byYear"), ("fromYear", "1990"))),
        ("getAlbumList2", (("type", "byGenre"),)),
        ("getSongsByGenre", ()),
        ("getSimilarSongs", ()),
        ("getTopSongs", ()),
        ("getSonicSimilarTracks", ()),
        ("findSonicPath", (("startSongId", "tr-1"),)),
        ("getUser", ()),
    ):
        assert rest.error(name, **dict(needed)) == 10, name
    assert rest.error("getAlbumList2", type="mostLoved") == 0
    assert rest.error("getUser", username="root") == 50
    assert rest.error("getPodcasts", id="1") == 70


def test_what_is_supported_is_there_when_it_is_empty(rest: Rest) -> None:
    found = rest.ok("search3", query="", artistCount=500, albumCount=500, songCount=500)
    for kind, names in SUPPORTED.items():
        shown = found["searchResult3"][kind]
        assert len(shown) > 5
        assert all(one.keys() >= set(names.split()) for one in shown)
    unknown = rest.ok("getSong", id="tr-15")["song"]
    assert [unknown[name] for name in ("bpm", "musicBrainzId", "isrc", "genres")] == [0, "", [], []]


@pytest.mark.parametrize("version", ["1.8.0", "1.15.9"])
def test_players_of_before_opensubsonic_get_the_xml_of_then(rest: Rest, version: str) -> None:
    """Debian's Clementine, which speaks 1.8, gives up at an album that holds more than songs."""
    album = _filled(rest, "{album}")
    (shown,) = rest.xml("getAlbum", id=album, v=version)
    assert {one.tag for one in shown} == {f"{NS}song"}
    assert [list(song) for song in shown] == [[]] * len(shown)
    (genres,) = rest.xml("getGenres", v=version)
    assert len(genres) > 2
    assert rest.ok("getAlbum", id=album, v=version) == rest.ok("getAlbum", id=album)


@pytest.mark.parametrize("version", ["1.16.0", "1.16.1", "2.0", "", "new"])
def test_other_players_get_what_opensubsonic_adds(rest: Rest, version: str) -> None:
    (shown,) = rest.xml("getAlbum", id=_filled(rest, "{album}"), v=version)
    assert shown.find(f"{NS}artists") is not None
    assert shown.find(f"{NS}song/{NS}genres") is not None


def test_directories_lead_from_a_song_up_to_its_artist(rest: Rest) -> None:
    song = rest.ok("getSong", id="tr-1")["song"]
    album = rest.ok("getMusicDirectory", id=song["parent"])["directory"]
    assert song["id"] in {child["id"] for child in album["child"]}
    artist = rest.ok("getMusicDirectory", id=album["parent"])["directory"]
    assert album["id"] in {child["id"] for child in artist["child"]}
    # Sublime Music climbs until there is no parent, and looks for what it has come to there.
    assert "parent" not in artist
    indexes = rest.ok("getIndexes")["indexes"]["index"]
    assert artist["id"] in {one["id"] for index in indexes for one in index["artist"]}


def test_the_genre_of_a_song_finds_it_again(rest: Rest) -> None:
    hit = rest.ok("getSong", id="tr-6")["song"]
    assert [hit["genre"], *hit["genres"]] == ["Pop", {"name": "Pop"}, {"name": "Rock"}]
    for genre, count in (("Pop", 4), ("rock", 7), ("Rock/Pop", 4), ("Pop; Jazz", 0)):
        by_genre = rest.ok("getSongsByGenre", genre=genre, count=500)["songsByGenre"]["song"]
        drawn = rest.ok("getRandomSongs", genre=genre, size=500)["randomSongs"]["song"]
        albums = rest.ok("getAlbumList2", type="byGenre", genre=genre, size=500)["albumList2"]
        assert len(by_genre) == len(drawn) == count
        assert {one["id"] for one in drawn} == {one["id"] for one in by_genre}
        assert {one["id"] for one in albums["album"]} == {one["albumId"] for one in by_genre}


def _filled(rest: Rest, value: Any) -> Any:
    """A value, ids of albums put in."""
    if value not in ("{album}", "{odd album}"):
        return value
    artist = MILES if value == "{album}" else artist_id("Ünïcode\x0b")
    return rest.ok("getArtist", id=artist)["artist"]["album"][0]["id"]


def _in_order(value: Any) -> Any:
    """A value in which lists of objects are by their ids."""
    by: Callable[[Any], str] = lambda one: json.dumps(one, sort_keys=True)  # noqa: E731
    if isinstance(value, dict):
        return {name: _in_order(one) for name, one in value.items()}
    return sorted(value, key=by) if isinstance(value, list) else value
