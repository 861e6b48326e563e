from __future__ import annotations

import io
import os
import time
import wave
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest
from sqlalchemy import update

from indexer.catalog.schema import TrackRow
from indexer.catalog.status import TrackStatus
from indexer.library import Library
from recommender.server.sound import ranged_answers
from tests import sounds
from tests.catalogs import Planted, plant
from tests.recommender.server.conftest import client_of
from tests.recommender.server.processes import cpu_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection
    from starlette.testclient import TestClient

    from tests.recommender.server.conftest import Start

    Stored = dict[str, tuple[int, Path]]

STORED = {
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".m4a": "audio/mp4",
}
DECODED = {
    "a.aiff": None,
    "a.wma": None,
    "a.wv": None,
    "a.tta": None,
    "a.ac3": None,
    "a.mp2": None,
    "a.mka": None,
    "alac.m4a": "alac",
    "24.wav": "pcm_s24le",
    "float.wav": "pcm_f32le",
}
"""Names of files that no browser plays, and their encoders."""


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """Id and file of a song of each format that browsers play."""
    folder = tmp_path_factory.mktemp("stored")
    return {
        suffix: (number, sounds.write_audio(folder / f"a{suffix}", sounds.music(4, seed=number)))
        for number, suffix in enumerate(STORED, start=1)
    }


@pytest.fixture(scope="module")
def stored_catalog(stored: Stored) -> Path:
    """The catalog of these songs, with sizes and times as an index run would have seen them."""
    paths = [path for _, path in stored.values()]
    catalog = planted(paths[0].parent, *paths)
    with writing(catalog) as connection:
        for number, path in stored.values():
            seen = {"size": path.stat().st_size, "mtime_ns": path.stat().st_mtime_ns}
            connection.execute(update(TrackRow).where(TrackRow.id == number).values(**seen))
    return catalog


@pytest.fixture(scope="module")
def songs_client(stored_catalog: Path) -> Iterator[TestClient]:
    with client_of(stored_catalog) as client:
        yield client


@pytest.fixture(scope="module")
def decoded_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("decoded")
    paths = [
        sounds.write_audio(folder / name, sounds.music(7, seed=seed), codec=codec)
        for seed, (name, codec) in enumerate(DECODED.items())
    ]
    with client_of(planted(folder, *paths)) as client:
        yield client


def planted(folder: Path, *paths: Path) -> Path:
    return plant(folder, ["piano"], [Planted(path.name, path=path) for path in paths])


@contextmanager
def writing(catalog: Path) -> Iterator[Connection]:
    with closing(Library.open_for_writing(catalog)) as library:
        with library.catalog.writing() as connection:
            yield connection


def audio(client: TestClient, track: int, **options: object) -> httpx.Response:
    return client.get(f"tracks/{track}/audio", **options)


@pytest.mark.parametrize("suffix", STORED)
def test_what_browsers_play_is_the_file_itself(
    songs_client: TestClient, stored: Stored, suffix: str
) -> None:
    track, path = stored[suffix]
    answer = audio(songs_client, track)
    assert answer.status_code == 200
    assert answer.content == path.read_bytes()
    assert answer.headers["content-type"] == STORED[suffix]
    assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize("suffix", STORED)
def test_what_a_browser_says_it_does_not_play_is_decoded(
    songs_client: TestClient, stored: Stored, suffix: str
) -> None:
    track, _ = stored[suffix]
    answer = audio(songs_client, track, params={"plays": "none,of-ours"})
    with wave.open(io.BytesIO(answer.content)) as reader:
        assert reader.getnframes() > 3 * reader.getframerate()
    assert len(answer.content) == int(answer.headers["content-length"])


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, None),
        ("bytes=100-", 100, None),
        ("bytes=100-199", 100, 200),
        (" bytes=5-7 ", 5, 8),
        ("BYTES=5-7", 5, 8),
        ("bytes=5-99999999999999999999999", 5, None),
        ("bytes=-7", -7, None),
        ("bytes=-99999999999999999999999", 0, None),
    ],
)
def test_a_range_is_answered_with_it(
    songs_client: TestClient, stored: Stored, header: str, start: int, stop: int | None
) -> None:
    for suffix in (".mp3", ".flac"):
        track, path = stored[suffix]
        whole = path.read_bytes()
        answer = audio(songs_client, track, headers={"Range": header})
        assert answer.status_code == 206
        assert answer.content == whole[start:stop]
        first = range(len(whole))[start]
        last = first + len(answer.content) - 1
        assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(whole)}"


@pytest.mark.parametrize(
    "header",
    [
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=7-5",
        "bytes=1-2,4-5",
        "bytes=--5",
        "bytes=0x1-2",
        "items=0-5",
        "bytes 0-5",
        "bytes=0-5;",
        "bytes=\u0661-5",
        "",
        "bytes=+1-5",
    ],
)
def test_all_is_sent_where_a_range_is_no_single_one(
    songs_client: TestClient, stored: Stored, header: str
) -> None:
    track, path = stored[".mp3"]
    answer = audio(songs_client, track, headers={"Range": header.encode("utf-8")})
    assert answer.status_code == 200
    assert answer.content == path.read_bytes()


