"""Navidrome's plugin in the runtime that Navidrome has, asking a server that runs as a process."""

from __future__ import annotations

import base64
import json
import math
import random
import stat
import threading
import time
import zipfile
from contextlib import closing, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import extism
import pytest
import wasmtime

from indexer.catalog.reader import Catalog
from indexer.errors import InvalidOption
from recommender.players.navidrome.calls import CALLS, song_json
from recommender.players.navidrome.package import plugin_bytes, plugin_manifest, write_plugin
from scripts.assemble_navidrome_plugin import ROOM, assemble
from tests.catalogs import Planted, plant
from tests.ports import closed_port
from tests.recommender.players.navidrome_host import Navidrome, allows, host_of, open_package
from tests.recommender.server.conftest import client_of, start_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.recommender.server.conftest import Running

MBID = "b1a9c0e9-d987-4042-ae91-78d6a3267d69"
ALBUM_MBID = "0383dadf-2a4e-4d10-a46a-e9e041da8eb3"
ARTIST_MBID = "561d854a-6a28-4aa7-8c99-323e6ce46c2a"
TOKEN = "a token of sixteen letters"  # noqa: S105


def tracks() -> list[Planted]:
    """Two circles of sound, so that what sounds alike is known: even and odd ones."""
    songs = [
        Planted(
            f"Song {number}",
            artist=f"Band {number % 7}",
            album=f"Album {number % 5}",
            album_artist="Various Artists" if number % 5 == 0 else None,
            duration_s=180.0 + number,
            vector=[1.0 if number % 2 else -1.0, 0.1 * number, *([0.1] * 6)],
        )
        for number in range(1, 31)
    ]
    songs += [
        Planted(
            "Café Ünïcode 東京 🎧", artist="Björk & Sigur Rós", album="Ágætis", duration_s=240.0
        ),
        Planted(
            "So What",
            artist="Miles Davis",
            album="Kind of Blue",
            duration_s=561.0,
            more_tags={
                "isrc": "USSM15900113",
                "musicbrainz_track_id": MBID,
                "musicbrainz_album_id": ALBUM_MBID,
                "musicbrainz_artist_ids": (ARTIST_MBID,),
            },
            vector=[1.0, 0.4, *([0.1] * 6)],
        ),
        # The same piece on a stage, three minutes longer.
        Planted("So What", artist="Miles Davis", album="Live", duration_s=741.0),
    ]
    return songs


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plant(tmp_path_factory.mktemp("navidrome"), ("calm",), tracks())


@pytest.fixture(scope="module")
def server(catalog: Path) -> Iterator[Running]:
    with start_server(catalog) as running:
        yield running


@pytest.fixture(scope="module")
def navidrome(server: Running) -> Navidrome:
    return Navidrome(plugin_bytes(url=server.url))


def song(title: str, artist: str = "", **more: Any) -> dict[str, Any]:
    return {"id": "0aB3", "name": title, "artist": artist, **more}


def named(given: list[dict[str, Any]]) -> list[str]:
    return [one["name"] for one in given]


