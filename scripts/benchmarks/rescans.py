"""A rescan of a library in which nothing has changed: files a second, and memory."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections import deque
from contextlib import closing
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmarks.catalogs import make_catalog
from benchmarks.table import Cell, Table
from indexer.indexing.pipeline import index_paths
from indexer.indexing.scan import scan
from indexer.library import Library

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from benchmarks.setting import Setting
    from indexer.catalog.file_queries import SeenFile

_FILES_PER_FOLDER = 12
_FOLDERS_PER_ARTIST = 5
_WALK = "[a] os.scandir, sorted, with the status of each file"
_RESCAN = "index_paths on an open library"
_STAGES = ("imports", "library opened", "rescanned")

_MEASURE_MEMORY = """
import sys
from pathlib import Path

def say():
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    print(next(line.split()[1] for line in lines if line.startswith("VmHWM")))

from indexer.indexing.pipeline import index_paths
from indexer.library import Library
say()
library = Library.open_for_writing(sys.argv[1])
say()
index_paths(library, [sys.argv[2]])
say()
"""


class _Cost(NamedTuple):
    """Seconds by the clock, and CPU seconds of this process and those that it started."""

    wall: float
    cpu: float


def measure(setting: Setting) -> tuple[Table, ...]:
    """Files a second and peak memory, by sizes of a library."""
    speeds: list[tuple[Cell, ...]] = []
    peaks: list[tuple[Cell, ...]] = []
    runs = setting.sizes.runs
    for count in setting.sizes.catalog_counts:
        folder = setting.folder / f"rescans {count}"
        music, catalog = folder / "music", folder / "catalog.db"
        make_catalog(
            catalog, count, seed=setting.seed, files=_empty_files(music, count, setting.seed)
        )
        costs = _costs(music, catalog, count, runs)
        walk = costs[_WALK].cpu
        speeds += [
            (
                count,
                name,
                cost.wall,
                cost.cpu,
                count / cost.cpu,
                count / (cost.cpu - walk) if cost.cpu > walk else None,
            )
            for name, cost in costs.items()
        ]
        peaks.append((count, *_peaks(catalog, music)))
    return (
        Table(
            title="Rescans that find nothing changed",
            columns=("files", "", "s", "CPU s", "files/CPU s", "beyond [a]"),
            rows=tuple(speeds),
            notes=(
                f"Medians, runs: {runs}, in turn, after one that is not counted; "
                f"{_FILES_PER_FOLDER} empty files in a folder, all in the page cache; tracks were "
                "added folder by folder in random order.\n[a] is what the file system and Python's "
                "own calls take, without which no file is seen to be unchanged; beyond [a]: files "
                "per second of CPU that is not spent there."
            ),
        ),
        Table(
            title="Peak memory of a process that rescans, MB",
            columns=("files", *_STAGES),
            rows=tuple(peaks),
            notes="VmHWM of a fresh process after each stage.",
        ),
    )


def _costs(music: Path, catalog: Path, count: int, runs: int) -> dict[str, _Cost]:
    root = os.fsencode(music)

    def rescan(library: Library) -> None:
        unchanged = index_paths(library, [music]).unchanged
        if unchanged != count:
            raise RuntimeError(f"only {unchanged} of {count} files are unchanged")

    def open_and_rescan() -> None:
        with closing(Library.open_for_writing(catalog)) as library:
            rescan(library)

    command = [sys.executable, "-m", "recommender", "index", music, "--catalog", catalog]
    with closing(Library.open_for_writing(catalog)) as library:
        costs = _medians(
            {
                _WALK: lambda: _walk(root),
                "scan alone": lambda: deque(scan([root]).files, maxlen=0),
                _RESCAN: lambda: rescan(library),
            },
            runs=runs,
        )
    return costs | _medians(
        {
            "the same, opened and closed": open_and_rescan,
            "soundalike index, the whole command": lambda: subprocess.run(
                command, check=True, capture_output=True
            ),
        },
        runs=runs,
    )


def _peaks(catalog: Path, music: Path) -> list[float]:
    command = [sys.executable, "-c", _MEASURE_MEMORY, catalog, music]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [int(line) * 1024 / 1e6 for line in said.split()]


def _empty_files(music: Path, count: int, seed: int) -> list[SeenFile]:
    """Files of a new folder, those of each album together, albums in random order."""
    for number in range(count):
        album = number // _FILES_PER_FOLDER
        folder = music / f"Artist {album // _FOLDERS_PER_ARTIST:06}" / f"Album {album:06}"
        if number % _FILES_PER_FOLDER == 0:
            folder.mkdir(parents=True)
        (folder / f"{number % _FILES_PER_FOLDER + 1:02} Title {number:07}.mp3").touch()
    files = list(scan([os.fsencode(music)]).files)
    albums = [files[at : at + _FILES_PER_FOLDER] for at in range(0, count, _FILES_PER_FOLDER)]
    order = np.random.default_rng(seed).permutation(len(albums))
    return [file for album in order for file in albums[album]]


def _walk(root: bytes) -> None:
    folders = [root]
    while folders:
        with os.scandir(folders.pop()) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
        for entry in entries:
            if entry.is_dir():
                folders.append(entry.path)
            else:
                entry.stat()


def _medians(actions: Mapping[str, Callable[[], object]], *, runs: int) -> dict[str, _Cost]:
    """What each action costs, all of them in turn; the first turn is not counted."""
    costs: dict[str, list[_Cost]] = {name: [] for name in actions}
    for _ in range(runs + 1):
        for name, act in actions.items():
            wall, cpu = time.perf_counter(), _cpu()
            act()
            costs[name].append(_Cost(time.perf_counter() - wall, _cpu() - cpu))
    return {
        name: _Cost(*(median(column) for column in zip(*counted[1:], strict=True)))
        for name, counted in costs.items()
    }


def _cpu() -> float:
    """CPU seconds of this process and of those that it started and that have ended."""
    both = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(sum(resource.getrusage(who)[:2]) for who in both)
