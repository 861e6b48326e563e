"""Requests to `/rest` that are meant to do harm, or are as odd as clients can make them."""

from __future__ import annotations

import json
import logging
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from indexer.catalog import writer
from indexer.catalog.status import TrackStatus
from indexer.library import Library
from recommender.server.opensubsonic import routing
from recommender.server.opensubsonic.authentication import Logins
from recommender.server.opensubsonic.endpoints import ENDPOINTS
from recommender.server.opensubsonic.library_tree import artist_id
from tests.catalogs import plant
from tests.recommender.server.conftest import client_of
from tests.recommender.server.opensubsonic.library import (
    NS,
    TRACKS,
    Rest,
    parse_xml,
    secret_of,
    token_of,
)

if TYPE_CHECKING:
    from pathlib import Path

SONG_ENDPOINTS = {
    "getSong": "id",
    "getSimilarSongs": "id",
    "getSimilarSongs2": "id",
    "getSonicSimilarTracks": "id",
    "getAlbumInfo2": "id",
    "findSonicPath": "startSongId",
    "stream": "id",
    "download": "id",
    "getCoverArt": "id",
    "getLyricsBySongId": "id",
    "getPlaylist": "id",
}
ODD_IDS = (
    "tr-0",
    "tr-999999",
    "tr--1",
    "tr-1.0",
    "tr-9223372036854775807",
    "tr-9223372036854775808",
    "tr-99999999999999999999999999",
    "tr-١",
    "tr-1 OR 1=1",
    "tr-",
    "1",
    "-1",
    "al-",
    "ar-",
    "al-../../etc/passwd",
    "../../../etc/passwd",
    "%",
    "\x00",
    "\ud7ff\u202e",
    "x" * 5_000,
)
COUNTS = {
    "getSimilarSongs": {"id": "tr-1"},
    "getSimilarSongs2": {"id": artist_id("Miles Davis")},
    "getTopSongs": {"artist": "Miles Davis"},
    "getSonicSimilarTracks": {"id": "tr-1"},
    "findSonicPath": {"startSongId": "tr-1", "endSongId": "tr-9"},
    "getSongsByGenre": {"genre": "Rock"},
    "getArtistInfo2": {"id": artist_id("Miles Davis")},
    "getRandomSongs": {},
    "getAlbumList": {"type": "newest"},
    "getAlbumList2": {"type": "random"},
    "search2": {"query": ""},
    "search3": {"query": "blue"},
}
NUMBERS = ("count", "size", "offset", "songCount", "songOffset", "albumCount", "artistOffset")


def entries(payload: Any) -> list[str]:
    """Ids of all songs in an answer."""
    if isinstance(payload, dict):
        own = [payload["id"]] if payload.get("isDir") is False else []
        return own + [one for value in payload.values() for one in entries(value)]
    return [one for value in payload for one in entries(value)] if isinstance(payload, list) else []


@pytest.mark.parametrize("name", SONG_ENDPOINTS)
def test_ids_that_mean_no_song_are_not_found(rest: Rest, name: str) -> None:
    for odd in ODD_IDS:
        parameters = {SONG_ENDPOINTS[name]: odd, "endSongId": "tr-2"}
        assert rest.error(name, **parameters) == 70, odd[:40]
    for other in ("getAlbum", "getArtist", "getMusicDirectory", "getArtistInfo2"):
        for odd in ODD_IDS:
            if (other, odd) != ("getMusicDirectory", "1"):
                assert rest.error(other, id=odd) == 70, (other, odd[:40])


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("number", [0, -1, 2**31, 2**63, "9" * 300])
def test_odd_counts_give_no_more_than_there_is(rest: Rest, name: str, number: object) -> None:
    parameters = COUNTS[name] | dict.fromkeys(NUMBERS, number)
    found = entries(rest.ok(name, **parameters))
    assert len(found) <= len(TRACKS)
    if number in (0, -1):
        # A path has both its ends, however short it is to be.
        assert found == (["tr-1", "tr-9"] if name == "findSonicPath" else [])