@contextmanager
def answering(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """A server that is not ours, by its url."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            answer(self)

        def log_message(self, *_args: Any) -> None:
            pass

    other = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=other.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{other.server_port}"
    finally:
        other.shutdown()
        thread.join()
        other.server_close()


def responding(status: int, body: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return respond


def test_the_module_is_what_its_source_assembles_to() -> None:
    assert assemble() == (ROOM / "plugin.wasm").read_bytes()


def test_the_module_exports_its_calls_and_its_memory() -> None:
    """Runtimes of Extism other than Navidrome's ask for the memory."""
    module = wasmtime.Module(wasmtime.Engine(), (ROOM / "plugin.wasm").read_bytes())
    assert sorted(one.name for one in module.exports) == sorted((*CALLS, "memory"))


def test_navidrome_takes_the_package_and_sees_both_capabilities(navidrome: Navidrome) -> None:
    assert navidrome.capabilities == {"SonicSimilarity", "MetadataAgent"}
    assert set(CALLS) == {
        *("nd_get_sonic_similar_tracks", "nd_find_sonic_path", "nd_get_similar_songs_by_track"),
        *("nd_get_similar_songs_by_album", "nd_get_similar_songs_by_artist"),
    }
    assert navidrome.manifest["permissions"].keys() == {"http"}
    assert navidrome.manifest["permissions"]["http"]["requiredHosts"] == ["127.0.0.1"]


def test_similar_tracks_and_paths_by_sound(navidrome: Navidrome) -> None:
    seed = song("Song 9", "Band 2", album="Album 4", duration=189.4, durationMs=189400)
    matches = navidrome.call("nd_get_sonic_similar_tracks", {"song": seed, "count": 5})["matches"]
    assert len(matches) == 5
    assert "Song 9" not in named([match["song"] for match in matches])
    scores = [match["similarity"] for match in matches]
    assert scores == sorted(scores, reverse=True)
    assert all(0.5 < score <= 1.0 for score in scores)

    end = song("Song 24", "Band 3", duration=204.0)
    given = {"startSong": seed, "endSong": end, "count": 6}
    path = navidrome.call("nd_find_sonic_path", given)["matches"]
    assert len(path) == 6
    assert (path[0]["song"]["name"], path[-1]["song"]["name"]) == ("Song 9", "Song 24")
    assert path[0]["similarity"] == 1.0
    assert path[-1]["similarity"] < 0.5


def test_a_path_is_as_long_as_the_library_allows(navidrome: Navidrome) -> None:
    start, end = song("Song 9", "Band 2"), song("Song 24", "Band 3")
    long = navidrome.call(
        "nd_find_sonic_path", {"startSong": start, "endSong": end, "count": 10_000}
    )["matches"]
    assert 3 < len(long) <= 33
    assert (long[0]["song"]["name"], long[-1]["song"]["name"]) == ("Song 9", "Song 24")
    alone = navidrome.call("nd_find_sonic_path", {"startSong": start, "endSong": start, "count": 9})
    assert named([match["song"] for match in alone["matches"]]) == ["Song 9"]


@pytest.mark.parametrize("count", [0, -1, -(2**31)])
def test_a_count_of_nothing_is_answered_with_nothing(navidrome: Navidrome, count: int) -> None:
    seed = song("Song 9", "Band 2")
    given = {"song": seed, "startSong": seed, "endSong": seed, "count": count}
    for call in ("nd_get_sonic_similar_tracks", "nd_find_sonic_path"):
        assert navidrome.call(call, given) == {"matches": []}


def test_songs_like_a_track_an_album_an_artist(navidrome: Navidrome) -> None:
    by_track = navidrome.call(
        "nd_get_similar_songs_by_track",
        {"id": "x", "name": "Song 9", "artist": "Band 2", "count": 2**31 - 1},
    )["songs"]
    assert 10 < len(by_track) < 32
    assert "Song 9" not in named(by_track)
    artists = [one["artist"] for one in by_track]
    assert max(artists.count(artist) for artist in artists) <= 3

    by_album = navidrome.call(
        "nd_get_similar_songs_by_album",
        {"id": "x", "name": "album 3", "artist": "Band 3", "count": 10},
    )["songs"]
    assert len(by_album) == 10
    compilation = navidrome.call(
        "nd_get_similar_songs_by_album",
        {"id": "x", "name": "Album 0", "artist": "Various Artists", "count": 8},
    )["songs"]
    assert compilation
    assert not {"Album 0"} & {one["album"] for one in compilation}
    of_another = navidrome.call(
        "nd_get_similar_songs_by_album",
        {"id": "x", "name": "Kind of Blue", "artist": "Ronny Jordan", "count": 8},
    )["songs"]
    assert of_another == []
    by_mbid = navidrome.call(
        "nd_get_similar_songs_by_album",
        {"id": "x", "name": "Kind of Blue", "artist": "", "mbid": ALBUM_MBID, "count": 3},
    )["songs"]
    assert len(by_mbid) == 3

    by_artist = navidrome.call(
        "nd_get_similar_songs_by_artist", {"id": "x", "name": "BAND 4", "count": 9}
    )["songs"]
    assert len(by_artist) == 9


def test_a_song_carries_what_navidrome_finds_it_by(navidrome: Navidrome) -> None:
    seed = song("Song 7", "Band 0", duration=187.0)
    given = {"song": seed, "count": 100}
    matches = navidrome.call("nd_get_sonic_similar_tracks", given)["matches"]
    by_name = {(match["song"]["name"], match["song"]["album"]): match["song"] for match in matches}
    assert by_name["So What", "Kind of Blue"] == {
        "name": "So What",
        "mbid": MBID,
        "isrc": "USSM15900113",
        "artist": "Miles Davis",
        "artistMbid": ARTIST_MBID,
        "artists": [{"name": "Miles Davis", "mbid": ARTIST_MBID}],
        "album": "Kind of Blue",
        "albumMbid": ALBUM_MBID,
        "duration": 561.0,
        "durationMs": 561000,
    }
    # Fields that are not known are left out, as Navidrome leaves them out.
    assert by_name["Song 9", "Album 4"].keys() == {
        *("name", "artist", "artists", "album", "duration", "durationMs")
    }


@pytest.mark.parametrize(
    ("artist", "artists", "ids", "expected"),
    [
        # As Navidrome cuts a tag of one value into artists.
        ("Anna feat. Bert", (), (), {"Anna feat. Bert": None, "Anna": None, "Bert": None}),
        ("Anna Ft Bert", (), ("1", "2"), {"Anna Ft Bert": None, "Anna": "1", "Bert": "2"}),
        ("A / B; C", (), (), {"A / B; C": None, "A": None, "B": None, "C": None}),
        ("Crowded House", (), ("1",), {"Crowded House": "1"}),
        ("AC/DC (feat. Bon)", (), ("1", "2"), {"AC/DC (feat. Bon)": None}),
        ("Anna & Bert", ("Anna", "Bert"), ("1", "2"), {"Anna": "1", "Bert": "2"}),
        (None, (), (), {}),
    ],
)
def test_a_song_names_each_of_its_artists(
    catalog: Path,
    artist: str | None,
    artists: tuple[str, ...],
    ids: tuple[str, ...],
    expected: dict[str, str | None],
) -> None:
    with closing(Catalog.open_for_reading(catalog)) as opened:
        track = replace(
            opened.require_tracks([1])[0],
            artist=artist,
            artists=artists or ((artist,) if artist else ()),
            musicbrainz_artist_ids=ids,
        )
    given = song_json(track).get("artists", [])
    assert {one["name"]: one.get("mbid") for one in given} == expected


def test_artists_that_navidrome_shows_as_one_text(navidrome: Navidrome) -> None:
    given = {"name": "Song 9", "artist": "Guest • Band 2", "count": 3}
    assert len(navidrome.call("nd_get_similar_songs_by_track", given)["songs"]) == 3
    given = {"name": "Album 4", "artist": "Guest • Band 2", "count": 3}
    assert len(navidrome.call("nd_get_similar_songs_by_album", given)["songs"]) == 3
    given = {"name": "Album 4", "artist": "Guest • Nobody", "count": 3}
    assert navidrome.call("nd_get_similar_songs_by_album", given)["songs"] == []


def test_songs_like_an_artist_who_comes_by_a_credit_and_not_like_a_namesake(
    tmp_path: Path,
) -> None:
    def at(angle: float, artist: str, *ids: str, **more: Any) -> Planted:
        vector = [math.cos(angle), math.sin(angle), *([0.0] * 6)]
        tags = {"musicbrainz_artist_ids": ids}
        return Planted(f"At {angle}", artist=artist, vector=vector, more_tags=tags, **more)

    one, other = "1" * 36, "a" * 36
    songs = [
        at(0.0, "Anna feat. Bert"),
        at(0.4, "X"),
        at(1.5, "Cleo / Dora", "c" * 36, one),
        at(1.9, "Y"),
        at(3.0, "Dora", other),
        at(3.4, "Z"),
        at(4.5, "AC/DC"),
        at(4.9, "Z"),
    ]
    with client_of(plant(tmp_path, ("calm",), songs)) as client:

        def nearest(name: str, mbid: str = "") -> list[str]:
            given = {"name": name, "mbid": mbid, "count": 1}
            call = {"call": "nd_get_similar_songs_by_artist", "input": given}
            return named(client.post("navidrome", json=call).json()["songs"])

        assert nearest("bert") == nearest("Anna") == nearest("Anna feat. Bert") == ["At 0.4"]
        assert nearest("Bert", other) == ["At 0.4"]
        assert nearest("Dora", one) == ["At 1.9"]
        assert nearest("Dora", other.upper()) == ["At 3.4"]
        assert nearest("Dora", "b" * 36) == []
        assert nearest("DC") == nearest("Ber") == nearest("\0") == []


@pytest.mark.parametrize(
    ("seed", "is_known"),
    [
        # By identifier, whatever the other tags say.
        (song("Na und", "M. Davis", mbid=MBID.upper()), True),
        (song("Na und", "M. Davis", isrc="US-SM1-59-00113"), True),
        # By names, without case and accents, and the duration where it is known.
        (song("so what", "MILES DAVIS", duration=560.0), True),
        (song("So What", "", artists=[{"name": "Miles Davis"}, {"name": "Trio"}]), True),
        (song("So What", "Miles Davis feat. Someone", durationMs=561900), True),
        # Never by a guess: another length, another artist, no artist, a name that says nothing.
        (song("So What", "Miles Davis", duration=600.0), False),
        (song("So What", "Ronny Jordan", duration=561.0), False),
        (song("So What", duration=561.0), False),
        (song("Track 01", "Unknown Artist"), False),
        (song("", ""), False),
        (song("Song 9", "Band 2", mbid="not an id", isrc="' OR 1=1 --"), True),
        (song("%", "%"), False),
    ],
)
def test_a_seed_is_known_by_identifiers_and_names(
    navidrome: Navidrome, seed: dict[str, Any], is_known: bool
) -> None:
    answer = navidrome.call("nd_get_sonic_similar_tracks", {"song": seed, "count": 3})
    assert len(answer["matches"]) == (3 if is_known else 0)


def test_of_several_recordings_the_one_that_lasts_as_long(navidrome: Navidrome) -> None:
    def path_to(**known: Any) -> list[str]:
        given = {"startSong": song("So What", "Miles Davis", **known), "endSong": song("", "")}
        given["endSong"] = given["startSong"]
        matches = navidrome.call("nd_find_sonic_path", {**given, "count": 2})["matches"]
        return [match["song"]["album"] for match in matches]

    assert path_to(duration=741.0) == ["Live"]
    assert path_to(duration=561.0) == ["Kind of Blue"]
    assert path_to(album="live") == ["Live"]


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"call": "nd_other", "input": {}},
        {"call": "nd_find_sonic_path", "input": {"song": {}}},
        {"call": "nd_get_similar_songs_by_album", "input": {"count": "many"}},
        {"call": "nd_get_similar_songs_by_artist", "input": {"name": ["B"]}},
    ],
)
def test_what_is_no_call_of_navidrome_is_refused(catalog: Path, asked: dict[str, Any]) -> None:
    with client_of(catalog) as client:
        assert client.post("navidrome", json=asked).status_code == 422


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_libraries_of_a_few_songs(tmp_path: Path, count: int) -> None:
    songs = [Planted(f"Song {n}", artist=f"Band {n}", duration_s=60.0 + n) for n in range(count)]
    with client_of(plant(tmp_path, ("calm",), songs)) as client:

        def ask(call: str, **given: Any) -> Any:
            response = client.post("navidrome", json={"call": call, "input": given})
            assert response.status_code == 200, response.text
            return response.json()

        start, end = song("Song 0", "Band 0"), song("Song 1", "Band 1")
        near = ask("nd_get_sonic_similar_tracks", song=start)["matches"]
        assert len(near) == max(0, count - 1)
        path = ask("nd_find_sonic_path", startSong=start, endSong=end)["matches"]
        assert len(path) == (count if count > 1 else 0)
        assert all(0.0 <= match["similarity"] <= 1.0 for match in (*near, *path))
        for by in ("track", "artist"):
            given = {"name": "Song 0" if by == "track" else "Band 0", "artist": "Band 0"}
            assert len(ask(f"nd_get_similar_songs_by_{by}", **given)["songs"]) == len(near)
        # The same questions by AudioMuse-AI's names.
        for path in ("similar_tracks?item_id=1", "find_path?start_song_id=1&end_song_id=2"):
            found = client.get(f"http://127.0.0.1/api/{path}")
            assert found.status_code == (200 if count > 1 else 404)
        found = client.get("http://127.0.0.1/api/search_tracks?search_query=song")
        assert len(found.json()) == count


