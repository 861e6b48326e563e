"""`soundalike serve` as a process: how it starts, answers, and ends."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from recommender.server import run
from recommender.server.settings import Settings
from tests import sounds
from tests.catalogs import Planted, plant
from tests.recommender.server.conftest import TIMEOUT_S
from tests.recommender.server.sockets import get, open_and_send, port_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.recommender.server.conftest import Start


def soundalike(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "recommender", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_server_answers_and_ends_cleanly_at_a_signal(
    original_catalog: Path, server: Start
) -> None:
    with server(original_catalog) as running:
        port = running.url.rstrip("/").rpartition(":")[2]
        assert httpx.get(f"{running.api}similar?like=1", timeout=TIMEOUT_S).status_code == 200
        checked = soundalike("serve", "--check", "--port", port)
        assert (checked.returncode, checked.stdout) == (0, "alive\n")
        maps = f"/proc/{running.process.pid}/maps"
        with open(maps) as file:
            assert "libtorch" not in file.read(), "the serving process has loaded torch"
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(TIMEOUT_S) == 0
        assert soundalike("serve", "--check", "--port", port).returncode == 1


def test_a_port_that_is_taken_is_said(original_catalog: Path, server: Start) -> None:
    with server(original_catalog) as running:
        port = running.url.rstrip("/").rpartition(":")[2]
        done = soundalike("serve", "--catalog", str(original_catalog), "--port", port)
        assert done.returncode == 1
        assert "choose another --port" in done.stderr


def test_an_address_for_other_machines_needs_a_token(original_catalog: Path) -> None:
    done = soundalike("serve", "--catalog", str(original_catalog), "--host", "0.0.0.0")  # noqa: S104
    assert done.returncode == 1
    assert "--token-file" in done.stderr


def test_no_catalog_is_said_and_one_is_made_for_a_folder(tmp_path: Path, server: Start) -> None:
    done = soundalike("serve", "--catalog", str(tmp_path / "none.db"))
    assert done.returncode == 1
    assert "there is no catalog" in done.stderr
    (tmp_path / "music").mkdir()
    with server(tmp_path / "new.db", "--folder", str(tmp_path / "music")) as running:
        with httpx.Client(base_url=running.api, timeout=TIMEOUT_S) as client:
            assert client.get("ready").status_code == 503
            assert client.get("status").json()["present"] == 0
            answer = client.get("similar?like=1")
        assert answer.status_code in (404, 422)
        assert str(tmp_path) not in answer.text


@pytest.mark.slow
def test_a_client_that_reads_nothing_does_not_hold_up_the_end(
    tmp_path: Path, server: Start
) -> None:
    song = sounds.write_audio(tmp_path / "long.wav", sounds.music(120))
    catalog = plant(tmp_path, ["calm"], [Planted("Long", path=song)])
    with server(catalog) as running:
        port = port_of(running)
        request = get("/api/v1/tracks/1/audio", port=port)
        with open_and_send(port, request) as stalled:
            stalled.settimeout(TIMEOUT_S)
            assert stalled.recv(1)
            running.process.send_signal(signal.SIGTERM)
            assert running.process.wait(run.GRACE_S + TIMEOUT_S) == 0
        assert running.process.stderr is not None
        assert "Traceback" not in running.process.stderr.read()


@pytest.mark.slow
def test_a_connection_that_says_nothing_is_closed(original_catalog: Path, server: Start) -> None:
    with server(original_catalog) as running:
        port = int(running.url.rstrip("/").rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as silent:
            silent.settimeout(TIMEOUT_S)
            began = time.monotonic()
            assert silent.recv(1) == b""
            assert time.monotonic() - began > 5


def test_small_answers_are_not_held_back(tmp_path: Path) -> None:
    async def sends_at_once(listening: socket.socket) -> int:
        taken = asyncio.get_running_loop().create_future()

        def take(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            taken.set_result(writer)

        async with await asyncio.start_server(take, sock=listening):
            with socket.create_connection(listening.getsockname()):
                writer: asyncio.StreamWriter = await taken
                accepted: socket.socket = writer.get_extra_info("socket")
                found = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                writer.close()
                await writer.wait_closed()
                return found

    # Without it they wait for a client's delayed acknowledgement, 40 ms.
    with run._listen(Settings(catalog=tmp_path, port=0)) as listening:
        assert asyncio.run(sends_at_once(listening))
