"""What a server answers in a second, beside a bare endpoint that returns the same bytes."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import numpy as np

from benchmarks import sounds
from benchmarks.catalogs import make_catalog
from benchmarks.served import served
from benchmarks.table import Cell, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from benchmarks.setting import Setting

CLIENTS = 8
FAVOURITES = 500
"""Tracks that clients ask for again and again."""
ROUNDS = 3
_STARTING_S = 8.0
"""Until an index run has written its first files."""

_BARE = """
import sys
import uvicorn
from fastapi import FastAPI, Response
app = FastAPI()
body = open(sys.argv[1], "rb").read()
@app.get("/api/v1/similar")
async def similar() -> Response:
    return Response(body, media_type="application/json")
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), access_log=False, log_level="error")
"""


class Load(NamedTuple):
    """What clients saw in one round."""

    per_s: float
    seconds: tuple[float, ...]


def measure(setting: Setting) -> tuple[Table, ...]:
    """Requests a second and latencies, alone and while an index run goes on."""
    sizes = setting.sizes
    folder = setting.folder / "serving"
    folder.mkdir()
    catalog = folder / "catalog.db"
    make_catalog(catalog, sizes.served_tracks, seed=setting.seed)
    rng = np.random.default_rng(setting.seed)
    favourites = rng.integers(1, sizes.served_tracks + 1, FAVOURITES).tolist()
    anew = iter(rng.permutation(sizes.served_tracks) + 1)
    found: dict[str, list[Load]] = {"bare": [], "again": [], "anew": [], "indexing": []}
    with served(catalog) as url:
        port = int(urlsplit(url).port or 0)
        answer = folder / "answer.json"
        answer.write_bytes(asyncio.run(_body(port, favourites[0])))
        with _bare(answer) as bare_port:
            _ask(port, favourites)
            for _ in range(ROUNDS):
                count = sizes.served_requests
                of = rng.choice(favourites, count).tolist()
                found["bare"].append(_ask(bare_port, of))
                found["again"].append(_ask(port, of))
                found["anew"].append(_ask(port, [int(next(anew)) for _ in range(count // 10)]))
            with _index_run(setting, catalog, folder):
                for _ in range(ROUNDS):
                    found["indexing"].append(_ask(port, rng.choice(favourites, count).tolist()))
    bare = float(np.median([load.per_s for load in found["bare"]]))
    return (
        Table(
            title=f"Server: similar-by-id, {CLIENTS} clients, {sizes.served_tracks:,} tracks",
            columns=("endpoint", "requests a second", "of [a]", "p50 ms", "p99 ms", "worst ms"),
            rows=tuple(
                _row(name, found[key], bare)
                for key, name in (
                    ("bare", "[a] bare: FastAPI returns the same bytes"),
                    ("again", f"similar, {FAVOURITES} tracks asked again and again"),
                    ("anew", "similar, every track asked once"),
                    ("indexing", "as the second, while an index run goes on"),
                )
            ),
            notes=f"Each client asks the next as soon as it has an answer; medians of {ROUNDS} "
            "rounds, interleaved.\n"
            "Server, bare endpoint and clients share the machine's cores; of the run's files each "
            "commit empties\nthe server's kept answers.",
        ),
    )


def _row(name: str, loads: Sequence[Load], bare: float) -> tuple[Cell, ...]:
    per_s = float(np.median([load.per_s for load in loads]))
    seconds = 1000 * np.concatenate([load.seconds for load in loads])
    p50, p99 = (float(np.quantile(seconds, share)) for share in (0.5, 0.99))
    return name, round(per_s), f"{per_s / bare:.2f}", p50, p99, float(seconds.max())


def _ask(port: int, ids: Sequence[int]) -> Load:
    return asyncio.run(_ask_all(port, ids))


async def _ask_all(port: int, ids: Sequence[int]) -> Load:
    waiting = iter(ids)
    seconds: list[float] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for track_id in waiting:
            began = time.perf_counter()
            await _request(reader, writer, track_id)
            seconds.append(time.perf_counter() - began)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return Load(len(seconds) / (time.perf_counter() - began), tuple(seconds))


async def _body(port: int, track_id: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = await _request(reader, writer, track_id)
    writer.close()
    return body


async def _request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, track_id: int
) -> bytes:
    # Clients of a library take as long for a request as the server does.
    writer.write(
        f"GET /api/v1/similar?like={track_id} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    )
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if not head.startswith(b"http/1.1 200"):
        raise RuntimeError(f"the server answered {head[:200]!r}")
    length = int(head.partition(b"content-length:")[2].partition(b"\r")[0])
    return await reader.readexactly(length)


@contextmanager
def _bare(answer: Path) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", _BARE, str(answer), str(port)])
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.05)
        yield port
    finally:
        _end(process)


@contextmanager
def _index_run(setting: Setting, catalog: Path, folder: Path) -> Iterator[None]:
    """An index run of composed files, as the server starts one: niced, with one worker."""
    music = folder / "music"
    music.mkdir()
    frames = sounds.mp3_frames(sounds.load(setting.music, 60.0))
    rng = np.random.default_rng(setting.seed)
    for number in range(setting.sizes.served_files):
        sounds.drawn_mp3(music / f"{number:03}.mp3", frames, 60.0, rng=rng)
    command = [sys.executable, "-m", "recommender", "index", str(music), "--workers", "1"]
    process = subprocess.Popen(
        [*command, "--catalog", str(catalog)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: os.nice(10),  # noqa: PLW1509 - this process has one thread
    )
    try:
        time.sleep(_STARTING_S)
        yield
        if process.poll() is not None:
            raise RuntimeError("the index run ended before the clients did: give it more files")
    finally:
        _end(process)


def _end(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
