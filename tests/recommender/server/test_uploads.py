from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import time
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from starlette.requests import Request

from indexer.catalog.sqlite.lock import WriterLock
from indexer.errors import InvalidOption, Silent
from recommender.server import uploads
from recommender.server.indexing import accepted_files
from recommender.server.indexing.accepted_files import HIDDEN, AcceptedFile, AcceptedFiles
from recommender.server.problems import Problem
from recommender.server.settings import UploadLimits
from recommender.server.uploads import NAME_BYTES, PIECE_BYTES, file_name, receive
from tests import sounds
from tests.recommender.server.conftest import client_of, start_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from starlette.types import Message

    from tests.recommender.server.conftest import Running

LIMITS = UploadLimits(bytes=3 * PIECE_BYTES)


def request_of(
    chunks: Iterable[bytes], *, length: int | None = None, pause_s: float = 0.0
) -> Request:
    """A request that brings its body in chunks, and is cut off where they end with None."""
    waiting = [*chunks]

    async def take() -> Message:
        await asyncio.sleep(pause_s)
        if not waiting:
            return {"type": "http.disconnect"}
        chunk = waiting.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(chunk)}

    headers = [] if length is None else [(b"content-length", str(length).encode())]
    return Request({"type": "http", "method": "POST", "headers": headers}, take)


def received(
    folder: Path, request: Request, limits: UploadLimits = LIMITS, name: str = ""
) -> bytes:
    async def run() -> bytes:
        async with receive(request, folder, limits, name=name) as path:
            assert path.parent.parent == folder
            assert path.parent.name.startswith(".")
            return path.read_bytes()

    return asyncio.run(run())


def refused(folder: Path, request: Request, limits: UploadLimits = LIMITS) -> int:
    with pytest.raises(Problem) as caught:
        received(folder, request, limits)
    assert list(folder.iterdir()) == []
    return caught.value.status


def test_a_body_becomes_a_file_that_is_gone_afterwards(tmp_path: Path) -> None:
    chunks = [os.urandom(300_000) for _ in range(8)]
    assert received(tmp_path, request_of([*chunks, b""])) == b"".join(chunks)
    assert list(tmp_path.iterdir()) == []


def test_no_more_than_a_piece_is_in_memory(tmp_path: Path) -> None:
    async def run() -> list[int]:
        sizes: list[int] = []

        def chunks() -> Iterable[bytes]:
            for _ in range(30):
                sizes.append(sum(file.stat().st_size for file in tmp_path.glob("*/*")))
                yield bytes(100_000)
            yield b""

        bringing = iter(chunks())

        async def take() -> Message:
            chunk = next(bringing)
            return {"type": "http.request", "body": chunk, "more_body": bool(chunk)}

        request = Request({"type": "http", "method": "POST", "headers": []}, take)
        async with receive(request, tmp_path, LIMITS):
            return sizes

    for number, size in enumerate(asyncio.run(run())):
        assert 100_000 * number - size <= PIECE_BYTES + 100_000


def test_a_body_of_any_announced_length_is_bounded(tmp_path: Path) -> None:
    most = LIMITS.bytes
    assert refused(tmp_path, request_of([], length=most + 1)) == 413
    assert refused(tmp_path, request_of([], length=10**30)) == 413
    assert refused(tmp_path, request_of([bytes(most), b"x", b""])) == 413
    assert refused(tmp_path, request_of([b"12345", b""], length=4)) == 413
    assert received(tmp_path, request_of([bytes(most), b""], length=most)) == bytes(most)


def test_an_endless_body_is_cut_off(tmp_path: Path) -> None:
    taken = 0

    async def take() -> Message:
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": bytes(64 << 10), "more_body": True}

    request = Request({"type": "http", "method": "POST", "headers": []}, take)
    assert refused(tmp_path, request) == 413
    assert taken * (64 << 10) <= LIMITS.bytes + (64 << 10)


def test_an_empty_body_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, request_of([b""])) == 422
    assert refused(tmp_path, request_of([b""], length=0)) == 422


