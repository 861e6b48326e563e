"""`soundalike mpd` as a process of its own, beside Debian's own MPD."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import pytest

from indexer.indexing.pipeline import index_paths
from indexer.library import Library
from recommender.players.mpd.client import connect
from tests import sounds
from tests.catalogs import Planted, plant
from tests.mpd_daemon import Daemon, connected, queue, running_mpd, update_database
from tests.ports import closed_port
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from indexer.analysis.pools import AnalysisPool
    from recommender.players.mpd.client import Client

    Run = Callable[..., tuple[int, str, str]]

COUNT = 240
GUARDED = """
password "secret@read,add,control,admin"
default_permissions "read,add,control,admin"
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("library")
    (folder / "songs").mkdir()
    whole = sounds.long_silent_flac(folder / "whole.flac", hours=0.1)
    tracks = []
    for number in range(COUNT):
        path = folder / "songs" / f"{number:03}.flac"
        os.link(whole, path)
        vector = np.random.default_rng(number).normal(size=8).tolist()
        tracks.append(
            Planted(
                f"Song {number}",
                artist=f"Band {number % 60}",
                vector=vector,
                path=path,
                duration_s=90.0 + 20 * number,
            )
        )
    plant(folder, ["calm"], tracks)
    return folder


@pytest.fixture(scope="module")
def daemon(library: Path) -> Iterator[Daemon]:
    with running_mpd(library / "songs", GUARDED) as running:
        with connected(running) as client:
            update_database(client)
        yield running


@contextmanager
def process(
    catalog: Path, daemon: Daemon, *options: str
) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """The command, once it has begun; with the lines that it prints."""
    # A shell that starts the tests in the background has them ignore SIGINT.
    command = ["env", "--default-signal=INT", sys.executable, "-m", "recommender", "mpd"]
    command += ["--catalog", str(catalog)]
    command += ["--host", daemon.address.host, *options]
    lines: list[str] = []
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        errors = running.stderr

        def read() -> None:
            lines.extend(iter(errors.readline, ""))

        reader = threading.Thread(target=read)
        reader.start()
        try:
            wait_until(lambda: lines or running.poll() is not None)
            yield running, lines
        finally:
            running.kill()
            running.wait(30)
            reader.join(30)


def refill_ms(client: Client) -> float:
    """Go on to the next song; milliseconds until the queue is as long as before."""
    before = client.status()["playlistlength"]
    began = time.perf_counter()
    client.next()
    wait_until(lambda: client.status()["playlistlength"] != before)
    return 1000 * (time.perf_counter() - began)


def test_two_hundred_songs_come_at_once_and_none_twice(library: Path, daemon: Daemon) -> None:
    with (
        connected(daemon) as client,
        process(library / "catalog.db", daemon, "--dislike", "8") as (running, lines),
    ):
        assert lines == [
            f"soundalike: filling the queue of the MPD at {daemon.address.host}; Ctrl-C ends\n"
        ]
        client.add("000.flac")
        client.play()
        wait_until(lambda: len(queue(client)) == 4)
        waited = [refill_ms(client) for _ in range(200)]
        names = queue(client)
        assert len(names) == 204
        assert len(set(names)) == 204
        assert "007.flac" not in names
        bands = [int(name[:3]) % 60 for name in names]
        assert all(bands[row] not in bands[row + 1 : row + 6] for row in range(len(bands) - 6))
        # Other programs keep the processors of tests busy.
        assert median(waited) < 500
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 0


def test_it_waits_for_a_daemon_that_is_started_anew_and_ends_with_ctrl_c(
    library: Path, daemon: Daemon
) -> None:
    with process(library / "catalog.db", daemon, "--ahead", "5") as (running, lines):
        with connected(daemon) as client:
            client.clear()
            client.add("000.flac")
            client.play()
            wait_until(lambda: len(queue(client)) == 6)
        daemon.end()
        wait_until(lambda: any("went away" in line for line in lines))
        daemon.start()
        with connected(daemon) as client:
            wait_until(lambda: any("is back" in line for line in lines))
            client.play(2)
            wait_until(lambda: len(queue(client)) == 8)
            assert len(set(queue(client))) == 8
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 130
    assert lines[-1] == "soundalike: interrupted\n"