def test_what_is_not_in_the_catalog_is_not_found(navidrome: Navidrome) -> None:
    for call in ("track", "album", "artist"):
        given = {"id": "x", "name": "Nobody knows this", "artist": "Nobody", "count": 5}
        assert navidrome.call(f"nd_get_similar_songs_by_{call}", given) == {"songs": []}
    for name in ("", " "):
        given = {"id": "x", "name": name, "artist": name, "count": 5}
        assert navidrome.call("nd_get_similar_songs_by_artist", given) == {"songs": []}


def test_sixty_calls_with_every_kind_of_letter(navidrome: Navidrome) -> None:
    seed = song("Café Ünïcode 東京 🎧", "Björk & Sigur Rós", album='a "quote" \\ and \u2028')
    for number in range(60):
        call = "nd_get_sonic_similar_tracks" if number % 2 else "nd_get_similar_songs_by_track"
        given = {"song": seed, "count": 3, **seed}
        answer = navidrome.call(call, given)
        assert len(answer["matches" if number % 2 else "songs"]) == 3
    back = {"song": song("Song 9", "Band 2"), "count": 100}
    names = [
        m["song"]["name"] for m in navidrome.call("nd_get_sonic_similar_tracks", back)["matches"]
    ]
    assert "Café Ünïcode 東京 🎧" in names


