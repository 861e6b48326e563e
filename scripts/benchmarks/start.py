"""What comes before any work: imports, the command line, and looking for changes."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from contextlib import closing
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

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

_FILES_PER_FOLDER = 100
_BARE_PYTHON = "[a] python -c pass"
_IMPORT = "import recommender"
_BARE_WALK = "[b] os.walk and os.stat"
_RESCAN = "index_paths on an open library"


class _Cost(NamedTuple):
    """Seconds by the clock, and CPU seconds of processes that were started."""

    wall: float
    children: float


def measure(setting: Setting) -> tuple[Table, ...]:
    """Seconds to start, and files a second of a rescan that finds nothing changed."""
    started = _medians(
        {
            _BARE_PYTHON: lambda: _run("-c", "pass"),
            _IMPORT: lambda: _run("-c", "import recommender"),
            "soundalike --help": lambda: _run("-m", "recommender", "--help"),
        },
        runs=setting.sizes.start_runs,
    )
    rescanned = _rescans(setting)
    count = setting.sizes.rescan_files
    starts: list[tuple[Cell, ...]] = [
        (name, cost.wall, cost.wall / started[_BARE_PYTHON].wall, cost.children)
        for name, cost in started.items()
    ]
    rescans: list[tuple[Cell, ...]] = [
        (name, cost.wall, count / cost.wall, cost.wall / rescanned[_BARE_WALK].wall)
        for name, cost in rescanned.items()
    ]
    note = f"Medians, runs: {setting.sizes.start_runs}, after one that is not counted"
    return (
        Table(
            title="Start: wall-clock seconds of a fresh process",
            columns=("process", "s", "s / [a]", "CPU s"),
            rows=tuple(starts),
            notes=f"{note}.",
        ),
        Table(
            title=f"Rescan of {count:,} files of which none has changed",
            columns=("", "s", "files/s", "s / [b]"),
            rows=tuple(rescans),
            notes=f"{note}; {_FILES_PER_FOLDER} files in a folder, all in the page cache.",
        ),
    )


def _rescans(setting: Setting) -> dict[str, _Cost]:
    folder = setting.folder / "start"
    music, catalog = folder / "music", folder / "catalog.db"
    files = _dummies(music, setting.sizes.rescan_files)
    make_catalog(catalog, len(files), seed=setting.seed, files=files)

    def rescan(library: Library) -> None:
        summary = index_paths(library, [music])
        if summary.unchanged != len(files):
            raise RuntimeError(f"only {summary.unchanged} of {len(files)} files are unchanged")

    def open_and_rescan() -> None:
        with closing(Library.open_for_writing(catalog)) as library:
            rescan(library)

    runs = setting.sizes.start_runs
    with closing(Library.open_for_writing(catalog)) as library:
        seconds = _medians(
            {
                _BARE_WALK: lambda: _walk(music),
                "scan alone": lambda: list(scan([os.fsencode(music)]).files),
                _RESCAN: lambda: rescan(library),
            },
            runs=runs,
        )
    command = ("-m", "recommender", "index", str(music), "--catalog", str(catalog))
    return seconds | _medians(
        {
            "the same, opened and closed": open_and_rescan,
            "soundalike index, the whole command": lambda: _run(*command),
        },
        runs=runs,
    )


def _dummies(music: Path, count: int) -> list[SeenFile]:
    for number in range(count):
        path = music / f"{number // _FILES_PER_FOLDER:04}" / f"{number:06}.mp3"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"no music")
    return list(scan([os.fsencode(music)]).files)


def _walk(root: Path) -> None:
    for folder, _, names in os.walk(os.fsencode(root)):
        for name in names:
            os.stat(os.path.join(folder, name))  # noqa: PTH116, PTH118 - names are bytes


def _medians(actions: Mapping[str, Callable[[], object]], *, runs: int) -> dict[str, _Cost]:
    """What each action costs, all of them in turn; the first turn is not counted."""
    costs: dict[str, list[_Cost]] = {name: [] for name in actions}
    for _ in range(runs + 1):
        for name, act in actions.items():
            wall, cpu = time.perf_counter(), _children_cpu()
            act()
            costs[name].append(_Cost(time.perf_counter() - wall, _children_cpu() - cpu))
    return {
        name: _Cost(*(median(column) for column in zip(*counted[1:], strict=True)))
        for name, counted in costs.items()
    }


def _children_cpu() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _run(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