@pytest.mark.slow
def test_a_song_that_the_catalog_lacks_is_analysed_when_it_plays(
    tmp_path: Path, pool: AnalysisPool
) -> None:
    music = tmp_path / "songs"
    music.mkdir()
    for number in range(4):
        sounds.write_audio(
            music / f"{number}.flac",
            sounds.music(4 + 3 * number, seed=number),
            tags={"title": f"Song {number}", "artist": f"Band {number}"},
        )
    with closing(Library.open_for_writing(tmp_path / "catalog.db", create=True)) as library:
        index_paths(library, [music / f"{number}.flac" for number in range(3)], pool=pool)
    with running_mpd(music) as daemon, connected(daemon) as client:
        update_database(client)
        client.add("3.flac")
        client.play()
        client.pause(1)
        with process(tmp_path / "catalog.db", daemon) as (_, lines):
            wait_until(lambda: len(queue(client)) == 4, 120)
            assert sorted(queue(client)) == [f"{number}.flac" for number in range(4)]
            assert [line for line in lines if "added" not in line] == lines[:1]


def test_what_is_wrong_with_the_address_is_said(
    run: Run, library: Path, daemon: Daemon, tmp_path: Path
) -> None:
    there = ("--catalog", library / "catalog.db", "--host")
    status, _, said = run("mpd", *there, "127.0.0.1", "--port", "1")
    assert status == 1
    assert "no MPD answers at 127.0.0.1, port 1 (Connection refused): start it, or " in said
    status, _, said = run("mpd", *there, f"wrong@{daemon.address.host}")
    assert status == 1
    assert "refuses the password (incorrect password)" in said
    assert "wrong" not in said
    status, _, said = run("mpd", *there, daemon.address.host, "--like", "nobody")
    assert status == 1
    assert "no track fits 'nobody'" in said
    status, _, said = run("mpd", *there, daemon.address.host, "--like", "3", "--dislike", "3")
    assert status == 1
    assert "Song 2 is both liked and disliked" in said
    other = tmp_path / "other"
    other.mkdir()
    status, _, said = run("mpd", *there, daemon.address.host, "--music-directory", other)
    assert status == 1
    assert re.search(
        r"nothing of the catalog is below MPD's music directory /\S+/other: index that folder", said
    )
    there = ("--catalog", plant(other, ["calm"], []), "--host")
    (other / "elsewhere").mkdir()
    folder = ("--music-directory", other / "elsewhere")
    status, _, said = run("mpd", *there, daemon.address.host, *folder)
    assert (status, said) == (
        1,
        f"soundalike: {other}/catalog.db holds no tracks yet: run `soundalike index FOLDER`\n",
    )


@pytest.mark.parametrize("without", ["", "read"])
def test_a_missing_password_is_said_to_be_missing(run: Run, library: Path, without: str) -> None:
    guarded = f'''
password "secret@read,add,control,admin"
password "look@read"
local_permissions "{without}"
default_permissions "{without}"
'''
    there = ("mpd", "--catalog", library / "catalog.db", "--host")
    with running_mpd(library / "songs", guarded) as daemon:
        host = daemon.address.host
        # Naming the folder does not help.
        for more in ((), ("--music-directory", library / "songs")):
            status, _, said = run(*there, host, *more)
            assert status == 1
            assert f"the MPD at {host} wants a password" in said
            assert "--host PASSWORD@HOST" in said
        status, _, said = run(*there, f"look@{host}")
        assert status == 1
        assert "wants another password" in said
        connect(replace(daemon.address, password="secret")).disconnect()  # noqa: S106


def test_over_tcp_the_music_directory_has_to_be_named(
    run: Run, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        closed_port() as port,
        running_mpd(library / "songs", f'bind_to_address "127.0.0.1"\nport "{port}"'),
    ):
        monkeypatch.setenv("MPD_HOST", "127.0.0.1")
        monkeypatch.setenv("MPD_PORT", str(port))
        status, _, said = run("mpd", "--catalog", library / "catalog.db")
    assert status == 1
    assert f"the MPD at 127.0.0.1, port {port} does not say where its music is: name " in said


def test_without_the_package_the_extra_is_named(
    run: Run, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mpd", None)
    for name in ("client", "filling"):
        monkeypatch.delitem(sys.modules, f"recommender.players.mpd.{name}", raising=False)
        monkeypatch.delattr(f"recommender.players.mpd.{name}", raising=False)
    status, _, said = run("mpd", "--catalog", library / "catalog.db")
    assert (status, said) == (
        1,
        "soundalike: python-mpd2 is not installed: pip install 'soundalike[mpd]'\n",
    )