@pytest.mark.parametrize("text", ["ten", "1.5", "1e3", "0x10", "١", "NaN", "inf", "--1"])
def test_what_is_no_number_is_refused(rest: Rest, text: str) -> None:
    for name, parameters in COUNTS.items():
        odd = dict.fromkeys(NUMBERS, text)
        assert rest.error(name, **parameters, **odd) == 0, name


def test_missing_and_removed_tracks_are_gone_everywhere(tmp_path: Path) -> None:
    catalog = plant(tmp_path, ["calm", "loud"], TRACKS)
    with client_of(catalog) as client:
        rest = Rest(client, secret_of(catalog))
        before = rest.ok("search3", query="", songCount=500)["searchResult3"]
        duo = next(one for one in before["album"] if one["name"] == "Two")
        gone = {1: TrackStatus.MISSING, 2: TrackStatus.REMOVED, 13: TrackStatus.FAILED}
        with closing(Library.open_for_writing(catalog)) as library:
            for track_id, status in gone.items():
                with library.catalog.writing() as connection:
                    writer.set_status(connection, [track_id], status)
        for track_id in gone:
            for name, parameter in SONG_ENDPOINTS.items():
                parameters = {parameter: f"tr-{track_id}", "endSongId": "tr-3"}
                assert rest.error(name, **parameters) == 70, name
            assert rest.error("findSonicPath", startSongId="tr-3", endSongId=f"tr-{track_id}") == 70
        # The album that has no songs any more is no album, and its artists are gone, too.
        assert rest.error("getAlbum", id=duo["id"]) == 70
        assert rest.error("getArtist", id=artist_id("Bert")) == 70
        everywhere = (
            rest.ok("search3", query="", songCount=500),
            rest.ok("search3", query="blue"),
            rest.ok("getRandomSongs", size=500),
            rest.ok("getSongsByGenre", genre="jazz", count=500),
            rest.ok("getTopSongs", artist="Miles Davis"),
            rest.ok("getSimilarSongs", id="tr-3", count=500),
        )
        for answer in everywhere:
            assert entries(answer)
            assert not {f"tr-{track_id}" for track_id in gone} & set(entries(answer))
        assert len(entries(everywhere[0])) == len(TRACKS) - len(gone)


def test_a_token_is_worth_nothing_with_another_salt(rest: Rest) -> None:
    heard = {"u": "soundalike", "t": token_of(rest.secret, "abc"), "s": "abc", "f": "json"}
    assert rest.get("ping", **heard).json()["subsonic-response"]["status"] == "ok"
    for salt in ("abd", "", "ABC", "abc "):
        found = rest.get("ping", **{**heard, "s": salt}).json()["subsonic-response"]
        assert found["error"]["code"] == (40 if salt else 10), salt


def test_logins_are_asked_for_by_every_endpoint_before_anything_else(rest: Rest) -> None:
    for name in ENDPOINTS.keys() - {"getOpenSubsonicExtensions"}:
        found = rest.get(name, f="json", id="tr-1").json()["subsonic-response"]
        assert found["error"] == {"code": 10, "message": "the parameter 'u' is missing"}, name


def test_forms_that_are_too_long_or_have_too_many_fields(rest: Rest) -> None:
    address = "http://127.0.0.1/rest/ping"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    login = f"apiKey={rest.secret}&f=json"
    body = f"{login}&c={'x' * (2 << 20)}"
    assert rest.client.post(address, content=body, headers=headers).status_code == 413
    body = login + "&a=1" * 20_000
    refused = rest.client.post(address, content=body, headers=headers)
    # What it asks is not read, the format neither.
    error = parse_xml(refused.content).find(f"{NS}error")
    assert error is not None
    assert error.attrib["code"] == "0"
    body = f"{login}&c=%ff%fe%00&%=%&&=&id=%u0041"
    answer = rest.client.post(address, content=body, headers=headers).json()
    assert answer["subsonic-response"]["status"] == "ok"
    # A body that is no form is not read.
    answer = rest.client.post(address, content=login, headers={"Content-Type": "text/plain"})
    assert b'code="10"' in answer.content


