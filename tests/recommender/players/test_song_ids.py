"""Ids of a real server of Subsonic, and AudioMuse-AI's answers by them."""

from __future__ import annotations

import hashlib
import json
import shutil
import ssl
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from indexer.catalog.reader import Catalog
from indexer.errors import IdMapError, InvalidOption, PlayerUnreachable
from recommender.players.song_ids.id_map import KeptIdMap, OwnIds, id_map_path, read_id_map
from recommender.players.song_ids.listings import jellyfin_song, listed_songs
from recommender.players.song_ids.songs import KnownSong
from recommender.players.song_ids.subsonic import SubsonicServer, known_song, subsonic_songs
from tests import sounds
from tests.catalogs import Planted, plant
from tests.ports import closed_port
from tests.recommender.server.conftest import client_of, start_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Run = Callable[..., tuple[int, str, str]]

PASSWORD = "pässword with ünïcode"  # noqa: S105
TRACK = "http://127.0.0.1/api/track"
MBID = "b1a9c0e9-d987-4042-ae91-78d6a3267d69"


def write_songs(music: Path) -> None:
    """Eleven songs in two folders, of which the catalog lacks one."""
    for number in range(11):
        folder = music / f"album {number // 6}"
        folder.mkdir(parents=True, exist_ok=True)
        sounds.write_audio(
            folder / f"{number:02}.mp3",
            sounds.music(1 + 5 * number, sample_rate=8_000, channels=1, seed=number),
            sample_rate=8_000,
            bit_rate=32_000,
            tags={
                "title": f"Sóng {number}",
                "artist": f"Band {number // 3}",
                "album": f"Album {number // 6}",
            },
        )


def planted(music: Path) -> list[Planted]:
    """The songs but for the last, with a longer take of one, and one that the server lacks."""
    songs = [
        Planted(
            f"song {number}",
            artist=f"BAND {number // 3}",
            album=f"Album {number // 6}",
            path=music / f"album {number // 6}" / f"{number:02}.mp3",
            vector=[1.0, 0.1 * number, *([0.1] * 6)],
        )
        for number in range(10)
    ]
    songs.append(Planted("Song 4", artist="Band 1", album="Live", duration_s=500.0))
    songs.append(Planted("Only here", artist="Nobody", duration_s=100.0))
    return songs


@contextmanager
def supysonic(data: Path, music: Path) -> Iterator[str]:
    """A server of Subsonic, by its url."""
    data.mkdir()
    script = Path(__file__).with_name("supysonic_server.py")
    command = [sys.executable, str(script), str(data), str(music), "listener", PASSWORD]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("library") / "music"
    write_songs(folder)
    return folder


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory, music: Path) -> Path:
    return plant(tmp_path_factory.mktemp("catalog"), ("calm",), planted(music))


@pytest.fixture(scope="module")
def subsonic(tmp_path_factory: pytest.TempPathFactory, music: Path) -> Iterator[str]:
    with supysonic(tmp_path_factory.mktemp("supysonic") / "data", music) as url:
        yield url


@pytest.fixture(scope="module")
def password_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("secret") / "password"
    path.write_text(f"{PASSWORD}\nnot this\n", encoding="utf-8")
    return path


@pytest.fixture
def without_ids(catalog: Path) -> Iterator[Path]:
    """The catalog, with the ids of no server before and afterwards."""
    id_map_path(catalog).unlink(missing_ok=True)
    yield catalog
    id_map_path(catalog).unlink(missing_ok=True)


@pytest.fixture
def with_ids(without_ids: Path, run: Run, subsonic: str, password_file: Path) -> dict[str, Any]:
    """What the import of the server's ids prints."""
    code, out, _ = run(
        *("import-ids", "--subsonic", subsonic, "--user", "listener", "--json"),
        *("--password-file", password_file, "--catalog", without_ids),
    )
    assert code == 0
    found: dict[str, Any] = json.loads(out)
    return found