@pytest.mark.parametrize(
    "header",
    [
        "bytes=99999999-",
        "bytes=99999999-100000000",
        "bytes=-0",
        f"bytes={'9' * 6000}-",
        "bytes=" + ",".join(f"{n}-{n}" for n in range(1000)),
        "bytes=" + "0-," * 1000,
    ],
)
def test_a_range_with_nothing_in_it_and_a_flood_of_them_are_refused(
    songs_client: TestClient, decoded_client: TestClient, stored: Stored, header: str
) -> None:
    track, path = stored[".mp3"]
    answer = audio(songs_client, track, headers={"Range": header})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{path.stat().st_size}"
    assert answer.headers["content-type"] == "application/problem+json"
    assert audio(decoded_client, 1, headers={"Range": header}).status_code == 416


def test_a_range_of_another_version_is_not_mixed_in(
    songs_client: TestClient, stored: Stored
) -> None:
    track, _ = stored[".mp3"]
    etag = songs_client.head(f"tracks/{track}/audio").headers["etag"]
    for given, status in ((etag, 206), (f"W/{etag}", 200), ('"x"', 200), ("Sun, 29 Nov 2026", 200)):
        headers = {"Range": "bytes=3-9", "If-Range": given}
        assert audio(songs_client, track, headers=headers).status_code == status
    assert audio(songs_client, track, headers={"If-None-Match": etag}).status_code == 304
    assert audio(songs_client, track, headers={"If-None-Match": '"x"'}).status_code == 200


def test_head_says_what_get_sends(songs_client: TestClient, decoded_client: TestClient) -> None:
    for client in (songs_client, decoded_client):
        head = client.head("tracks/1/audio", headers={"Range": "bytes=1-2"})
        whole = audio(client, 1)
        assert (head.status_code, head.content) == (200, b"")
        for name in ("content-length", "content-type", "etag", "accept-ranges"):
            assert head.headers[name] == whole.headers[name]


@pytest.mark.parametrize("name", DECODED)
def test_any_ranges_of_a_wav_file_make_up_the_whole(decoded_client: TestClient, name: str) -> None:
    track = list(DECODED).index(name) + 1
    whole = audio(decoded_client, track)
    assert whole.headers["content-type"] == "audio/wav"
    with wave.open(io.BytesIO(whole.content)) as reader:
        assert reader.getsampwidth() == 2
        assert reader.getnframes() == pytest.approx(7 * reader.getframerate(), abs=5000)
        samples = np.frombuffer(reader.readframes(reader.getnframes()), "<i2")
    assert np.abs(samples).max() > 5000
    rng = np.random.default_rng(track)
    cuts = np.unique([0, 1, 43, 44, 45, 524_331, *rng.integers(0, len(whole.content), 5)]).tolist()
    spans = list(zip(cuts, [*cuts[1:], len(whole.content)], strict=True))
    parts = {}
    for number in rng.permutation(len(spans)).tolist():
        start, stop = spans[number]
        answer = audio(decoded_client, track, headers={"Range": f"bytes={start}-{stop - 1}"})
        assert answer.status_code == 206
        assert answer.headers["etag"] == whole.headers["etag"]
        parts[start] = answer.content
    assert b"".join(parts[start] for start, _ in spans) == whole.content


@pytest.mark.parametrize(
    "track",
    [
        "0",
        "-1",
        "99",
        str(2**63),
        "1e3",
        "NaN",
        "..",
        "..%2f1",
        "1%2f..%2f2",
        "%2e%2e/1",
        "%00",
        "/etc/passwd",
        "..%2f..%2f..%2fetc%2fpasswd",
        "\u0661",
    ],
)
def test_nothing_but_the_id_of_a_present_track_names_a_file(
    songs_client: TestClient, track: str
) -> None:
    for kind in ("audio", "cover"):
        answer = songs_client.get(f"tracks/{track}/{kind}")
        assert answer.status_code in (404, 422)
        assert "audio" not in answer.headers["content-type"]
        assert "image" not in answer.headers["content-type"]


@pytest.mark.parametrize("status", [TrackStatus.MISSING, TrackStatus.REMOVED, TrackStatus.FAILED])
def test_tracks_that_are_not_present_are_not_sent(tmp_path: Path, status: TrackStatus) -> None:
    paths = [sounds.write_audio(tmp_path / name, sounds.music(2)) for name in ("a.mp3", "b.mp3")]
    catalog = planted(tmp_path, *paths)
    with writing(catalog) as connection:
        connection.execute(update(TrackRow).where(TrackRow.id == 1).values(status=status))
    with client_of(catalog) as client:
        for kind in ("audio", "cover"):
            assert client.get(f"tracks/1/{kind}").status_code == 404
            assert client.get(f"tracks/2/{kind}").status_code == 200