def test_a_body_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, request_of([b"half"], length=8)) == 400


def test_a_slow_body_is_refused(tmp_path: Path) -> None:
    strict = replace(LIMITS, receive_s=1.0, least_bytes_per_s=1e6, grace_s=0.2)
    assert refused(tmp_path, request_of([b"x"] * 100, pause_s=0.05), strict) == 408
    assert refused(tmp_path, request_of([b""], pause_s=5), strict) == 408
    patient = replace(LIMITS, least_bytes_per_s=1.0, receive_s=60.0, grace_s=30.0)
    assert received(tmp_path, request_of([b"x"] * 10 + [b""], pause_s=0.05), patient) == b"x" * 10
    short = replace(patient, receive_s=0.5)
    assert refused(tmp_path, request_of([b"x"] * 100, pause_s=0.05), short) == 408


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(uploads, "RESERVE_BYTES", 1 << 62)
        assert refused(tmp_path, request_of([b"x", b""])) == 507

    def is_full(_folder: object, _length: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(uploads, "require_room", is_full)
    assert refused(tmp_path, request_of([b"x", b""])) == 507


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="cannot store") as caught:
        received(tmp_path / "gone", request_of([b"x", b""]))
    assert caught.value.status == 503


def test_a_cancelled_upload_leaves_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        task = asyncio.create_task(take_forever())
        await asyncio.sleep(0.1)
        assert list(tmp_path.glob("*/*")) != []
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def take_forever() -> None:
        request = request_of([b"x"] * 1000, pause_s=0.02)
        async with receive(request, tmp_path, UploadLimits()):
            raise AssertionError

    asyncio.run(run())
    assert list(tmp_path.iterdir()) == []


def test_errors_of_a_file_say_the_clients_name(tmp_path: Path) -> None:
    async def run() -> None:
        async with receive(request_of([b"x", b""]), tmp_path, LIMITS, name="a b.mp3") as path:
            raise Silent(f"{path} is silent", stage="signal")

    with pytest.raises(Silent, match=r"^a b\.mp3 is silent$") as caught:
        asyncio.run(run())
    assert caught.value.stage == "signal"


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("song.mp3", "song.mp3"),
        ("../../etc/passwd", "passwd"),
        ("C:\\music\\song.mp3", "song.mp3"),
        ("/", "upload"),
        ("", "upload"),
        (".", "upload"),
        ("..", "upload"),
        (".nomedia", "nomedia"),
        ("...mp3", "mp3"),
        (" . song.flac ", "song.flac"),
        ("a\0b\n\r\x1b[31m.mp3", "ab[31m.mp3"),
        ("gnp.\u202e3pm", "gnp.3pm"),
        ("lone\ud800.mp3", "lone.mp3"),
        ("Ünïcøde 音楽.ogg", "Ünïcøde 音楽.ogg"),
        ("x" * 500 + ".flac", "x" * (NAME_BYTES - 5) + ".flac"),
        ("音" * 500 + ".mp3", "音" * 38 + ".mp3"),
        ("a." + "b" * 500, "a." + "b" * (NAME_BYTES - 2)),
    ],
)
def test_names_of_files(label: str, name: str) -> None:
    assert file_name(label) == name
    assert len(name.encode()) <= NAME_BYTES


@pytest.fixture
def uploads_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "uploads"
    folder.mkdir()
    return folder


def accept(files: AcceptedFiles, name: str, content: bytes = b"x", **said: Any) -> AcceptedFile:
    part = files.folder / ".upload-test" / name
    part.parent.mkdir(exist_ok=True)
    part.write_bytes(content)
    said = {"container": "mp3", "key": None, "audio_hash": content.hex(), **said}
    accepted = files.accept(part, **said)
    part.unlink(missing_ok=True)
    return accepted


