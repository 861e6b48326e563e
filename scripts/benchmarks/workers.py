"""What a second worker process brings."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from benchmarks import lone, sounds
from benchmarks.machine import usable_cores
from benchmarks.table import Table
from indexer.analysis.pools import AnalysisPool
from indexer.catalog.storing import Stored
from indexer.indexing.pipeline import Options, index_paths
from indexer.library import Library
from indexer.models.registry import DEFAULT_MODEL, model_info

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.setting import Setting
    from indexer.analysis.pools import ModelWorker
    from indexer.analysis.sandbox import Job
    from indexer.analysis.sandbox import Result as Returned

_RUN_IN = 3


class _TimedPool(AnalysisPool):
    """Remembers when each file was done; its processes start with the first file."""

    def __init__(self, workers: int) -> None:
        super().__init__(DEFAULT_MODEL, model_info().fingerprint, workers=workers)
        self.done_at: list[float] = []

    def submit(
        self, work: Callable[[ModelWorker, bytes], Returned], path: bytes
    ) -> Job[ModelWorker, Returned]:
        """As any pool, and look at the clock when it is done."""
        job = super().submit(work, path)
        job.future.add_done_callback(lambda _future: self.done_at.append(time.monotonic()))
        return job


@dataclass(frozen=True)
class _Run:
    """Tracks a second of a whole run, and once all workers run; seconds to the first file."""

    whole: float
    running: float
    start_s: float


def measure(setting: Setting) -> tuple[Table, ...]:
    """Tracks a second of index runs with one and with two workers, in turn."""
    sizes = setting.sizes
    folder = setting.folder / "workers"
    files = _songs(folder / "songs", setting)
    some = files[: max(1, len(files) // 4)]
    runs: dict[int, list[_Run]] = {1: [], 2: []}
    alone: dict[int, list[float]] = {1: [], 2: []}
    for number in range(sizes.worker_rounds):
        for workers in (1, 2):
            catalog = folder / f"{number}-{workers}.db"
            runs[workers].append(_index(files[0].parent, catalog, workers=workers))
            costs = lone.analyse_files(files[0], *some, processes=workers)
            alone[workers].append(sum(len(some) / cost["wall_s"] for cost in costs))
    running = {workers: [run.running for run in made] for workers, made in runs.items()}
    whole = {workers: [run.whole for run in made] for workers, made in runs.items()}
    starts = [median(run.start_s for run in made) for made in runs.values()]
    table = Table(
        title=f"Workers: tracks a second (MP3s of {sizes.track_s:g} s, 12 windows)",
        columns=("", "1 worker", "2 workers", "speed-up"),
        rows=(
            ("index run, once all workers run", *_speed_up(running)),
            ("index run, start of workers included", *_speed_up(whole)),
            ("[a] processes that know nothing of each other", *_speed_up(alone)),
        ),
        notes=f"Medians, runs: {sizes.worker_rounds}, of {len(files)} files into a fresh catalog "
        f"each, one and two workers in turn, on {usable_cores()} cores; the speed-up is the "
        "median of those of the rounds.\n"
        f"Once all workers run: from the moment when {_RUN_IN} files a worker are done to the last "
        "file. Included: all of index_paths, from the scan to the index file.\n"
        f"The first file was done {starts[0]:.1f} s after the call with one worker, "
        f"{starts[1]:.1f} s with two (processes, imports, model).\n"
        "[a] is what this machine gives at this hour to one and to two processes that each analyse "
        f"{len(some)} of the files; an index run cannot do better.",
    )
    return (table,)


def _songs(folder: Path, setting: Setting) -> list[Path]:
    folder.mkdir(parents=True)
    seconds = setting.sizes.track_s
    frames = sounds.mp3_frames(sounds.load(setting.music, min(seconds, 60.0)))
    rng = np.random.default_rng(setting.seed)
    return [
        sounds.drawn_mp3(folder / f"{number:03}.mp3", frames, seconds, rng=rng)
        for number in range(setting.sizes.worker_files)
    ]


def _speed_up(rates: dict[int, list[float]]) -> tuple[float, float, float]:
    gain = median(two / one for one, two in zip(rates[1], rates[2], strict=True))
    return median(rates[1]), median(rates[2]), gain


def _index(songs: Path, catalog: Path, *, workers: int) -> _Run:
    with closing(Library.open_for_writing(catalog, create=True)) as library:
        pool = _TimedPool(workers)
        began = time.monotonic()
        try:
            summary = index_paths(library, [songs], options=Options(workers=workers), pool=pool)
        finally:
            pool.close(at_once=True)
        whole = time.monotonic() - began
    count = summary.stored[Stored.NEW]
    if summary.failed or count != len(pool.done_at):
        raise RuntimeError(f"{summary.failed} of {len(pool.done_at)} files failed to be indexed")
    run_in = min(_RUN_IN * workers, count - 1)
    running = (count - run_in) / (pool.done_at[-1] - pool.done_at[run_in - 1])
    return _Run(count / whole, running, pool.done_at[0] - began)