def test_what_the_plugin_sends_is_what_it_was_given(navidrome: Navidrome) -> None:
    for length in range(5):
        given = json.dumps({"song": {"name": "x" * length}, "count": 0}).encode()
        navidrome.call("nd_get_sonic_similar_tracks", given)
        request = navidrome.requests[-1]
        body = base64.b64decode(request["body"], validate=True)
        assert body == b'{"call":"nd_get_sonic_similar_tracks","input":' + given + b"}"
    assert request["method"] == "POST"
    assert request["headers"] == {"Content-Type": "application/json"}
    assert request["noFollowRedirects"]
    # Within the 30 seconds after which Navidrome ends the call.
    assert 0 < request["timeoutMs"] < 30_000


def test_what_navidrome_would_not_send_is_refused(navidrome: Navidrome) -> None:
    for given in ({}, {"song": 3}, {"song": {"name": ["x"]}}, {"song": song("x" * 5000)}):
        with pytest.raises(extism.Error, match="status 422"):
            navidrome.call("nd_get_sonic_similar_tracks", given)
    with pytest.raises(extism.Error, match="status 422"):
        navidrome.call("nd_find_sonic_path", b"no json")


def test_a_file_that_is_no_plugin_stays_as_it_is(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.write_text("mine")
    notes.chmod(0o644)
    link = tmp_path / "notes.ndp"
    link.symlink_to(notes)
    with pytest.raises(InvalidOption, match="exists and is no plugin of Navidrome"):
        write_plugin(link, url="http://localhost:7707", token=TOKEN)
    assert (notes.read_text(), stat.S_IMODE(notes.stat().st_mode)) == ("mine", 0o644)


def test_a_token_comes_from_the_file_or_from_navidromes_page(
    catalog: Path, tmp_path: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(TOKEN)
    token_file.chmod(0o600)
    out = tmp_path / "soundalike.ndp"
    given = {"song": song("Song 9", "Band 2"), "count": 2}
    with start_server(catalog, "--token-file", str(token_file)) as running:
        code, printed, said = run(
            "navidrome-plugin", "--url", running.url, "--out", out, "--token-file", token_file
        )
        assert (code, printed) == (0, "")
        assert "plugins folder" in said
        # Who reads the file has the token.
        assert stat.S_IMODE(out.stat().st_mode) == 0o600
        with_token = Navidrome(out.read_bytes())
        assert len(with_token.call("nd_get_sonic_similar_tracks", given)["matches"]) == 2

        bare = plugin_bytes(url=running.url)
        configured = Navidrome(bare, {"token": TOKEN + "\n"})
        assert len(configured.call("nd_get_sonic_similar_tracks", given)["matches"]) == 2
        for config in ({}, {"token": "another one"}, {"token": '","X":"'}):
            with pytest.raises(extism.Error, match=r"status 401: .*asks for its token"):
                Navidrome(bare, config).call("nd_get_sonic_similar_tracks", given)


def test_the_configuration_names_another_port_but_no_other_host(
    navidrome: Navidrome, server: Running
) -> None:
    given = {"song": song("Song 9", "Band 2"), "count": 2}
    package = plugin_bytes(url="http://127.0.0.1:1")
    moved = Navidrome(package, {"url": f"{server.url}/ "})
    assert len(moved.call("nd_get_sonic_similar_tracks", given)["matches"]) == 2
    with pytest.raises(extism.Error, match="not allowed"):
        Navidrome(package, {"url": "http://localhost:1"}).call("nd_find_sonic_path", given)


def test_a_server_that_is_not_there_is_an_error_at_once() -> None:
    with closed_port() as port:
        plugin = Navidrome(plugin_bytes(url=f"http://127.0.0.1:{port}"))
        for _ in range(3):
            with pytest.raises(extism.Error, match=r"soundalike cannot be reached: .*refused"):
                plugin.call("nd_get_similar_songs_by_artist", {"name": "Band 1"})


def test_a_server_that_is_too_slow_is_given_up() -> None:
    package = plugin_bytes(url="http://127.0.0.1:1")
    slow = threading.Event()
    with answering(lambda handler: slow.wait(60) and responding(200, b"{}")(handler)) as url:
        # The time that the plugin asks for is 20 s; the test has it shortened by Navidrome's side.
        plugin = Navidrome(package, {"url": url}, longest_s=0.3)
        began = time.monotonic()
        with pytest.raises(
            extism.Error, match=r"cannot be reached: .*(deadline exceeded|timed out)"
        ):
            plugin.call("nd_find_sonic_path", {})
        assert time.monotonic() - began < 5
        slow.set()
    assert plugin.requests[0]["timeoutMs"] == 20_000


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, b"<html>a router's page</html>", "another one, it answers <html>a router"),
        (200, b"", "another one"),
        (200, bytes(range(256)) * 50, "another one"),
        (401, b"no", "status 401: no"),
        (500, "Störung".encode(), r"status 500: St\?\?rung"),
        (302, b"", "status 302"),
        (404, b"x" * 5_000_000, "status 404: x{300}$"),
    ],
)
def test_another_server_is_an_error(status: int, body: bytes, error: str) -> None:
    with answering(responding(status, body)) as url:
        plugin = Navidrome(plugin_bytes(url=url))
        with pytest.raises(extism.Error, match=error):
            plugin.call("nd_find_sonic_path", {})


