"""Worker processes that open untrusted files under limits of memory, CPU and wall time.

A file that makes its worker die, hang or ask for too much costs that file only: its outcome is an
`AnalysisError`, and the others go on. What a worker does with a file is a function that is
submitted with it.
"""

from __future__ import annotations

import logging
import math
import multiprocessing
import os
import resource
import signal
import sys
import threading
import types
from collections import deque
from concurrent.futures import CancelledError, Future, wait
from concurrent.futures import TimeoutError as FutureTimeout
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from pebble import ProcessExpired, ProcessPool

from indexer.errors import (
    AnalysisError,
    InvalidOption,
    OutOfMemory,
    TimedOut,
    Unforeseen,
    WorkerDied,
    WorkersFailed,
)
from indexer.filesystem import display_path, is_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

    from indexer.analysis.fetching import Fetcher

log = logging.getLogger(__name__)

State = TypeVar("State")
Result = TypeVar("Result")

TRIES = 3
"""How often a file is given to a new pool when the pool itself has broken."""
AHEAD = 4
"""Files that `Sandbox.map` keeps in flight for each worker."""
FETCHED_AHEAD = 4
"""Files by URL that are fetched while all workers are busy, at least."""
_POLL_S = 0.2


@dataclass(frozen=True)
class Limits:
    """Limits of what one file may cost a worker.

    Attributes
    ----------
    wall_s : float
        Seconds from start to outcome.
    cpu_s : int
        CPU seconds of the worker process.
    memory_bytes : int
        Address space beyond what the worker holds when it is prepared.
    """

    wall_s: float = 300.0
    cpu_s: int = 240
    memory_bytes: int = 1 << 30


DEFAULT_LIMITS = Limits()


