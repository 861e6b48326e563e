from __future__ import annotations

import asyncio
import errno
import os
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from starlette.requests import Request

from indexer.errors import Silent
from recommender.server import uploads
from recommender.server.problems import Problem
from recommender.server.settings import UploadLimits
from recommender.server.uploads import NAME_BYTES, PIECE_BYTES, file_name, receive

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from starlette.types import Message

LIMITS = UploadLimits(bytes=3 * PIECE_BYTES, receive_s=1.0, least_bytes_per_s=1e6, grace_s=0.2)


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
    assert refused(tmp_path, request_of([b"x"] * 100, pause_s=0.05)) == 408
    assert refused(tmp_path, request_of([b""], pause_s=5)) == 408
    quick = replace(LIMITS, least_bytes_per_s=1.0)
    assert received(tmp_path, request_of([b"x"] * 10 + [b""], pause_s=0.05), quick) == b"x" * 10
    assert refused(tmp_path, request_of([b"x"] * 100, pause_s=0.05), quick) == 408


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