def test_a_long_answer_comes_whole() -> None:
    body = json.dumps({"songs": [{"name": "é" * 100}] * 5_000}, ensure_ascii=False).encode()
    with answering(responding(200, body)) as url:
        plugin = Navidrome(plugin_bytes(url=url))
        assert plugin.call("nd_get_similar_songs_by_album", {}) == json.loads(body)


@pytest.mark.parametrize(
    "answer",
    [
        *(b"{", b"nonsense", b'{"error":""}', b'{"result":null}', b'{"result":{}}', b"[]"),
        *(b'"', b'{"result"', b'{"result":{"statusCode":200', b'{"x":{"statusCode":200}}'),
    ],
)
def test_whatever_the_host_function_says_ends_in_an_error(
    navidrome: Navidrome, answer: bytes
) -> None:
    with pytest.raises(extism.Error, match="soundalike: "):
        navidrome.call_with(answer, "nd_find_sonic_path")


def test_members_are_found_in_any_order_and_spacing(navidrome: Navidrome) -> None:
    body = base64.b64encode(b'{"matches":[]}').decode()
    headers = {"X": '}],"statusCode":500,\\"', "body": "eA==", "y": [1, {"statusCode": 3}]}
    for indent in (None, 2):
        answer = json.dumps(
            {"result": {"headers": headers, "body": body, "statusCode": 200}, "error": ""},
            indent=indent,
        )
        assert navidrome.call_with(answer.encode(), "nd_find_sonic_path") == {"matches": []}


