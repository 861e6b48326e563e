"""A reader that is asked without pause while a writer adds and removes tracks.

What was alive at each change number is kept by whoever drives the writer; the answers of the reader
are compared afterwards with an exact scan of what was alive at the change that it had seen.
"""

from __future__ import annotations

import shutil
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.asked import Asked
from benchmarks.asking import K
from benchmarks.catalogs import write_catalog
from benchmarks.table import Cell, Table
from indexer.vectors.half_precision import to_half

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from numpy.random import Generator
    from numpy.typing import NDArray

    from benchmarks.made_up import MadeUp

NEVER = np.iinfo(np.int64).max
_BASES = (".faiss", ".vectors", ".base", ".facets")
"""Endings of files beside a catalog that are replaced as it changes."""
_REMOVED_AT_A_TIME = 500
_BLOCK = 20_000
_TIES = 1e-5
"""Cosines that differ by less are equal: a float32 sum depends on the order of its terms."""


@dataclass(frozen=True)
class Load:
    """What happens while the reader is asked.

    Attributes
    ----------
    add, remove : int
        Tracks to be added and removed, evenly over the time.
    batch : int
        Tracks added in one transaction.
    alone_s, seconds : float
        How long the reader is asked before the writer begins, and with it.
    settle_s : float
        How long it is asked afterwards.
    """

    add: int
    remove: int
    batch: int
    alone_s: float
    seconds: float
    settle_s: float