def test_a_file_that_vanished_or_became_something_else_is_refused(tmp_path: Path) -> None:
    names = ["a.mp3", "b.wma", "c.flac", "d.aiff", "e.flac", "f.wma", "g.mp3", "h.wv"]
    paths = [
        sounds.write_audio(tmp_path / name, sounds.music(3, seed=seed))
        for seed, name in enumerate(names)
    ]
    other = sounds.write_audio(tmp_path / "other.mp3", sounds.music(3, seed=99))
    with client_of(planted(tmp_path, *paths)) as client:
        for number in range(1, len(paths) + 1):
            assert audio(client, number).status_code == 200
        for path in paths:
            path.unlink()
        os.mkfifo(paths[2])
        os.mkfifo(paths[3])
        paths[4].mkdir()
        paths[5].mkdir()
        paths[6].symlink_to(other)
        paths[7].symlink_to("/etc/passwd")
        found = [audio(client, number) for number in range(1, len(paths) + 1)]
    assert [answer.status_code for answer in found[:2]] == [410, 410]
    assert {answer.status_code for answer in found[2:]} <= {409, 422}
    for answer in found:
        assert answer.headers["content-type"] == "application/problem+json"
        assert str(tmp_path) not in answer.text


def test_new_tags_are_no_other_sound(tmp_path: Path) -> None:
    paths = [
        sounds.write_audio(tmp_path / name, sounds.music(3)) for name in ("a.mp3", "b.mp3", "c.wv")
    ]
    with client_of(planted(tmp_path, *paths)) as client:
        before = [audio(client, number) for number in (1, 2, 3)]
        tag = sounds.id3v2({"TIT2": b"\0New"})
        for path in paths:
            path.write_bytes(tag + path.read_bytes())
        sounds.write_audio(paths[1], sounds.music(3, seed=5))
        after = [audio(client, number) for number in (1, 2, 3)]
    assert after[0].content == tag + before[0].content
    assert after[0].headers["etag"] != before[0].headers["etag"]
    assert after[1].status_code == 409
    assert after[2].content == before[2].content


def test_damage_is_played_over(tmp_path: Path) -> None:
    whole = sounds.write_audio(tmp_path / "whole.wv", sounds.music(8))
    path = sounds.change_bytes(tmp_path / "a.wv", whole, np.linspace(0.3, 0.6, 5))
    with client_of(planted(tmp_path, path)) as client:
        answer = audio(client, 1)
        assert answer.status_code == 200
        last = audio(client, 1, headers={"Range": "bytes=-100000"})
    assert answer.content[-100_000:] == last.content
    assert any(last.content)


def test_there_is_an_end_to_how_many_are_sent(
    songs_client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranged_answers, "MOST_STREAMS", 0)
    answer = audio(songs_client, 1)
    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    assert songs_client.head("tracks/1/audio").status_code == 200


def test_the_document_says_what_comes(songs_client: TestClient) -> None:
    paths = songs_client.get("openapi.json").json()["paths"]
    assert paths["/api/v1/tracks/{track_id}/audio"].keys() == {"get", "head"}
    for kind, media_type in (("audio", "audio/wav"), ("cover", "image/svg+xml")):
        for operation in paths[f"/api/v1/tracks/{{track_id}}/{kind}"].values():
            assert operation["responses"]["200"]["content"][media_type]["example"]
            assert "application/problem+json" in operation["responses"]["404"]["content"]
            assert operation["summary"]


@pytest.fixture(scope="module")
def long_songs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two tracks of five minutes, which are 53 MB each as WAV; the second is changed by a test."""
    folder = tmp_path_factory.mktemp("long")
    first = sounds.write_audio(folder / "a.mp2", np.tile(sounds.music(20), 15))
    second = sounds.concatenate(folder / "b.mp2", first, first)
    return [first, second]


@pytest.fixture(scope="module")
def long_server(long_songs: list[Path], server: Start) -> Iterator[tuple[int, httpx.Client]]:
    """A server of these tracks: its process and a client."""
    catalog = planted(long_songs[0].parent, *long_songs)
    with server(catalog) as running, httpx.Client(base_url=running.api, timeout=60) as client:
        yield running.process.pid, client


@pytest.mark.slow
def test_a_client_that_goes_away_is_decoded_for_no_longer(
    long_server: tuple[int, httpx.Client],
) -> None:
    pid, client = long_server
    for _ in range(3):
        with client.stream("GET", "tracks/1/audio") as answer:
            assert len(next(answer.iter_bytes(100_000))) == 100_000
    time.sleep(1)
    spent = cpu_seconds(pid)
    time.sleep(1)
    assert cpu_seconds(pid) - spent < 0.3
    began = time.perf_counter()
    assert audio(client, 1, headers={"Range": "bytes=-1000"}).status_code == 206
    assert time.perf_counter() - began < 20


@pytest.mark.slow
def test_a_file_that_changes_while_it_is_sent_cuts_the_answer_short(
    long_songs: list[Path], long_server: tuple[int, httpx.Client]
) -> None:
    _, client = long_server
    with pytest.raises(httpx.RemoteProtocolError):
        with client.stream("GET", "tracks/2/audio") as answer:
            assert answer.status_code == 200
            for number, _ in enumerate(answer.iter_bytes(1 << 20)):
                if number == 0:
                    sounds.write_audio(long_songs[1], sounds.music(20, seed=8))
    assert audio(client, 2).status_code == 409
    assert client.get("health").status_code == 200
