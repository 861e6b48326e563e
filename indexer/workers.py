"""Worker processes that analyse untrusted files under limits of memory, CPU and wall time.

A file that makes its worker die, hang or ask for too much costs that file only: it is answered
with an `AnalysisError` and the others go on.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
import time
import types
from concurrent.futures import TimeoutError as FutureTimeout
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import TYPE_CHECKING, TypeAlias

from pebble import ProcessExpired, ProcessPool

from indexer.analysis import DEFAULT_WINDOWS, TrackAnalysis, analyse
from indexer.errors import AnalysisError, ModelMismatch, TimedOut, WorkerDied, WorkersFailed
from indexer.model import Model, load_model
from indexer.paths import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray
    from pebble import ProcessFuture


Outcome: TypeAlias = TrackAnalysis | AnalysisError

TRIES = 3
"""How often a task is given to a new pool when the pool itself has broken."""


@dataclass(frozen=True)
class Limits:
    """What one file may cost a worker.

    Attributes
    ----------
    wall_s : float
        Seconds from start to answer.
    cpu_s : int
        CPU seconds of the worker process.
    memory_bytes : int
        Address space beyond what the worker holds when its model is loaded.
    """

    wall_s: float = 300.0
    cpu_s: int = 240
    memory_bytes: int = 1 << 30


@dataclass(frozen=True)
class Task:
    """A file to analyse: whether recordings heard before may be skipped, or only described."""

    path: bytes
    windows: int = DEFAULT_WINDOWS
    skip_known: bool = True
    describe_known: bool = False


class AnalysisPool:
    """Worker processes with a model each, started with the first task and kept until `close`.

    Parameters
    ----------
    model_name : str
        The model every worker loads.
    fingerprint : str
        What the model's fingerprint must be; a worker refuses another one.
    workers : int
        How many processes.
    known : uint64 (n,), sorted
        First 8 bytes of the hashes of recordings that need not be heard again.
    """

    def __init__(
        self,
        model_name: str,
        fingerprint: str,
        *,
        workers: int = 1,
        limits: Limits = Limits(),
        known: NDArray[np.uint64] | None = None,
    ) -> None:
        self._limits = limits
        self._workers = workers
        self._initargs = (model_name, fingerprint, limits, known)
        self._pool = self._start()

    def _start(self) -> ProcessPool:
        return ProcessPool(
            max_workers=self._workers,
            context=_WorkerContext(),
            initializer=_start_worker,
            initargs=self._initargs,
        )

    def submit(self, task: Task) -> ProcessFuture[Outcome]:
        """Queue a file; give the future to `result`."""
        return self._pool.schedule(_work, args=[task], timeout=self._limits.wall_s)

    def result(self, task: Task, future: ProcessFuture[Outcome]) -> Outcome:
        """Wait for the answer of a submitted task. Nothing that a file does is raised here.

        Raises
        ------
        WorkersFailed
            No worker starts.
        """
        for _ in range(TRIES):
            try:
                answer: Outcome = future.result()
            except BrokenProcessPool:
                # A worker was killed between two files, or while it started: pebble gives up the
                # pool and every task in it, none of which is to blame.
                if not self._pool.active:
                    self._pool = self._start()
                future = self.submit(task)
                continue
            except FutureTimeout:
                return TimedOut(
                    f"{shown(task.path)} took longer than {self._limits.wall_s:g} s: it may be "
                    "damaged, or raise the limit with --timeout",
                    stage="worker",
                )
            except ProcessExpired as error:
                return WorkerDied(
                    f"{shown(task.path)} ended its worker ({_death(error.exitcode)}): it is "
                    "damaged, or try again with --retry-failed",
                    stage="worker",
                )
            return answer
        raise WorkersFailed(
            "no worker process starts: is there enough memory for them? (`--workers 1` takes least)"
        )

    def close(self, *, at_once: bool = False) -> None:
        """End the workers, after their queue is done or at once."""
        if at_once:
            self._pool.stop()
        else:
            self._pool.close()
        self._pool.join()


@dataclass(frozen=True)
class _Worker:
    model: Model
    limits: Limits
    known: NDArray[np.uint64] | None


_workers: list[_Worker] = []
"""In a worker process: the one set of things its initializer has loaded."""


def _start_worker(
    model_name: str, fingerprint: str, limits: Limits, known: NDArray[np.uint64] | None
) -> None:
    import torch

    _die_with_parent()
    torch.set_num_threads(1)
    model = load_model(model_name)
    if model.info.fingerprint != fingerprint:
        raise ModelMismatch(f"the model {model_name} on this machine is not the catalog's")
    if sys.platform == "linux":
        memory = _address_space() + limits.memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (memory, resource.RLIM_INFINITY))
    _workers[:] = [_Worker(model, limits, known)]


def _work(task: Task) -> Outcome:
    (worker,) = _workers
    spent = resource.getrusage(resource.RUSAGE_SELF)
    cpu = int(spent.ru_utime + spent.ru_stime) + worker.limits.cpu_s
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, resource.RLIM_INFINITY))
    try:
        return analyse(
            task.path,
            worker.model,
            windows=task.windows,
            skip_if=worker_knows if task.skip_known else None,
            describe_skipped=task.describe_known,
        )
    except AnalysisError as error:
        return error


def worker_knows(audio_hash: bytes) -> bool:
    """Whether this worker was told that a recording is in the catalog already."""
    import numpy as np

    known = _workers[0].known
    if known is None or len(known) == 0:
        return False
    prefix = np.uint64(int.from_bytes(audio_hash[:8], "big"))
    place = int(np.searchsorted(known, prefix))
    return place < len(known) and bool(known[place] == prefix)


def _address_space() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def _die_with_parent() -> None:
    """Leave when the process that started us is gone, however it went."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _death(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return signal.Signals(-exit_code).name
    return f"exit status {exit_code}"


class _WorkerProcess(SpawnProcess):
    """A process that neither runs the caller's script again nor hears its Ctrl-C."""

    def start(self) -> None:
        """Start with the caller's `__main__` out of sight and SIGINT blocked."""
        with _without_main(), _without_interrupts():
            super().start()


class _WorkerContext(SpawnContext):
    Process = _WorkerProcess


@contextmanager
def _without_main() -> Iterator[None]:
    # A spawned child imports the parent's script to find its functions. Ours are importable, and
    # a script without `if __name__ == "__main__"` would start itself again and again.
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _without_interrupts() -> Iterator[None]:
    # The mask of this thread is inherited; a terminal's Ctrl-C then reaches the parent only.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