def test_answers_of_any_shape_and_damaged_ones(navidrome: Navidrome) -> None:
    """Only a 200 with an object is handed back, whole; all else is an error, and none a trap."""
    rng = random.Random(0)  # noqa: S311 - made-up answers
    handed_back = 0
    for _ in range(1_000):
        body = json.dumps({"x": any_value(rng)}, ensure_ascii=False).encode()
        if rng.random() < 0.3:
            body = rng.randbytes(rng.randrange(40))
        status = rng.choice([200, 200, 200, 201, 500, 2000, 20])
        result = [
            *(("statusCode", status), ("body", base64.b64encode(body).decode())),
            *(("headers", any_value(rng)), ("more", any_value(rng))),
        ]
        rng.shuffle(result)
        answer = [("result", dict(result)), ("z", any_value(rng)), ("a", any_value(rng))]
        rng.shuffle(answer)
        sent = json.dumps(dict(answer), indent=rng.choice([None, 1, 3])).encode()
        is_object = status == 200 and body.lstrip(bytes(range(33))).startswith(b"{")
        handed_back += is_object
        assert navidrome.outcome(sent, "nd_find_sonic_path") == (body if is_object else None)

        damaged = bytearray(sent)
        at = rng.randrange(len(damaged))
        damaged[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
        navidrome.outcome(
            bytes(damaged[: rng.randrange(1, 2 * len(damaged))]), "nd_find_sonic_path"
        )
    assert handed_back > 200


def any_value(rng: random.Random, depth: int = 0) -> Any:
    """A value of JSON, with names and signs that a careless reader falls for."""
    kind = rng.randrange(8 if depth < 3 else 5)
    if kind == 0:
        return rng.choice([None, True, 0, -1.5e10, 200, 404])
    if kind == 1:
        return rng.choice(["statusCode", "body", "error", "result"])
    if kind <= 4:
        return "".join(rng.choices('ab"\\{}[],:é\n\t', k=rng.randrange(12)))
    if kind <= 6:
        return {str(any_value(rng, 9)): any_value(rng, depth + 1) for _ in range(rng.randrange(4))}
    return [any_value(rng, depth + 1) for _ in range(rng.randrange(4))]


def test_the_package_is_the_same_each_time_and_shows_the_version() -> None:
    content = plugin_bytes(url="https://music.example/soundalike/")
    assert content == plugin_bytes(url="https://music.example/soundalike")
    manifest, wasm = open_package(content)
    assert manifest == plugin_manifest("https://music.example/soundalike")
    assert manifest["permissions"]["http"]["requiredHosts"] == ["music.example"]
    assert b"SOUNDALIKE-URL=https://music.example/soundalike\0" in wasm


@pytest.mark.parametrize(
    "url",
    [
        *("", "host:7707", "ftp://host", "http://", "http://host:x", "http://user@host"),
        *("http://host/?a=1", "http://host/#a", "http://hö.st", 'http://h"st', "http://h st"),
        *("http://*:7707", "http://*.example.com", "http://host?", "http://host#", "http://."),
        f"http://{'x' * 500}",
    ],
)
def test_an_address_that_makes_no_sense_is_refused(url: str) -> None:
    with pytest.raises(InvalidOption):
        plugin_bytes(url=url)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://[::1]:7707", "::1"),
        ("http://[FE80::A]:7707/", "fe80::a"),
        ("http://[fe80::a%25eth0]", "fe80::a%eth0"),
        ("HTTP://NAS.local:7707", "nas.local"),
        ("https://Music_1.Example/SoundAlike", "music_1.example"),
        ("http://192.168.1.2:7707", "192.168.1.2"),
    ],
)
def test_the_one_host_that_may_be_asked_is_the_one_of_the_address(url: str, host: str) -> None:
    content = plugin_bytes(url=url)
    manifest, wasm = open_package(content)
    assert manifest["permissions"]["http"]["requiredHosts"] == [host]
    sent = wasm.partition(b"SOUNDALIKE-URL=")[2].partition(b"\0")[0].decode()
    # Navidrome compares without brackets, but letter by letter.
    assert allows(host, host_of(sent))
    assert sent.endswith("/SoundAlike") == url.endswith("/SoundAlike")


def test_the_command_says_what_is_wrong(
    tmp_path: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    url = ("--url", "http://127.0.0.1:7707")
    assert run("navidrome-plugin")[0] == 2
    code, _, said = run("navidrome-plugin", *url, "--out", "plugin.zip")
    assert (code, said.count("\n")) == (1, 1)
    assert ".ndp" in said
    notes = tmp_path / "notes.ndp"
    notes.write_text("of mine")
    assert run("navidrome-plugin", *url, "--out", notes)[0] == 1
    assert notes.read_text() == "of mine"
    for _ in range(2):
        assert run("navidrome-plugin", *url)[0] == 0
    assert zipfile.is_zipfile("soundalike.ndp")