def processors() -> int:
    """Number of processors this process may use, which a container may limit."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def worker_count(wanted: int, files: int) -> int:
    """Worker processes for some files: as many as are wanted, or for 0 one a processor.

    At least one, and no more than files.

    Raises
    ------
    InvalidOption
        A negative number is wanted.
    """
    if wanted < 0:
        raise InvalidOption(f"{wanted} workers: name 1 or more, or 0 for one a processor")
    return max(1, min(wanted or processors(), files))


@dataclass(frozen=True, eq=False)
class Job(Generic[State, Result]):
    """A file given to a sandbox, and the function that is applied to it there.

    Attributes
    ----------
    pool : ProcessPool or None
        Which has it; None while it is fetched by its URL.
    """

    work: Callable[[State, bytes], Result]
    path: bytes
    future: Future[Result | AnalysisError]
    pool: ProcessPool | None

    @property
    def is_lost(self) -> bool:
        """Whether its pool has broken and left it: pebble ends the tasks that it has begun with."""
        return not (self.pool is None or self.pool.active or self.future.done())


class Sandbox(Generic[State]):
    """Worker processes, started with the first file and kept until `close`.

    Also a context manager that ends the workers at once. Several threads may use one.

    Every task is a function of what `prepare` returned in the worker and of the path of a file. It
    returns plain data and raises `AnalysisError` for what is wrong with the file. It must be
    importable, as must `prepare`; options are bound with `functools.partial`.

    Parameters
    ----------
    prepare : function
        Called once in each worker, before the limit of memory holds.
    workers : int
        How many processes; an attribute, too.
    """

    def __init__(
        self,
        prepare: Callable[[], State],
        *,
        workers: int = 1,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._prepare = prepare
        self.workers = workers
        self._limits = limits
        self._fetcher: Fetcher | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._pool = self._start()

    def _start(self) -> ProcessPool:
        return ProcessPool(
            max_workers=self.workers,
            context=WorkerContext(),
            initializer=_start_worker,
            initargs=(self._prepare, self._limits),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(at_once=True)

    def submit(self, work: Callable[[State, bytes], Result], path: bytes) -> Job[State, Result]:
        """Queue a file, by path or by URL, and return its job, for `result`.

        Raises
        ------
        CancelledError
            The sandbox is closed.
        WorkersFailed
            No worker starts.
        """
        if is_url(path):
            fetched = self._fetching().submit(partial(self._work_on, work), path)
            return Job(work, path, fetched, None)
        arguments = [work, self._limits.cpu_s, path]
        with self._lock:
            for _ in range(TRIES):
                if self._closed:
                    raise CancelledError
                try:
                    future = self._pool.schedule(_run_task, arguments, timeout=self._limits.wall_s)
                except RuntimeError:  # It has broken, or no process of it starts.
                    self._pool = self._start()
                else:
                    return Job(work, path, future, self._pool)
        raise self._no_worker_starts()

    def _fetching(self) -> Fetcher:
        """What fetches files by URL for the workers."""
        from indexer.analysis.fetching import Fetcher

        with self._lock:
            if self._fetcher is None:
                threads = self.workers + max(self.workers, FETCHED_AHEAD)
                self._fetcher = Fetcher(threads=threads, timeout_s=self._limits.wall_s)
            return self._fetcher

    def _work_on(
        self, work: Callable[[State, bytes], Result], path: bytes
    ) -> Result | AnalysisError:
        """The outcome of a file that was fetched."""
        job = self.submit(work, path)
        while not (wait([job.future], _POLL_S).done or job.is_lost):
            if self._fetcher is not None and self._fetcher.stopped:
                job.future.cancel()
                raise CancelledError
        return self.result(job)

    def result(self, job: Job[State, Result]) -> Result | AnalysisError:
        """Wait for the outcome of a job; what is wrong with its file is returned.

        Raises
        ------
        WorkersFailed
            No worker starts.
        """
        for _ in range(TRIES):
            try:
                outcome = _outcome(job)
            except BrokenProcessPool:
                # A worker was killed between two files, or while it started: pebble gives up the
                # pool and every task in it, none of which is to blame.
                job = self.submit(job.work, job.path)
                continue
            except FutureTimeout:
                return TimedOut(
                    f"{display_path(job.path)} took longer than {self._limits.wall_s:g} s: "
                    "it may be damaged, "
                    "or cut it shorter",
                    stage="worker",
                )
            except ProcessExpired as error:
                return WorkerDied(
                    f"{display_path(job.path)} ended its worker ({_exit_reason(error.exitcode)}): "
                    "it may be damaged",
                    stage="worker",
                )
            if isinstance(outcome, Unforeseen):
                log.debug("%s", outcome, exc_info=outcome)
            return outcome
        raise self._no_worker_starts()

    def _no_worker_starts(self) -> WorkersFailed:
        least = " (`--workers 1` takes least)" if self.workers > 1 else ""
        return WorkersFailed(f"no worker process starts: is there enough memory for them?{least}")

    def run(self, work: Callable[[State, bytes], Result], path: bytes) -> Result:
        """Apply a task to one file and wait for what it returns.

        Raises
        ------
        AnalysisError
            What is wrong with the file.
        WorkersFailed
            No worker starts.
        """
        outcome = self.result(self.submit(work, path))
        if isinstance(outcome, AnalysisError):
            raise outcome
        return outcome

    def map(
        self, work: Callable[[State, bytes], Result], paths: Iterable[bytes]
    ) -> Iterator[Result | AnalysisError]:
        """Apply a task to files: the outcome of each, in their order.

        Raises
        ------
        WorkersFailed
            No worker starts.
        """
        waiting = iter(paths)
        running = deque(self.submit(work, path) for path in islice(waiting, AHEAD * self.workers))
        try:
            while running:
                outcome = self.result(running[0])
                yield outcome
                running.popleft()
                running.extend(self.submit(work, path) for path in islice(waiting, 1))
        finally:
            for job in running:
                job.future.cancel()

    def close(self, *, at_once: bool = False) -> None:
        """End the workers, after their queue is done or at once."""
        self._closed = True
        if self._fetcher is not None:
            self._fetcher.close(at_once=at_once)
        if at_once:
            self._pool.stop()
        else:
            self._pool.close()
        self._pool.join()


def _outcome(job: Job[Any, Result]) -> Result | AnalysisError:
    """What became of a job, waited for."""
    while not wait([job.future], _POLL_S).done:
        if job.is_lost:
            raise BrokenProcessPool
    return job.future.result()


_state: list[Any] = []
"""In a worker process: what `prepare` returned, alone in the list."""


def _start_worker(prepare: Callable[[], object], limits: Limits) -> None:
    die_with_parent()
    _state[:] = [prepare()]
    if sys.platform == "linux":
        memory = _address_space() + limits.memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (memory, resource.RLIM_INFINITY))


def _run_task(
    work: Callable[[Any, bytes], Result], cpu_s: int, path: bytes
) -> Result | AnalysisError:
    spent = resource.getrusage(resource.RUSAGE_SELF)
    cpu = math.ceil(spent.ru_utime + spent.ru_stime) + cpu_s
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, resource.RLIM_INFINITY))
    try:
        return work(_state[0], path)
    except AnalysisError as error:
        return error
    except MemoryError:
        return OutOfMemory(
            f"{display_path(path)} asked for more memory than a worker may have: it may be damaged",
            stage="worker",
        )
    except Exception as error:  # noqa: BLE001 - one file must not end a run
        unforeseen = Unforeseen.of(error, display_path(path), stage="worker")
        unforeseen.__cause__ = error
        return unforeseen


def _address_space() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def die_with_parent() -> None:
    """Exit as soon as the process that started this one is gone, or if it is gone already.

    Not by PR_SET_PDEATHSIG: that is sent when the thread ends that started the worker.
    """
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _exit_reason(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return signal.Signals(-exit_code).name
    return f"exit status {exit_code}"


class _WorkerProcess(SpawnProcess):
    """A process that neither runs the caller's script again nor gets its Ctrl-C."""

    def start(self) -> None:
        """Start with the caller's `__main__` out of sight and SIGINT blocked."""
        with _without_main(), _without_interrupts():
            super().start()


class WorkerContext(SpawnContext):
    """Starts processes that import nothing of the caller's script and do not get its Ctrl-C."""

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