@dataclass
class Truth:
    """Which vectors are alive at each change number.

    Attributes
    ----------
    vectors : float16 (n, dim)
        Of the tracks with the ids 1 to n.
    since, until : int64 (n,)
        A track is alive at the changes from `since` on, before `until`.
    """

    vectors: NDArray[np.float16]
    since: NDArray[np.int64]
    until: NDArray[np.int64]

    @classmethod
    def of(cls, vectors: NDArray[np.float16], more: NDArray[np.float16]) -> Truth:
        """Vectors that are alive from the start, and more that are to come."""
        both = np.concatenate([vectors, more])
        since = np.full(len(both), NEVER)
        since[: len(vectors)] = 0
        return cls(both, since, np.full(len(both), NEVER))

    def alive(self, rows: slice, changes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each row is alive at each change, (changes, rows)."""
        at = changes[:, None]
        return (self.since[rows] <= at) & (at < self.until[rows])


@dataclass
class Judged:
    """Answers beside an exact scan.

    Attributes
    ----------
    recalls : float64 (n,)
        Of each sample, the part of the `K` nearest that it holds.
    wrong : list of str
        Samples that hold a track that was not alive, or too few.
    """

    recalls: NDArray[np.float64]
    wrong: list[str] = field(default_factory=list)


def judge(
    truth: Truth, seeds: NDArray[np.int64], changes: NDArray[np.int64], answers: NDArray[np.int64]
) -> Judged:
    """Compare answers (n, K), ids, -1 for none, to seeds (n,) at changes (n,) with exact scans."""
    queries = _unit(truth.vectors[seeds - 1])
    asked, which = np.unique(np.stack([seeds, changes], axis=1), axis=0, return_inverse=True)
    best = _highest(truth, asked[:, 0], asked[:, 1])[which.reshape(-1)]
    judged = Judged(np.zeros(len(seeds)))
    for number, (query, change, answer) in enumerate(zip(queries, changes, answers, strict=True)):
        rows = answer[answer > 0] - 1
        dead = (truth.since[rows] > change) | (truth.until[rows] <= change)
        there = int((best[number] > -2.0).sum())
        if dead.any() or len(rows) != min(K, there) or len(np.unique(rows)) != len(rows):
            found = (rows + 1).tolist()
            judged.wrong.append(f"at change {change}, seed {seeds[number]}: {found}")
        cosines = _unit(truth.vectors[np.sort(rows)]) @ query
        least = best[number][K - there] if there else 0.0
        judged.recalls[number] = (cosines >= least - _TIES).sum() / max(1, min(K, there))
    return judged


def _highest(
    truth: Truth, seeds: NDArray[np.int64], changes: NDArray[np.int64]
) -> NDArray[np.float32]:
    """The `K` highest cosines (n, K), ascending, of what is alive; -2 for none."""
    queries = _unit(truth.vectors[seeds - 1])
    best = np.full((len(seeds), K), -2.0, np.float32)
    for start in range(0, len(truth.vectors), _BLOCK):
        rows = slice(start, start + _BLOCK)
        products = queries @ _unit(truth.vectors[rows]).T
        products[~truth.alive(rows, changes)] = -2.0
        best = np.partition(np.hstack([best, products]), -K, axis=1)[:, -K:]
    return np.sort(best, axis=1)


def _unit(half: NDArray[np.float16]) -> NDArray[np.float32]:
    rows = half.astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@dataclass(frozen=True)
class Outcome:
    """What a reader answered while its catalog changed.

    Attributes
    ----------
    table : Table
    wrong : tuple of str
        Answers that held a track which was not alive, or too few tracks.
    bases : int
        How many times a file beside the catalog was replaced.
    recall : float
        Mean over all samples.
    """

    table: Table
    wrong: tuple[str, ...]
    bases: int
    recall: float


def measure(
    folder: Path, library: MadeUp, load: Load, *, seed: int, source: Path | None = None
) -> Outcome:
    """Latencies, memory and recall of a reader while a catalog changes under it.

    Parameters
    ----------
    folder : Path
        A new folder for the catalog.
    source : Path, optional
        The library's catalog, to be copied; by default it is made.
    """
    catalog = folder / "catalog.db"
    if source is None:
        folder.mkdir(parents=True)
        write_catalog(catalog, library, seed=seed)
    else:
        shutil.copytree(source.parent, folder)
    count = len(library)
    rng = np.random.default_rng([seed, 9])
    truth = Truth.of(np.asarray(library.vectors), _newcomers(library, load.add, rng))
    leaving = np.sort(rng.permutation(count)[: load.remove]) + 1
    staying = np.setdiff1d(np.arange(1, count + 1), leaving)
    np.save(folder / "seeds.npy", rng.permutation(staying)[:50_000])
    files = {"seeds": str(folder / "seeds.npy"), "record": str(folder / "record.npz")}
    both = [Asked("benchmarks.asking", catalog) for _ in range(2)]
    with both[0] as reader, both[1] as writer:
        reader.ask("load")
        reader.ask("open")
        reader.ask("similar", ids=staying[:20].tolist())
        whole_s = load.alone_s + load.seconds + load.settle_s
        with Watch(catalog, (reader.pid, writer.pid)) as watch:
            reader.send("without_pause", seconds=whole_s, **files)
            time.sleep(load.alone_s)
            begun = time.monotonic()
            writer.ask("hold")
            _change(writer, truth, count, leaving, load)
            ended = time.monotonic()
            memory = {"reader": reader.receive(), "writer": writer.ask("memory")}
    found = np.load(files["record"])
    judged = judge(truth, found["sampled"], found["changes"], found["answers"])
    table = _table(count, load, (begun, ended), watch, found, judged, memory)
    mean = float(judged.recalls.mean())
    return Outcome(table, tuple(judged.wrong), len(watch.replaced), mean)


class Watch:
    """Looks, while it is entered, for child processes of some and for files that are replaced.

    Attributes
    ----------
    training : list of (float, float)
        From when to when there were child processes: bases are trained in them.
    replaced : list of float
        When a file beside the catalog had become another one.
    """

    def __init__(self, catalog: Path, parents: Sequence[int]) -> None:
        self.training: list[tuple[float, float]] = []
        self.replaced: list[float] = []
        self._catalog, self._parents = catalog, parents
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ending.set()
        self._thread.join()

    def _look(self) -> None:
        began: float | None = None
        files = self._files()
        while not self._ending.wait(0.05):
            now = time.monotonic()
            busy = any(children(parent) for parent in self._parents)
            if busy and began is None:
                began = now
            elif not busy and began is not None:
                self.training.append((began, now))
                began = None
            if (found := self._files()) != files:
                self.replaced.append(now)
                files = found
        if began is not None:
            self.training.append((began, time.monotonic()))

    def _files(self) -> dict[str, int]:
        found = {}
        for path in self._catalog.parent.glob(f"{self._catalog.stem}.*"):
            with suppress(OSError):
                if path.suffix in _BASES:
                    found[path.name] = path.stat().st_ino
        return found


def children(process: int) -> list[int]:
    """Processes that a process has started and that are there still."""
    found: list[int] = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, task.read_text(encoding="ascii").split())
    return [process for process in found if not _has_ended(process)]


def _has_ended(process: int) -> bool:
    """Whether a process has ended, if only its parent has not been told yet."""
    try:
        status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True
    return status.rpartition(")")[2].split()[0] == "Z"


def _newcomers(library: MadeUp, count: int, rng: Generator) -> NDArray[np.float16]:
    """Vectors near those of the library, (count, dim)."""
    like = library.vectors[np.sort(rng.integers(0, len(library), count))].astype(np.float32)
    noise = rng.standard_normal(like.shape, np.float32) * np.float32(0.6 / np.sqrt(like.shape[1]))
    return to_half(like + noise)


def _change(
    writer: Asked, truth: Truth, count: int, leaving: NDArray[np.int64], load: Load
) -> None:
    """Add and remove tracks evenly over the time, and keep what was alive when."""
    began = time.monotonic()
    added = removed = 0
    while added < load.add or removed < len(leaving):
        part = min(1.0, (time.monotonic() - began) / load.seconds)
        if added < load.add and added <= part * load.add:
            rows = slice(count + added, min(count + added + load.batch, count + load.add))
            names = [f"newcomer {row}" for row in range(rows.start, rows.stop)]
            answer = writer.ask("more", vectors=truth.vectors[rows].tolist(), names=names)
            if answer["first"] != rows.start + 1:
                raise RuntimeError(f"the first of a batch has the id {answer['first']}")
            truth.since[rows] = answer["change"]
            added += len(names)
        elif removed < len(leaving) and removed <= part * len(leaving):
            gone = leaving[removed : removed + _REMOVED_AT_A_TIME]
            truth.until[gone - 1] = writer.ask("fewer", ids=gone.tolist())["change"]
            removed += len(gone)
        else:
            time.sleep(0.02)


def _table(
    count: int,
    load: Load,
    writing: tuple[float, float],
    watch: Watch,
    found: Mapping[str, NDArray[Any]],
    judged: Judged,
    memory: Mapping[str, Mapping[str, float]],
) -> Table:
    begins, milliseconds = found["at"], found["ms"]
    # A question that began or ended within a training counts there.
    ends = begins + milliseconds / 1e3
    trained = np.zeros(len(begins), np.bool_)
    for start, end in watch.training:
        trained |= (ends >= start) & (begins <= end)
    written = (ends >= writing[0]) & (begins <= writing[1])
    phases = {
        "before the writer begins": ends < writing[0],
        "while it writes": written & ~trained,
        "while a base is made": trained,
        "afterwards": ~written & ~trained & (begins > writing[1]),
    }
    rows: list[tuple[Cell, ...]] = []
    for name, within in phases.items():
        times = milliseconds[within]
        if len(times):
            p50, p99 = np.percentile(times, [50, 99]).tolist()
            rows.append((name, len(times), p50, p99, float(times.max())))
    parts = [
        f"{name}: RSS {of['rss']:,.0f}, private {of['private']:,.0f}, shared {of['shared']:,.0f}"
        for name, of in memory.items()
    ]
    made = ", ".join(f"{end - start:.1f} s" for start, end in watch.training) or "none"
    recalls = judged.recalls
    return Table(
        title=f"A reader of {count:,} tracks asked without pause; milliseconds of similar_to_track",
        columns=("", "questions", "p50", "p99", "worst"),
        rows=tuple(rows),
        notes=f"{load.add:,} tracks added, {load.batch} at a time, and {load.remove:,} removed in "
        f"{writing[1] - writing[0]:,.0f} s. Child processes that made a base: {made}; files "
        f"replaced: {len(watch.replaced)}.\n"
        f"Recall@{K} against an exact scan of what was alive at the change that the reader had "
        f"seen: mean {recalls.mean():.4f}, least {recalls.min():.2f}, of {len(recalls)} questions, "
        f"one a second; wrong answers: {len(judged.wrong)}.\n"
        f"Memory at the end, MB, imports and all: {'; '.join(parts)}.",
    )