def test_odd_queries_find_nothing_or_something_but_do_no_harm(rest: Rest) -> None:
    for odd in ("%", "'; DROP TABLE tracks; --", "\x00", "(" * 300, "a" * 20_000, "*" * 200, "🎵"):
        found = rest.ok("search3", query=odd)["searchResult3"]
        assert isinstance(found["song"], list), odd[:40]
    for odd in ("", "\x00", "x" * 5_000, "%", "Jazz' OR '1'='1"):
        if odd:
            assert rest.ok("getSongsByGenre", genre=odd)["songsByGenre"] == {"song": []}
            assert rest.ok("getTopSongs", artist=odd)["topSongs"] == {"song": []}
        rest.ok("getRandomSongs", genre=odd)


def test_no_answer_holds_a_folder_of_the_disk(rest: Rest, tmp_path: Path) -> None:
    everything = json.dumps(rest.ok("search3", query="", songCount=500))
    for name in ("getSong", "getAlbum", "getArtist", "stream"):
        everything += json.dumps(rest.json(name, id="tr-999999"))
    assert str(tmp_path.parent) not in everything
    assert "/music/" not in everything


def test_the_log_holds_no_secret(rest: Rest, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="recommender"):
        rest.ok("ping")
        rest.get("ping", u="soundalike", p=rest.secret)
        rest.get("ping", apiKey="not the key")
    assert "/rest/ping" in caplog.text
    assert rest.secret not in caplog.text
    assert "not the key" not in caplog.text


def test_pages_of_other_sites_get_answers_by_the_secret_alone(rest: Rest) -> None:
    headers = {"Origin": "http://player.example", "Sec-Fetch-Site": "cross-site"}
    address = "http://127.0.0.1/rest/ping?f=json"
    refused = rest.client.get(address, headers=headers)
    assert refused.json()["subsonic-response"]["error"]["code"] == 10
    answer = rest.client.get(f"{address}&apiKey={rest.secret}", headers=headers)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
    # What a browser asks before a request with headers of the page's own; it shows no secret.
    asked = {**headers, "Access-Control-Request-Method": "GET"}
    before = rest.client.options(address, headers=asked)
    assert (before.status_code, before.content) == (204, b"")
    assert before.headers["access-control-allow-origin"] == "*"
    assert before.headers["access-control-allow-headers"] == "*"
    assert "access-control-allow-credentials" not in before.headers
    assert rest.client.options("http://127.0.0.1/api/v1/tracks", headers=asked).status_code == 403
    # A name that the server does not answer under is refused all the same.
    rebound = rest.client.get(f"{address}&apiKey={rest.secret}", headers={"Host": "evil.example"})
    assert rebound.status_code == 421
    # And the API is as closed to them as before.
    api = "http://127.0.0.1/api/v1/tracks"
    assert rest.client.get(api, headers=headers).status_code == 403


def test_a_client_that_guesses_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # No time passes, in which one more guess would be let through.
    monkeypatch.setattr(routing, "Logins", partial(Logins, clock=lambda: 1000.0))
    catalog = plant(tmp_path, ["calm"], TRACKS[:2])
    with client_of(catalog) as client:
        address = "http://127.0.0.1/rest/ping?f=json"
        said = [
            client.get(f"{address}&u=soundalike&p=guess{number}").json()["subsonic-response"]
            for number in range(40)
        ]
        assert {one["error"]["code"] for one in said} == {40}
        assert "try again" in said[-1]["error"]["message"]
        right = client.get(f"{address}&apiKey={secret_of(catalog)}").json()
        assert right["subsonic-response"]["status"] == "failed"
