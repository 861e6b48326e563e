"""What Dask machines cost for the analysis of files, and what a second one brings."""

from __future__ import annotations

import os
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from statistics import median
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np
import psutil

from benchmarks import sounds
from benchmarks.machine import usable_cores
from benchmarks.table import Table
from indexer.analysis.pools import AnalysisPool, read_file_tags
from indexer.analysis.sandbox import DEFAULT_LIMITS
from indexer.audio.tags import Tags
from indexer.catalog.file_queries import SeenFile
from indexer.catalog.storing import Stored
from indexer.indexing.pipeline import Options, index_paths
from indexer.indexing.workers import LocalWorkers
from indexer.library import Library
from indexer.models.registry import DEFAULT_MODEL, model_info

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.setting import Setting
    from indexer.indexing.workers import Workers


_REPEATS = 50
"""How often each file's tags are read."""


@dataclass(frozen=True)
class _Workers:
    """Who analyses: processes here, or those of Dask machines."""

    name: str
    processes: int
    machines: int = 0


@dataclass(frozen=True)
class _Run:
    wall_s: float
    cpu_s: float


_HERE = {processes: _Workers(f"processes here: {processes}", processes) for processes in (1, 2)}
_ALL = (
    *_HERE.values(),
    _Workers("Dask, 1 machine of 1 process", 1, machines=1),
    _Workers("Dask, 1 machine of 2 processes", 2, machines=1),
    _Workers("Dask, 2 machines of 1 process", 2, machines=2),
)


def measure(setting: Setting) -> tuple[Table, ...]:
    """Index runs by processes here, by one machine and by two, in turn; the cost of carrying."""
    sizes = setting.sizes
    folder = setting.folder / "machines"
    songs = folder / "songs"
    songs.mkdir(parents=True)
    frames = sounds.mp3_frames(sounds.load(setting.music, min(sizes.track_s, 60.0)))
    rng = np.random.default_rng(setting.seed)
    for number in range(sizes.machine_files):
        sounds.drawn_mp3(songs / f"{number:03}.mp3", frames, sizes.track_s, rng=rng)
    runs: dict[_Workers, list[_Run]] = {workers: [] for workers in _ALL}
    for number in range(sizes.worker_rounds):
        for workers in _ALL:
            catalog = folder / f"{number}-{workers.processes}-{workers.machines}.db"
            runs[workers].append(_index(songs, catalog, workers, files=sizes.machine_files))
    wall = {workers: [run.wall_s for run in made] for workers, made in runs.items()}
    cpu = {workers: [run.cpu_s for run in made] for workers, made in runs.items()}
    table = Table(
        title=f"Machines: index runs of {sizes.machine_files} MP3s of {sizes.track_s:g} s",
        columns=("", "s", "s / [here]", "s / [1 process]", "CPU s", "CPU / [here]"),
        rows=tuple(
            (
                workers.name,
                median(wall[workers]),
                _ratio(wall[workers], wall[_HERE[workers.processes]]),
                _ratio(wall[workers], wall[_first(workers)]),
                median(cpu[workers]),
                _ratio(cpu[workers], cpu[_HERE[workers.processes]]),
            )
            for workers in _ALL
        ),
        notes=f"Medians, rounds: {sizes.worker_rounds}, all runs in turn, each into a fresh "
        f"catalog, on {usable_cores()} cores that the machines share; a ratio is the median of "
        "those of the rounds.\n"
        "All of index_paths, the start of the processes and their model included; scheduler and "
        "Dask workers run already. CPU: user and system, of all processes of the run, Dask's own "
        "included.\n"
        "[here]: as many processes here. [1 process]: one process of the same kind.",
    )
    return (table, _carrying(songs))


