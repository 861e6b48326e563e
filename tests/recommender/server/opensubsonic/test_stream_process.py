"""Transcodes of a real server: how many at a time, clients that read slowly or leave."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from recommender.server.sound.transcodes import MOST_TRANSCODES
from tests import sounds
from tests.catalogs import Planted, plant
from tests.recommender.server.conftest import start_server
from tests.recommender.server.opensubsonic.library import secret_of
from tests.recommender.server.opensubsonic.songs import SECONDS, decode, original, spectrum
from tests.recommender.server.processes import children, cpu_seconds, workers
from tests.recommender.server.sockets import LOOPBACK, get, port_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.recommender.server.conftest import Running

LIMIT_S = 200.0
"""Seconds after which something hangs, on however busy a machine."""
SOME_BYTES = 4_000_000


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Song 1 takes hours, song 2 and 3 seconds."""
    folder = tmp_path_factory.mktemp("long")
    long = sounds.long_silent_flac(folder / "long.flac", hours=5, sample_rate=8_000)
    short = sounds.write_audio(folder / "short.flac", sounds.music(SECONDS, seed=2))
    third = sounds.write_audio(folder / "short.m4a", sounds.music(SECONDS, seed=3))
    return plant(
        folder, ["piano"], [Planted(path.name, path=path) for path in (long, short, third)]
    )


@pytest.fixture(scope="module")
def running(catalog: Path) -> Iterator[Running]:
    with start_server(catalog) as found:
        yield found


@pytest.fixture(scope="module")
def target(catalog: Path) -> str:
    return f"/rest/stream?apiKey={secret_of(catalog)}&format=mp3&maxBitRate=320&id=tr-"


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def open_slowly(port: int, request: bytes) -> socket.socket:
    """A connection on which little waits to be read, with a request sent."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
    client.settimeout(LIMIT_S)
    client.connect((LOOPBACK, port))
    client.sendall(request)
    return client


def fetch(url: str) -> bytes:
    """What is sent to a client that comes back when it is asked to."""
    answer = httpx.get(url, timeout=LIMIT_S)
    end = time.monotonic() + LIMIT_S
    while answer.status_code == 503:
        assert time.monotonic() < end
        time.sleep(0.1)
        answer = httpx.get(url, timeout=LIMIT_S)
    assert answer.status_code == 200
    return answer.content


def read_head(client: socket.socket) -> bytes:
    """The head of a response and what came with it."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = client.recv(1 << 12)
        assert piece
        received += piece
    return received


def read(client: socket.socket, count: int) -> None:
    """Read so many bytes."""
    while count > 0:
        piece = client.recv(min(count, 1 << 16))
        assert piece
        count -= len(piece)


@pytest.mark.slow
def test_what_is_not_read_is_not_made_and_more_than_a_few_are_refused(
    running: Running, target: str
) -> None:
    port = port_of(running)
    url = f"http://{LOOPBACK}:{port}{target}"
    assert fetch(f"{url}2")  # the workers have started
    held: list[socket.socket] = []
    before = cpu_seconds(running.process.pid)
    try:
        for _ in range(MOST_TRANSCODES):
            held.append(open_slowly(port, get(f"{target}1", port=port)))
            assert b" 200 " in read_head(held[-1])
            if len(held) == 1:
                read(held[0], SOME_BYTES)
                cost = cpu_seconds(running.process.pid) - before
        spent = [cpu_seconds(running.process.pid)]

        def is_quiet() -> bool:
            time.sleep(0.5)
            spent.append(cpu_seconds(running.process.pid))
            return spent[-1] - spent[-2] < 0.05

        until(is_quiet)
        # What fills the buffers between us is some MB each, and five hours are 720 MB.
        assert spent[-1] - spent[0] < 15 * cost
        refused = httpx.get(f"{url}2", timeout=LIMIT_S)
        assert refused.status_code == 503
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert "format=raw" in refused.json()["detail"]
        assert httpx.head(f"{url}2", timeout=LIMIT_S).status_code == 200
        stored = httpx.get(f"{url}2".replace("format=mp3", "format=raw"), timeout=LIMIT_S)
        assert stored.status_code == 200
        # A client that leaves makes room.
        held.pop().close()
        assert fetch(f"{url}2")
    finally:
        for client in held:
            client.close()
    assert fetch(f"{url}2")


def test_a_long_transcode_takes_no_more_memory_than_a_short_one(
    running: Running, target: str
) -> None:
    def peak_kb() -> int:
        total = 0
        for pid in [running.process.pid, *children(running.process.pid)]:
            with suppress(OSError):  # a child may end meanwhile
                said = Path(f"/proc/{pid}/status").read_text()
                total += sum(map(int, re.findall(r"VmHWM:\s+(\d+) kB", said)))
        return total

    with httpx.stream("GET", f"{running.url.rstrip('/')}{target}1", timeout=LIMIT_S) as answer:
        read, first = 0, 0
        for piece in answer.iter_bytes():
            read += len(piece)
            if read > 1_000_000 and not first:
                first = peak_kb()
            if read > 6_000_000:
                break
        assert first
        assert peak_kb() - first < 20_000


def test_several_transcodes_at_once_do_not_get_mixed_up(running: Running, target: str) -> None:
    url = f"{running.url.rstrip('/')}{target}"
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda song: fetch(f"{url}{song}"), [2, 3, 2, 3]))
    assert found[0] == found[2]
    assert found[1] == found[3]
    for number, data in ((2, found[0]), (3, found[1])):
        samples, rate = decode(data)
        expected, heard = spectrum(original(number), 44_100), spectrum(samples, rate)
        assert abs(len(heard) - len(expected)) <= 3
        near = expected - heard[: len(expected)]
        assert abs(near).mean() < 3


def test_a_worker_that_dies_costs_what_it_was_encoding_only(running: Running, target: str) -> None:
    url = f"{running.url.rstrip('/')}{target}"
    with httpx.stream("GET", f"{url}1", timeout=LIMIT_S) as answer:
        pieces = answer.iter_bytes()
        assert next(pieces)
        for pid in workers(running.process.pid):
            os.kill(pid, signal.SIGKILL)
        # The connection ends before the song does, by which the client knows.
        with pytest.raises(httpx.RemoteProtocolError):
            while True:
                next(pieces)
    samples, rate = decode(fetch(f"{url}2"))
    assert len(samples) / rate == pytest.approx(SECONDS, abs=0.01)
