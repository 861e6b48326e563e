"""Radio by sound: near ones, not too many of one artist, nothing by plays."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from recommender.retrieval.ranking import RADIO
from recommender.server.opensubsonic.endpoints.radio import MOST_SEEDS
from recommender.server.opensubsonic.library_tree import artist_id
from tests.catalogs import Planted, plant
from tests.recommender.server.conftest import client_of
from tests.recommender.server.opensubsonic.library import Rest, secret_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STEPS = 12
"""Directions in a half circle, each with the songs of one artist."""
SONGS = 9
MIDDLE = SONGS // 2 + 1
"""Id of the middle song of the first artist."""


def direction(step: float, song: int = SONGS // 2) -> list[float]:
    """A vector at a step of a half circle; songs lie around the middle one in pairs."""
    angle = np.pi * step / STEPS
    aside = np.random.default_rng(min(song, SONGS - 1 - song)).normal(size=6)
    aside *= np.sign(song - SONGS // 2) * 0.4 / np.linalg.norm(aside)
    return [np.cos(angle), np.sin(angle), *aside.tolist()]


@pytest.fixture(scope="module")
def circle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rest]:
    """Artists 0 to 12 around a half circle, each with songs around a middle one."""
    tracks = [
        Planted(
            f"Song {step}.{song}",
            artist=f"Artist {step}",
            album=f"Album {step}.{song // 4}",
            album_artist=f"Artist {step}",
            vector=direction(step, song),
        )
        for step in range(STEPS + 1)
        for song in range(SONGS)
    ]
    catalog = plant(tmp_path_factory.mktemp("circle"), ["calm"], tracks)
    with client_of(catalog) as client:
        yield Rest(client, secret_of(catalog))


def titles(songs: list[dict[str, Any]]) -> list[str]:
    return [song["title"] for song in songs]


@pytest.mark.parametrize("name", ["getSimilarSongs", "getSimilarSongs2"])
def test_of_a_song_an_album_and_an_artist_the_near_come_first_and_no_artist_rules(
    circle: Rest, name: str
) -> None:
    artist = circle.ok("getArtist", id=artist_id("Artist 6"))["artist"]
    song = circle.ok("search3", query=f"Song 6.{SONGS // 2}")["searchResult3"]["song"][0]
    kind = "similarSongs" if name == "getSimilarSongs" else "similarSongs2"
    for seed in (song["id"], artist["album"][0]["id"], artist["id"]):
        songs = circle.ok(name, id=seed, count=20)[kind]["song"]
        assert len(songs) == 20
        artists = Counter(one["artist"] for one in songs)
        albums = Counter(one["albumId"] for one in songs)
        assert max(artists.values()) <= (RADIO.per_artist or 0)
        assert max(albums.values()) <= (RADIO.per_album or 0)
        assert set(artists) <= {f"Artist {step}" for step in range(2, 11)}
        assert song["id"] not in {one["id"] for one in songs if seed == song["id"]}
        # The same question has the same answer.
        assert circle.ok(name, id=seed, count=20)[kind]["song"] == songs


def test_similarity_is_a_score_that_falls(circle: Rest) -> None:
    matches = circle.ok("getSonicSimilarTracks", id="tr-1", count=15)["sonicMatch"]
    scores = [match["similarity"] for match in matches]
    assert len(matches) == 15
    assert scores == sorted(scores, reverse=True)
    assert all(0.0 <= score <= 1.0 for score in scores)
    assert "tr-1" not in {match["entry"]["id"] for match in matches}
    assert len(circle.ok("getSonicSimilarTracks", id="tr-1")["sonicMatch"]) == 10


def test_a_path_has_both_ends_and_leads_away_from_the_first(circle: Rest) -> None:
    ends = {"startSongId": f"tr-{MIDDLE}", "endSongId": f"tr-{SONGS * STEPS + MIDDLE}"}
    found = circle.ok("findSonicPath", **ends, count=STEPS + 1)["sonicMatch"]
    ids = [match["entry"]["id"] for match in found]
    scores = [match["similarity"] for match in found]
    assert (ids[0], ids[-1], len(set(ids))) == (*ends.values(), STEPS + 1)
    assert scores == sorted(scores, reverse=True)
    assert (scores[0], scores[-1]) == (1.0, pytest.approx(0.0, abs=0.05))
    assert [match["entry"]["artist"] for match in found] == [
        f"Artist {step}" for step in range(STEPS + 1)
    ]
    for count, least, most in ((2, 2, 2), (1, 2, 2), (3, 3, 3), (25, 3, 25), (2**31, 3, 101)):
        path = circle.ok("findSonicPath", **ends, count=count)["sonicMatch"]
        shown = [match["entry"]["id"] for match in path]
        assert (shown[0], shown[-1]) == tuple(ends.values())
        assert least <= len(shown) == len(set(shown)) <= most
    alone = circle.ok("findSonicPath", startSongId="tr-6", endSongId="tr-6")["sonicMatch"]
    assert [(one["entry"]["id"], one["similarity"]) for one in alone] == [("tr-6", 1.0)]


def test_top_songs_are_the_typical_ones(circle: Rest) -> None:
    by_name = circle.ok("getTopSongs", artist="ARTIST  3", count=4)["topSongs"]["song"]
    assert titles(by_name)[0] == f"Song 3.{SONGS // 2}"
    assert {one["artist"] for one in by_name} == {"Artist 3"}
    assert len(by_name) == 4
    by_id = circle.ok("getTopSongs", id=artist_id("Artist 3"), count=4)["topSongs"]["song"]
    assert by_id == by_name
    # What the extension promises: the id counts more than the name.
    both = circle.ok("getTopSongs", id=artist_id("Artist 3"), artist="Artist 4", count=4)
    assert both["topSongs"]["song"] == by_name
    extensions = circle.ok("getOpenSubsonicExtensions")["openSubsonicExtensions"]
    assert {"name": "topSongsByArtistId", "versions": [1]} in extensions
    assert circle.ok("getTopSongs", artist="Nobody")["topSongs"]["song"] == []
    assert circle.error("getTopSongs", id="ar-nobody") == 70


def test_similar_artists_are_those_next_to_one(circle: Rest) -> None:
    found = circle.ok("getArtistInfo2", id=artist_id("Artist 6"), count=4)["artistInfo2"]
    names = {one["name"] for one in found["similarArtist"]}
    assert names == {"Artist 4", "Artist 5", "Artist 7", "Artist 8"}
    folders = circle.ok("getArtistInfo", id=artist_id("Artist 6"), count=4)["artistInfo"]
    assert {one["name"] for one in folders["similarArtist"]} == names


def test_the_discs_of_a_box_are_one_album(tmp_path: Path) -> None:
    box = [
        Planted(
            f"{disc}.{n}",
            artist=f"Guest {disc}.{n}",
            album="Box",
            path=tmp_path / f"music/Box/CD{disc}/{n}.mp3",
            key=f"Box/CD{disc}/{n}.mp3",
            duration_s=100.0,
        )
        for disc in (1, 2)
        for n in range(4)
    ]
    others = [Planted(f"Other {n}", artist=f"Other {n}") for n in range(20)]
    with client_of(plant(tmp_path, ["calm"], [*box, *others])) as client:
        rest = Rest(client, secret_of(tmp_path / "catalog.db"))
        found = rest.ok("getSimilarSongs", id="tr-9", count=30)["similarSongs"]["song"]
        albums = Counter(one["albumId"] for one in found if one["album"] == "Box")
        assert list(albums.values()) == [RADIO.per_album]


def test_many_songs_of_an_artist_are_seeds_by_a_part_of_them(tmp_path: Any) -> None:
    tracks = [Planted(f"Own {n}", artist="Much", vector=direction(n / 40)) for n in range(150)]
    tracks += [Planted(f"Other {n}", artist=f"Other {n}") for n in range(20)]
    catalog = plant(tmp_path, ["calm"], tracks)
    assert len(tracks) > MOST_SEEDS
    with client_of(catalog) as client:
        rest = Rest(client, secret_of(catalog))
        songs = rest.ok("getSimilarSongs2", id=artist_id("Much"), count=500)["similarSongs2"][
            "song"
        ]
        assert sum(one["artist"] == "Much" for one in songs) <= (RADIO.per_artist or 0)
        assert len(songs) >= 10


def test_a_library_of_one_song_and_an_empty_one_answer_too(tmp_path: Any) -> None:
    for number, tracks in enumerate(([Planted("One", album="Only")], [])):
        folder = tmp_path / str(number)
        folder.mkdir()
        catalog = plant(folder, ["calm"], tracks)
        with client_of(catalog) as client:
            rest = Rest(client, secret_of(catalog))
            assert rest.ok("getArtists")["artists"]["index"] == [] or tracks
            assert len(rest.ok("search3", query="")["searchResult3"]["song"]) == len(tracks)
            assert len(rest.ok("getRandomSongs")["randomSongs"]["song"]) == len(tracks)
            assert rest.ok("getAlbumList2", type="newest")["albumList2"]["album"] == [] or tracks
            if tracks:
                assert rest.ok("getSimilarSongs", id="tr-1")["similarSongs"]["song"] == []
                assert rest.ok("getSonicSimilarTracks", id="tr-1")["sonicMatch"] == []
                path = rest.ok("findSonicPath", startSongId="tr-1", endSongId="tr-1")
                assert path["sonicMatch"][0]["similarity"] == 1.0
            else:
                assert rest.ok("search3", query="one")["searchResult3"]["song"] == []
                assert rest.error("getSimilarSongs", id="tr-1") == 70