def _carrying(songs: Path) -> Table:
    """CPU that it costs to carry a file to a process and its outcome back, with little to do."""
    files = [
        SeenFile(os.fsencode(path), os.fsencode(songs), status.st_size, status.st_mtime_ns)
        for path in sorted(songs.iterdir())
        for status in (path.stat(),)
    ]
    runs = {}
    for workers in _ALL:
        with _scheduler(workers) as address, closing(_open(workers, songs, address)) as running:
            _carry(running, files[:16])
            began, spent = time.monotonic(), _cpu_s()
            _carry(running, files * _REPEATS)
            runs[workers] = _Run(time.monotonic() - began, _cpu_s() - spent)
    count = len(files) * _REPEATS
    here = {workers.processes: runs[workers] for workers in _HERE.values()}
    return Table(
        title="Machines: what one file costs beside its analysis",
        columns=("", "CPU ms / file", "more than [here]", "ms / file"),
        rows=tuple(
            (
                workers.name,
                1000 * run.cpu_s / count,
                1000 * (run.cpu_s - here[workers.processes].cpu_s) / count,
                1000 * run.wall_s / count,
            )
            for workers, run in runs.items()
        ),
        notes=f"{count} files whose tags are read, nothing else, by processes that run already; "
        "CPU of all processes, Dask's own included. What is more than [here] comes to the analysis "
        "of a file.",
    )


def _open(workers: _Workers, songs: Path, address: str | None) -> Workers[Tags]:
    fingerprint = model_info().fingerprint
    if address is None:
        return LocalWorkers(AnalysisPool(DEFAULT_MODEL, fingerprint, workers=workers.processes))
    from indexer.indexing.dask_machine import Setup
    from indexer.indexing.dask_workers import DaskWorkers

    setup = Setup(
        run=f"soundalike-{uuid4()}",
        version=version("soundalike"),
        model_name=DEFAULT_MODEL,
        fingerprint=fingerprint,
        limits=DEFAULT_LIMITS,
        known=np.empty(0, np.uint64),
        roots=[os.fsencode(songs)],
    )
    return DaskWorkers(address, setup, total=1_000_000)


def _carry(workers: Workers[Tags], files: list[SeenFile]) -> None:
    """Let workers read the tags of files."""
    waiting = iter(files)
    held = done = 0
    while done < len(files):
        some = list(islice(waiting, max(0, workers.capacity - held)))
        workers.submit(read_file_tags, some)
        finished = workers.result(0.2)
        if not all(isinstance(outcome, Tags) for _, outcome in finished):
            raise RuntimeError("the tags of a file were not read")
        held += len(some) - len(finished)
        done += len(finished)


def _first(workers: _Workers) -> _Workers:
    return _ALL[2] if workers.machines else _ALL[0]


def _ratio(seconds: list[float], of: list[float]) -> float:
    return median(one / other for one, other in zip(seconds, of, strict=True))


def _index(songs: Path, catalog: Path, workers: _Workers, *, files: int) -> _Run:
    with (
        _scheduler(workers) as address,
        closing(Library.open_for_writing(catalog, create=True)) as library,
    ):
        options = Options(dask=address, workers=0 if address else workers.processes)
        began, spent = time.monotonic(), _cpu_s()
        summary = index_paths(library, [songs], options=options)
        run = _Run(time.monotonic() - began, _cpu_s() - spent)
    if summary.stored[Stored.NEW] != files:
        raise RuntimeError(f"{summary.failed} files failed, {summary.waiting} were left")
    return run


def _cpu_s() -> float:
    """CPU seconds of this process and all below it, those that have ended included."""
    this = psutil.Process()
    # user, system, and the same of children that have ended
    return sum(sum(process.cpu_times()[:4]) for process in (this, *this.children(recursive=True)))


@contextmanager
def _scheduler(workers: _Workers) -> Iterator[str | None]:
    """Address of a scheduler with Dask workers, each a process with a nanny; None without any."""
    if not workers.machines:
        yield None
        return
    import dask
    from distributed import LocalCluster

    with (
        dask.config.set({"distributed.worker.daemon": False}),
        LocalCluster(
            n_workers=workers.machines,
            threads_per_worker=workers.processes // workers.machines,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
        ) as cluster,
    ):
        yield cluster.scheduler_address