def ids_of_subsonic(url: str) -> dict[str, str]:
    """The server's id of each song, by its title, as a client sees them."""
    known = {"u": "listener", "p": PASSWORD, "v": "1.12.0", "c": "test", "f": "json"}
    query = {**known, "query": "", "songCount": 100}
    answer = httpx.get(f"{url}/rest/search3.view", params=query).json()
    songs = answer["subsonic-response"]["searchResult3"]["song"]
    return {song["title"]: song["id"] for song in songs}


def test_an_import_knows_every_song_and_says_which_are_not_there(
    with_ids: dict[str, Any], catalog: Path, subsonic: str
) -> None:
    path = id_map_path(catalog)
    ids = ids_of_subsonic(subsonic)
    assert with_ids == {
        "path": str(path),
        "songs": 11,
        "matched": 10,
        "tracks": 10,
        # The long take, and what is only here.
        "tracks_without_id": 2,
        "unmatched": [f"Band 3 - Sóng 10 ({ids['Sóng 10']})"],
    }
    with _opened(catalog) as opened:
        kept = read_id_map(path, catalog_uuid=opened.uuid)
    assert kept.tracks == {ids[f"Sóng {number}"]: number + 1 for number in range(10)}


@contextmanager
def _opened(catalog: Path) -> Iterator[Catalog]:
    opened = Catalog.open_for_reading(catalog)
    try:
        yield opened
    finally:
        opened.close()


def test_a_second_import_gives_the_same_file(
    with_ids: dict[str, Any], run: Run, catalog: Path, subsonic: str, password_file: Path
) -> None:
    path = id_map_path(catalog)
    before = path.read_bytes()
    code, out, said = run(
        *("import-ids", "--subsonic", f"{subsonic}/", "--user", "listener"),
        *("--password-file", password_file, "--catalog", catalog),
    )
    assert (code, path.read_bytes()) == (0, before)
    assert out == "10 songs of 11 recognised, 2 tracks of the catalog without an id\n"
    assert "not in the catalog: Band 3 - Sóng 10" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--user", "somebody"), "refuses somebody"),
        (("--subsonic", "http://127.0.0.1:{closed}"), "does not answer"),
        (("--subsonic", "ftp://127.0.0.1"), "no address of HTTP"),
        (("--subsonic", "http://user:x@127.0.0.1"), "more than host, port and path"),
        (("--subsonic", "http://127.0.0.1:port"), "no address"),
        (("--subsonic", "http://127.0.0.1/?u=x"), "more than host, port and path"),
        (("--subsonic", "{url}/nothing"), "no server of Subsonic"),
    ],
)
def test_a_server_that_cannot_be_read_is_one_sentence(
    without_ids: Path,
    run: Run,
    subsonic: str,
    password_file: Path,
    options: tuple[str, str],
    said: str,
) -> None:
    given = {"--subsonic": subsonic, "--user": "listener", options[0]: options[1]}
    with closed_port() as closed:
        given["--subsonic"] = given["--subsonic"].format(closed=closed, url=subsonic)
        words = [word for pair in given.items() for word in pair]
        code, out, err = run(
            *("import-ids", *words, "--password-file", password_file, "--catalog", without_ids)
        )
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert said in err
    assert not id_map_path(without_ids).exists()