def test_an_accepted_file_outlasts_its_server(uploads_folder: Path) -> None:
    with closing(AcceptedFiles(uploads_folder)) as files:
        first = accept(files, "song.mp3", b"one", key="mine")
        second = accept(files, "song.mp3", b"two")
        assert accept(files, "other.mp3", b"two") == second
        (files.folder / ".upload-cut").mkdir()
        with pytest.raises(InvalidOption, match="another server"):
            AcceptedFiles(uploads_folder)
    assert [file.path.name for file in (first, second)] == ["song.mp3", "song (2).mp3"]
    assert second.path.read_bytes() == b"two"
    second.path.unlink()
    (files.folder / "0.json").write_text('{"name": "../../etc/passwd", "key": null}')
    (files.folder / "2.json").write_text('{"name": "song.mp3"}')
    (files.folder / "1.json").write_text("[]")
    with closing(AcceptedFiles(uploads_folder)) as files:
        assert files.pending() == [first]
        files.forget(bytes(first.path))
        assert files.pending() == []
        assert [file.name for file in files.folder.iterdir()] == ["lock"]
    assert first.path.read_bytes() == b"one"


def test_names_in_the_library_end_as_audio_does(uploads_folder: Path) -> None:
    with closing(AcceptedFiles(uploads_folder)) as files:
        names = [
            accept(files, name, name.encode(), container=container).path.name
            for name, container in (
                ("a.MP3", "flac"),
                ("b", "ogg"),
                ("c.txt", "mov,mp4,m4a,3gp"),
                ("d.exe", "unheard of"),
            )
        ]
    assert names == ["a.MP3", "b.ogg", "c.txt.mov", "d.exe.mka"]


