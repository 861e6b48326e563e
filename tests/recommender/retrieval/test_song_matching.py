"""Which tracks are the song that another program describes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from recommender.engine import Recommender
from recommender.players.song_ids.subsonic import known_song
from recommender.retrieval.song_matching import SongDescription
from tests.catalogs import Planted, plant

if TYPE_CHECKING:
    from collections.abc import Iterator

MBID = "b1a9c0e9-d987-4042-ae91-78d6a3267d69"


@pytest.fixture(scope="module")
def recommender(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recommender]:
    songs = [
        Planted("Intro", artist="Ada", album="One", duration_s=60.0, key="ada/one/01.mp3"),
        Planted("Intro", artist="Ada", album="Two", duration_s=61.0, key="ada/two/01.mp3"),
        Planted("Intro", artist="Bob", album="One", duration_s=60.5, key="bob/one/01.mp3"),
        Planted(None, artist=None, duration_s=200.0, key="lost/take 3.wav"),
        Planted(
            "Duet",
            artist="Ada & Bob",
            artists=("Ada", "Bob"),
            duration_s=300.0,
            more_tags={"isrc": "GBAYE6800011", "musicbrainz_track_id": MBID},
        ),
        # The same recording on another record.
        Planted("Duet (live)", album="Best", duration_s=300.0, more_tags={"isrc": "GBAYE6800011"}),
        Planted("Один - два", artist="Ёлка", duration_s=100.0),
        Planted("Guest", artist="Ada feat. Cid", album_artist="Ada", duration_s=90.0),
        *(Planted("Theme", artist=f"Band {n}", duration_s=50.0) for n in range(600)),
        Planted("Untitled", artist="Ada", duration_s=50.0),
    ]
    with Recommender.open(plant(tmp_path_factory.mktemp("songs"), ("calm",), songs)) as opened:
        yield opened


@pytest.mark.parametrize(
    ("known", "ids"),
    [
        # Of the same title and artist the one of the album comes first, then the nearest in length.
        ({"title": "intro", "artists": ("ADA",), "album": "two", "duration_s": 60.0}, [2, 1]),
        ({"title": "Intro", "artists": ("Ada",), "duration_s": 62.0}, [2, 1]),
        ({"title": "Intro", "artists": ("Ada",)}, [1, 2]),
        ({"title": "Intro", "artists": ("Bob",), "duration_s": 60.0}, [3]),
        ({"title": "Intro", "artists": ("Bob",), "duration_s": 70.0}, []),
        ({"title": "Intro", "artists": ("Dot",)}, []),
        # One of several artists is enough, and so is the whole credit.
        ({"title": "Duet", "artists": ("Bob",), "duration_s": 297.0}, [5]),
        ({"title": "Duet", "artists": ("Ada & Bob",)}, [5]),
        ({"title": "Guest", "artists": ("Ada",), "duration_s": 90.0}, [8]),
        ({"title": "Guest", "artists": ("Cid",), "duration_s": 90.0}, [8]),
        ({"title": "один – ДВА", "artists": ("елка",)}, [7]),
        # Among hundreds of one title.
        ({"title": "Theme", "artists": ("Band 599",), "duration_s": 50.0}, [608]),
        ({"title": "Theme", "artists": ("Band 598 feat. Ada",)}, [607]),
        # Identifiers come first, whatever the names say; an id that is not here says nothing.
        ({"title": "Intro", "artists": ("Ada",), "musicbrainz_track_id": MBID}, [5]),
        ({"isrc": "gb-aye-68-00011", "album": "Best"}, [6, 5]),
        ({"title": "Intro", "artists": ("Bob",), "isrc": "GBAYE6899999"}, [3]),
        # Then the end of the path, if the length agrees, or else the title.
        ({"path": "/music/lost/take 3.wav", "duration_s": 201.0}, [4]),
        ({"path": "D:\\music\\lost\\take 3.wav", "duration_s": 201.0}, [4]),
        ({"path": "lost/take 3.wav", "duration_s": 150.0}, []),
        ({"path": "take 3.wav", "duration_s": 200.0}, []),
        ({"path": "x/ada/two/01.mp3", "title": "Intro"}, [2]),
        ({"path": "x/ada/two/01.mp3", "title": "Another"}, []),
        ({"path": "a/\udcff.mp3", "duration_s": 1.0}, []),
        # A name that says nothing names no song, nor does a part of one.
        ({"title": "Untitled", "artists": ("Ada",), "duration_s": 50.0}, []),
        ({"title": "Intr", "artists": ("Ada",)}, []),
        ({"title": "Intro Ada", "artists": ("Ada",)}, []),
        ({"title": "", "artists": ("Ada",)}, []),
        ({"title": "Intro", "artists": ("",)}, []),
        ({"title": "Intro\0", "artists": ("\0", "\ud800"), "isrc": "\0", "path": "\0/\0"}, []),
        ({"musicbrainz_track_id": "x" * 10_000}, []),
        ({}, []),
    ],
)
def test_tracks_that_are_a_song(
    recommender: Recommender, known: dict[str, Any], ids: list[int]
) -> None:
    found = recommender.matching_tracks(SongDescription(**known))
    assert [track.id for track in found] == ids


def test_a_song_as_opensubsonic_describes_it() -> None:
    song = known_song(
        {
            "id": 7,
            "title": "Duet",
            "artist": "Ada & Bob",
            "displayArtist": "Ada & Bob",
            "artists": [{"id": "1", "name": "Ada"}, {"id": "2", "name": "Bob"}, {}, None],
            "album": "Best",
            "duration": 300,
            "musicBrainzId": MBID,
            "isrc": ["GBAYE6800011"],
            "path": "Ada/Best/01.mp3",
        }
    )
    assert (song.id, song.duration_s, song.isrc) == ("7", 300.0, "GBAYE6800011")
    assert song.artists == ("Ada & Bob", "Ada", "Bob")
    assert song.musicbrainz_track_id == MBID
    # Old servers say less, odd ones something else.
    for odd in ({}, {"id": None, "title": 3, "isrc": [], "artists": "x", "duration": "3:00"}):
        assert known_song(odd).id == ""
        assert known_song(odd).duration_s == 0.0