def test_ids_of_a_server_that_takes_salted_tokens(
    without_ids: Path, run: Run, tmp_path: Path, music: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a secret of sixteen letters")
    secret.chmod(0o600)
    songs = [
        Planted("Other", artist="Band 2", album="Else", duration_s=50.0),
        *(
            replace(song, path=None, duration_s=1.0 + 5 * n)
            for n, song in enumerate(planted(music)[:10])
        ),
    ]
    other = plant(tmp_path, ("calm",), songs)
    with start_server(other, "--players-secret", str(secret)) as running:
        code, out, _ = run(
            *("import-ids", "--subsonic", running.url, "--user", "soundalike", "--json"),
            *("--password-file", secret, "--catalog", without_ids),
        )
    found = json.loads(out)
    assert (code, found["songs"], found["matched"]) == (0, 11, 10)


@contextmanager
def answering(
    answer: Callable[[str, dict[str, str]], bytes], context: ssl.SSLContext | None = None
) -> Iterator[SubsonicServer]:
    """A server that is asked for a method with parameters, by the address it has."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlsplit(self.path)
            method = address.path.rpartition("/")[2].removesuffix(".view")
            body = answer(method, {key: one[0] for key, one in parse_qs(address.query).items()})
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield SubsonicServer(f"http://127.0.0.1:{server.server_port}", "me", PASSWORD)
        finally:
            server.shutdown()
            thread.join()


def listing(pages: Callable[[int], Any]) -> Callable[[str, dict[str, str]], bytes]:
    """A server whose pages of albums are a function of where they begin; album 2 is removed."""

    def answer(method: str, query: dict[str, str]) -> bytes:
        given: dict[str, Any] = {"status": "ok"}
        if method == "getAlbumList2":
            given["albumList2"] = pages(int(query["offset"]))
        elif method == "getAlbum" and query["id"] == "2":
            given = {"status": "failed", "error": {"code": 70, "message": "gone"}}
        elif method == "getAlbum":
            given["album"] = {"song": [{"id": f"{query['id']}.{n}"} for n in range(2)]}
        return json.dumps({"subsonic-response": given}).encode()

    return answer


ALBUMS = [{"id": str(number)} for number in range(4)]


@pytest.mark.parametrize(
    ("pages", "albums"),
    [
        (lambda offset: {"album": ALBUMS[offset:]}, "013"),
        (lambda offset: {"album": ALBUMS[offset : offset + 1]}, "013"),
        # The same again and again, pages that overlap, one album without a list, and nothing.
        (lambda _: {"album": ALBUMS}, "013"),
        (lambda offset: {"album": ALBUMS[max(0, offset - 1) : offset + 2]}, "013"),
        (lambda _: {"album": ALBUMS[3]}, "3"),
        (lambda _: {"album": [{"name": "x"}, {"id": None}, {"id": ""}, 3, None]}, ""),
        (lambda _: {}, ""),
        (lambda _: None, ""),
    ],
)
def test_albums_of_servers_that_page_in_odd_ways(pages: Callable[[int], Any], albums: str) -> None:
    with answering(listing(pages)) as server:
        found = [song.id for song in subsonic_songs(server)]
    assert found == [f"{album}.{number}" for album in albums for number in range(2)]


@pytest.mark.parametrize("body", [b"[" * 200_000, b"[1]", b"<html>", b"", b'{"subsonic-response":'])
def test_what_is_no_answer_of_subsonic_is_said(body: bytes) -> None:
    with (
        answering(lambda _method, _query: body) as server,
        pytest.raises(PlayerUnreachable, match="no server of Subsonic"),
    ):
        list(subsonic_songs(server))


def test_a_certificate_that_is_not_trusted_is_said_and_can_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with answering(listing(lambda offset: {"album": ALBUMS[offset:]}), context) as plain:
        server = replace(plain, url=f"https://localhost:{urlsplit(plain.url).port}")
        with pytest.raises(PlayerUnreachable) as refused:
            list(subsonic_songs(server))
        said = str(refused.value)
        assert "certificate" in said
        assert "is not trusted (self-signed certificate)" in said
        assert "SSL_CERT_FILE" in said
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert len(list(subsonic_songs(server))) == 6


@pytest.mark.parametrize("odd", [True, False, None, 1.5, [], {}])
def test_an_id_is_a_text_or_a_whole_number(tmp_path: Path, odd: object) -> None:
    path = tmp_path / "songs.json"
    path.write_text(json.dumps([{"id": odd, "title": "x"}, {"id": 7}, {"id": "8"}]))
    assert [song.id for song in listed_songs(path)] == ["7", "8"]


def test_a_server_without_songs_is_said(without_ids: Path, run: Run, password_file: Path) -> None:
    with answering(listing(lambda _: {})) as server:
        code, _, err = run(
            *("import-ids", "--subsonic", server.url, "--user", "me"),
            *("--password-file", password_file, "--catalog", without_ids),
        )
    assert (code, err.count("\n")) == (1, 1)
    assert "lists no songs" in err


@pytest.mark.parametrize(
    "song",
    [
        {"artists": 3, "duration": "12", "isrc": {"a": 1}, "musicBrainzId": 3, "title": None},
        {"artists": [None, 3, {"name": None}, {"name": 4}], "duration": -3, "isrc": []},
        {"artists": {"id": "x"}, "duration": float("inf"), "path": ["x"], "album": {}},
        {"duration": True, "title": False},
        {"duration": float("nan"), "artist": [], "displayArtist": 3},
    ],
)
def test_what_a_song_says_in_an_odd_shape_is_not_known(song: dict[str, Any]) -> None:
    assert known_song({"id": "1", **song}) == KnownSong(id="1")
    ticks = {"RunTimeTicks": song["duration"], "Artists": 3, "ProviderIds": [], "Name": {}}
    assert jellyfin_song({"Id": "1", **ticks}) == KnownSong(id="1")


@pytest.mark.parametrize(("code", "knows_password"), [(None, False), (40, False), (41, True)])
def test_the_password_goes_only_to_a_server_that_wants_it(
    code: int | None, *, knows_password: bool
) -> None:
    asked: list[dict[str, str]] = []

    def answer(_method: str, query: dict[str, str]) -> bytes:
        asked.append(query)
        given: dict[str, Any] = {"status": "ok", "albumList2": {}}
        if code is not None and "p" not in query:
            given = {"status": "failed", "error": {"code": code, "message": "no"}}
        return json.dumps({"subsonic-response": given}).encode()

    with answering(answer) as known:
        if code == 40:
            with pytest.raises(PlayerUnreachable, match="refuses me"):
                list(subsonic_songs(known))
        else:
            assert list(subsonic_songs(known)) == []
    assert any("p" in query for query in asked) == knows_password
    (salted,) = {(query["t"], query["s"]) for query in asked if "t" in query}
    expected = hashlib.md5((PASSWORD + salted[1]).encode(), usedforsecurity=False).hexdigest()
    assert salted[0] == expected


def test_wrong_usage(without_ids: Path, run: Run, password_file: Path) -> None:
    catalog = ("--catalog", without_ids)
    assert run("import-ids", *catalog)[0] == 2
    assert run("import-ids", "--subsonic", "http://127.0.0.1:1", *catalog)[0] == 2
    both = ("--subsonic", "http://127.0.0.1:1", "--file", password_file)
    assert run("import-ids", *both, *catalog)[0] == 2


def test_ids_of_jellyfin_come_from_a_file(without_ids: Path, run: Run, tmp_path: Path) -> None:
    listing = tmp_path / "items.json"
    item = {"Type": "Audio", "Album": "Album 0", "ProviderIds": {"MusicBrainzTrack": MBID}}
    items = [
        {**item, "Id": "a" * 32, "Name": "Song 2", "Artists": ["Band 0"], "RunTimeTicks": 11e7},
        {**item, "Id": "b" * 32, "Name": "Song 4", "Artists": ["Band 1"], "RunTimeTicks": 5e9},
        # Of two takes neither is guessed, and another length is another song.
        {**item, "Id": "c" * 32, "Name": "Song 4", "Artists": ["Band 1"]},
        {**item, "Id": "d" * 32, "Name": "Song 5", "Artists": ["Band 1"], "RunTimeTicks": 4e9},
        {"Id": "", "Name": "Song 3", "Artists": ["Band 1"]},
        {"Id": 3, "Name": ["x"], "Artists": "y", "ProviderIds": 4, "RunTimeTicks": "z"},
        "no item",
    ]
    listing.write_text(json.dumps({"Items": items, "TotalRecordCount": 7}))
    code, out, _ = run("import-ids", "--file", listing, "--catalog", without_ids, "--json")
    found = json.loads(out)
    assert (code, found["songs"], found["matched"]) == (0, 4, 2)
    with client_of(without_ids) as client:
        answer = client.get(TRACK, params={"item_id": "a" * 32}).json()
        assert answer["title"] == "song 2"
        answer = client.get(TRACK, params={"item_id": "b" * 32}).json()
        assert answer["album"] == "Live"


def test_copies_with_the_same_tags_are_a_track_each(tmp_path: Path, run: Run) -> None:
    """Durations are whole seconds on the server, so one copy is the nearest to all its songs."""
    tags = {"artist": "Ann", "album": "One"}
    durations = {"Plain": (20.04, 20.0, 20.3), "Long": (50.0, 51.0), "Once": (90.0, 91.0)}
    songs = [
        Planted(title, duration_s=seconds, **tags)
        for title, each in durations.items()
        for seconds in each
    ]
    songs.append(Planted("Plain", artist="Ann", album="Best of", duration_s=20.0))
    songs.append(Planted("Plain", artist="Ann", album="One", duration_s=24.0))
    catalog = plant(tmp_path, ("calm",), songs)
    listing = tmp_path / "songs.json"
    asked = [("a", "Plain", 20), ("b", "Plain", 20), ("c", "Plain", 20), ("d", "Plain", 20)]
    # The second is one too many for its second, the third is what fits the other copy best.
    asked += [("e", "Long", 50), ("f", "Long", 50), ("g", "Long", 51), ("h", "Once", 91)]
    listing.write_text(
        json.dumps([{"id": i, "title": t, "duration": s, **tags} for i, t, s in asked])
    )
    assert run("import-ids", "--file", listing, "--catalog", catalog)[0] == 0
    with _opened(catalog) as opened:
        kept = read_id_map(id_map_path(catalog), catalog_uuid=opened.uuid)
    assert kept.tracks == {"a": 2, "b": 1, "c": 3, "d": 2, "e": 4, "f": 4, "g": 5, "h": 7}


def test_a_folder_that_cannot_be_written_is_said_with_what_to_do(
    without_ids: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: Path) -> Any:
        raise PermissionError(13, "Permission denied", "/folder/.catalog.ids.24903")

    monkeypatch.setattr("recommender.players.song_ids.id_map.atomic_write", refuse)
    listing = tmp_path / "songs.json"
    song = {"id": "1", "title": "Song 2", "artist": "Band 0", "album": "Album 0"}
    listing.write_text(json.dumps([song]))
    code, out, err = run("import-ids", "--file", listing, "--catalog", without_ids)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert f"{id_map_path(without_ids)} cannot be written (Permission denied)" in err
    assert ".catalog.ids.24903" not in err
    assert "make its folder writable" in err


@pytest.mark.parametrize("content", ["", "{", "{}", '{"Items": 3}', "3", "[" * 100_000])
def test_a_file_without_songs_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "songs.json"
    path.write_text(content)
    with pytest.raises(InvalidOption):
        listed_songs(path)


def test_nothing_is_kept_where_no_song_is_known(
    with_ids: dict[str, Any], run: Run, catalog: Path, tmp_path: Path
) -> None:
    before = id_map_path(catalog).read_bytes()
    path = tmp_path / "songs.json"
    path.write_text(json.dumps([{"id": "1", "title": "Else", "artist": "Else", "duration": 3}]))
    code, _, said = run("import-ids", "--file", path, "--catalog", catalog)
    assert code == 1
    assert "nothing was kept" in said
    assert id_map_path(catalog).read_bytes() == before


def test_damage_to_the_kept_ids_is_noticed(with_ids: dict[str, Any], catalog: Path) -> None:
    path = id_map_path(catalog)
    whole = path.read_bytes()
    with _opened(catalog) as opened:
        uuid = opened.uuid
    kept = KeptIdMap(catalog, catalog_uuid=uuid)
    assert len(kept.present().tracks) == 10
    for damaged in (
        *(whole[:-5], b"", b"\n", b"{}\n{}", b"3\n{}", whole.replace(b":1,", b":2,", 1)),
        whole.replace(uuid.encode(), b"another catalog"),
        whole.replace(b'"format": 1', b'"format": 2'),
    ):
        path.write_bytes(damaged)
        with pytest.raises(IdMapError, match="import-ids"):
            kept.present()
    path.unlink()
    assert isinstance(kept.present(), OwnIds)
    with client_of(catalog) as client:
        path.write_bytes(whole[:-5])
        answer = client.get(TRACK, params={"item_id": "1"})
        assert answer.status_code == 503
        assert str(path.parent) not in answer.text
        # It is read again when it is whole.
        path.write_bytes(whole)
        song = next(iter(kept.present().tracks))
        assert client.get(TRACK, params={"item_id": song}).status_code == 200