def test_a_file_that_cannot_be_kept_leaves_nothing(
    uploads_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_folder: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with closing(AcceptedFiles(uploads_folder)) as files:
        monkeypatch.setattr(accepted_files, "_fsync_folder", fail)
        with pytest.raises(OSError, match="Input/output"):
            accept(files, "song.mp3")
        assert files.pending() == []
    assert [file.name for file in uploads_folder.iterdir()] == [HIDDEN]
    assert sorted(file.name for file in files.folder.iterdir()) == [".upload-test", "lock"]


def test_where_no_links_are_known_a_file_is_moved(
    uploads_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: Path, _target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    with closing(AcceptedFiles(uploads_folder)) as files:
        assert accept(files, "song.mp3", b"one").path.read_bytes() == b"one"


STREAM = {"Content-Type": "application/octet-stream"}
WITHIN_S = 120.0


def send(server: Running, content: bytes, **params: str) -> httpx.Response:
    return httpx.post(
        server.api + "tracks", params=params, content=content, headers=STREAM, timeout=WITHIN_S
    )


def visible(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir() if not file.name.startswith("."))


def parts(folder: Path) -> list[Path]:
    return [*(folder / HIDDEN).glob(".upload-*")]


def until(is_true: Callable[[], object]) -> None:
    end = time.monotonic() + WITHIN_S
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_without_a_folder_no_file_is_taken(original_catalog: Path) -> None:
    with client_of(original_catalog) as client:
        assert client.post("tracks", content=b"x", headers=STREAM).status_code == 403


@pytest.mark.slow
def test_a_file_is_added_once_and_only_if_it_sounds(
    catalog_path: Path, original_songs: Path, uploads_folder: Path, tmp_path: Path
) -> None:
    song = sounds.write_audio(tmp_path / "new.flac", sounds.music(7, seed=500)).read_bytes()
    known = (original_songs / "album 0" / "02.mp3").read_bytes()
    with start_server(catalog_path, "--uploads", str(uploads_folder)) as server:
        added = send(server, song, name="../../My song.flac", key="mine")
        assert added.status_code in (201, 202)
        with httpx.Client(base_url=server.api, timeout=WITHIN_S) as client:
            until(lambda: client.get("similar", params={"like": "mine"}).status_code == 200)
        again = send(server, song, name="again.flac")
        assert (again.status_code, again.json()["state"]) == (200, "known")
        assert again.json()["track"]["key"] == "mine"
        assert send(server, song, name="again.flac", key="other").status_code == 409
        assert send(server, known, name="x.mp3").json()["track"]["title"] == "Song 2"
        assert send(server, b"no sound", key="mine").status_code == 409
        for content in (b"no sound at all" * 100, b"<script>", b"ID3" + bytes(1000), b""):
            refused = send(server, content, name="text.mp3")
            assert refused.status_code == 422
            assert str(tmp_path) not in refused.text
            assert ".upload" not in refused.text
        silence = sounds.write_audio(tmp_path / "silent.wav", np.zeros((1, 100_000), np.float32))
        refused = send(server, silence.read_bytes(), name="silent.wav")
        assert (refused.status_code, refused.json()["reason"]) == (422, "silent")
        assert visible(uploads_folder) == ["My song.flac"]
        until(lambda: [file.name for file in (uploads_folder / HIDDEN).iterdir()] == ["lock"])


@pytest.mark.slow
def test_an_acknowledged_file_outlasts_a_crash(
    catalog_path: Path, uploads_folder: Path, tmp_path: Path
) -> None:
    song = sounds.write_audio(tmp_path / "new.flac", sounds.music(7, seed=501)).read_bytes()
    other = sounds.write_audio(tmp_path / "other.flac", sounds.music(5, seed=502)).read_bytes()
    lock = WriterLock(catalog_path)
    with start_server(catalog_path, "--uploads", str(uploads_folder)) as server:
        # Nothing can be indexed as long as another process writes.
        added = send(server, song, name="song.flac", key="mine")
        assert (added.status_code, added.json()["state"]) == (202, "queued")
        again = send(server, song, name="again.flac")
        assert (again.status_code, again.json()["id"]) == (202, added.json()["id"])
        waiting = httpx.get(server.api + "uploads/" + added.json()["id"], timeout=WITHIN_S)
        assert (waiting.status_code, waiting.json()) == (200, added.json())
        with half_sent(server, other) as connection:
            until(lambda: parts(uploads_folder))
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
            connection.close()
    assert visible(uploads_folder) == ["song.flac"]
    assert parts(uploads_folder) != []
    lock.release()
    with start_server(catalog_path, "--uploads", str(uploads_folder)) as server:
        assert parts(uploads_folder) == []
        with httpx.Client(base_url=server.api, timeout=WITHIN_S) as client:
            sent = "uploads/" + added.json()["id"]
            until(lambda: client.get(sent).json()["state"] == "added")
            assert client.get(sent).json()["track"]["key"] == "mine"
            assert client.get("uploads/" + "0" * 64).status_code == 404
            assert client.get("uploads/0").status_code == 422
        until(lambda: [file.name for file in (uploads_folder / HIDDEN).iterdir()] == ["lock"])

        # A shutdown waits for a file that is coming; its worker has started by now.
        assert send(server, song, name="again.flac").status_code == 200
        with half_sent(server, other) as connection:
            until(lambda: parts(uploads_folder))
            server.process.send_signal(signal.SIGTERM)
            time.sleep(1)
            connection.sendall(other[len(other) // 2 :])
            answer = connection.recv(1 << 16)
        assert answer.startswith((b"HTTP/1.1 201", b"HTTP/1.1 202")), answer
        assert server.process.wait(60) == 0
    assert visible(uploads_folder) == ["other.flac", "song.flac"]
    with closing(AcceptedFiles(uploads_folder)) as files:
        assert [file.path.name for file in files.pending()] == ["other.flac"]


@contextmanager
def half_sent(server: Running, content: bytes) -> Iterator[socket.socket]:
    """A connection on which the first half of a file was sent."""
    url = urlsplit(server.url)
    head = (
        f"POST /api/v1/tracks?name=other.flac HTTP/1.1\r\nHost: {url.netloc}\r\n"
        f"Content-Type: application/octet-stream\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    with socket.create_connection((url.hostname, url.port), timeout=WITHIN_S) as connection:
        connection.sendall(head.encode() + content[: len(content) // 2])
        yield connection
