"""A Music Player Daemon for tests: Debian's own, that plays into nothing."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from recommender.players.mpd.address import Address
from recommender.players.mpd.client import Client, connect
from tests.waiting import LIMIT_S, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONFIGURATION = """
music_directory "{music}"
playlist_directory "{folder}/playlists"
db_file "{folder}/database"
state_file "{folder}/state"
log_file "{folder}/log"
bind_to_address "{folder}/socket"
auto_update "no"
zeroconf_enabled "no"
{more}
audio_output {{
    type "null"
    name "nothing"
}}
"""


class Daemon:
    """A daemon over a folder of music, which can be ended and started again."""

    def __init__(self, music: Path, folder: Path, more: str = "") -> None:
        self.address = Address(f"{folder}/socket", 6600)
        self._configuration = folder / "mpd.conf"
        (folder / "playlists").mkdir()
        self._configuration.write_text(
            _CONFIGURATION.format(music=music, folder=folder, more=more), encoding="utf-8"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = shutil.which("mpd") or "/usr/bin/mpd"
        self._process = subprocess.Popen(
            [program, "--no-daemon", str(self._configuration)], stderr=subprocess.DEVNULL
        )
        wait_until(self._answers)

    def end(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(LIMIT_S)
            self._process = None

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(self.address.host) == 0


@contextmanager
def running_mpd(music: Path, more: str = "") -> Iterator[Daemon]:
    """A daemon that knows all files of a folder; skips the test where there is none."""
    if shutil.which("mpd") is None and not Path("/usr/bin/mpd").exists():
        pytest.skip("mpd is not installed (Debian: apt-get install mpd)")
    # A socket's path is short.
    folder = Path(tempfile.mkdtemp(prefix="soundalike-mpd-"))
    daemon = Daemon(music, folder, more)
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.end()
        shutil.rmtree(folder)


@contextmanager
def connected(daemon: Daemon) -> Iterator[Client]:
    """A listener's own connection to a daemon."""
    client = connect(daemon.address)
    try:
        yield client
    finally:
        client.disconnect()


def update_database(client: Client) -> None:
    """Let the daemon look at its folder, and wait until it has."""
    client.update()
    wait_until(lambda: "updating_db" not in client.status())


def queue(client: Client) -> list[str]:
    """The names of the songs in the queue."""
    return [song["file"] for song in client.playlistinfo()]
