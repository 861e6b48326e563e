"""How long a Music Player Daemon waits for the next song: `soundalike mpd` beside a real one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import wave
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.catalogs import make_catalog
from benchmarks.table import Cell, Table
from indexer.indexing.scan import scan
from recommender.players.mpd.address import Address
from recommender.players.mpd.client import Client, connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.setting import Setting

AHEAD = 3
SECONDS = 60
"""Of silence in each song: far more than any is played."""
_PER_FOLDER = 1_000
"""Songs; MPD looks through all of a folder's for each of them."""
_LIMIT_S = 300.0
_CONFIGURATION = """
music_directory "{music}"
db_file "{folder}/database"
bind_to_address "{folder}/socket"
auto_update "no"
zeroconf_enabled "no"
max_playlist_length "1000000"
audio_output {{
    type "null"
    name "nothing"
}}
"""


def measure(setting: Setting) -> tuple[Table, ...]:
    """Milliseconds from `next` to the filled queue, by sizes of a library."""
    rows: list[tuple[Cell, ...]] = []
    for count in setting.sizes.catalog_counts if shutil.which("mpd") else ():
        folder = setting.folder / f"mpd {count}"
        make_songs(folder / "music", count)
        catalog = folder / "catalog.db"
        files = list(scan([os.fsencode(folder / "music")]).files)
        make_catalog(catalog, count, seed=setting.seed, files=files)
        songs = min(setting.sizes.queries, count // 2)
        with running_mpd(folder / "music") as address, filled(catalog, address) as client:
            waited = [1000 * _next_s(client) for _ in range(songs)]
            names = [song["file"] for song in client.playlistinfo()]
        p50, p99 = np.percentile(waited, [50, 99]).tolist()
        rows.append((count, songs, p50, p99, max(waited), len(names) - len(set(names))))
    return (
        Table(
            title="MPD's queue: ms from `next` to the song that is appended for it",
            columns=("tracks", "songs", "p50", "p99", "most", "repeated"),
            rows=tuple(rows),
            notes=(
                "The whole way: MPD begins the next song and notifies `soundalike mpd`, which "
                "chooses and appends; seen by another client that asks again and again. Nothing "
                "is measured where mpd is not installed."
            ),
        ),
    )


def make_songs(music: Path, count: int) -> None:
    """Put songs of silence into folders of a new folder: the names of one file in each."""
    for number in range(count):
        folder = music / f"{number // _PER_FOLDER:04}"
        name, first = folder / f"{number % _PER_FOLDER:04}.wav", folder / "0000.wav"
        if name != first:
            os.link(first, name)
            continue
        folder.mkdir(parents=True)
        with wave.open(str(first), "wb") as song:
            song.setnchannels(1)
            song.setsampwidth(2)
            song.setframerate(8_000)
            song.writeframes(bytes(2 * 8_000 * SECONDS))


@contextmanager
def running_mpd(music: Path) -> Iterator[Address]:
    """The address of a daemon that knows all songs of a folder and plays into nothing."""
    # A socket's path is short.
    with tempfile.TemporaryDirectory(prefix="mpd-") as folder:
        configuration = Path(folder) / "mpd.conf"
        configuration.write_text(_CONFIGURATION.format(music=music, folder=folder))
        address = Address(f"{folder}/socket", 6600)
        with _process(["mpd", "--no-daemon", str(configuration)]):
            _wait_until(lambda: _answers(address))
            client = connect(address)
            client.update()
            _wait_until(lambda: "updating_db" not in client.status())
            client.disconnect()
            yield address


def _answers(address: Address) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(address.host) == 0


@contextmanager
def filled(catalog: Path, address: Address) -> Iterator[Client]:
    """A client of a daemon whose queue `soundalike mpd` has filled and keeps filled."""
    command = [sys.executable, "-m", "recommender", "mpd", "--catalog", str(catalog)]
    with ExitStack() as stack:
        client = connect(address)
        stack.callback(client.disconnect)
        client.add("0000/0000.wav")
        client.play()
        stack.enter_context(_process([*command, "--host", address.host, "--ahead", str(AHEAD)]))
        _wait_until(lambda: client.status()["playlistlength"] == str(1 + AHEAD))
        yield client


def _next_s(client: Client) -> float:
    before = client.status()["playlistlength"]
    began = time.perf_counter()
    client.next()
    _wait_until(lambda: client.status()["playlistlength"] != before, pause_s=0.0005)
    return time.perf_counter() - began


@contextmanager
def _process(command: list[str]) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until(condition: Callable[[], object], *, pause_s: float = 0.02) -> None:
    until = time.monotonic() + _LIMIT_S
    while not condition():
        if time.monotonic() > until:
            raise RuntimeError("MPD's queue was not filled")
        time.sleep(pause_s)
