"""Worker processes that draw outlines of untrusted files, under limits like those of indexing."""

from __future__ import annotations

import resource
import sys
from collections import deque
from concurrent.futures import TimeoutError as FutureTimeout
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pebble import ProcessExpired, ProcessPool

from indexer.errors import AnalysisError, OutOfMemory, TimedOut, WorkerDied, WorkersFailed
from indexer.outlines import hear_outline
from indexer.paths import shown
from indexer.workers import TRIES, Limits, _address_space, _die_with_parent, _WorkerContext

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from pebble import ProcessFuture

Outline: TypeAlias = NDArray[np.float16]
DEFAULT_LIMITS = Limits()
AHEAD = 4
"""Files in flight for each worker."""


class Listeners:
    """Worker processes, started by `with` and ended at once when it is left.

    Parameters
    ----------
    workers : int
        How many processes.
    """

    def __init__(self, workers: int, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self._workers = workers
        self._limits = limits

    def __enter__(self) -> Listeners:
        self._pool = self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.stop()
        self._pool.join()

    def outlines(self, paths: Iterable[bytes]) -> Iterator[Outline | AnalysisError]:
        """Hear files: for each, in order, its outline or why it has none.

        Raises
        ------
        WorkersFailed
            No worker starts.
        """
        waiting = iter(paths)
        running = deque((path, self._submit(path)) for path in islice(waiting, self._ahead))
        while running:
            yield self._result(*running.popleft())
            running.extend((path, self._submit(path)) for path in islice(waiting, 1))

    @property
    def _ahead(self) -> int:
        return AHEAD * self._workers

    def _start(self) -> ProcessPool:
        return ProcessPool(
            max_workers=self._workers,
            context=_WorkerContext(),
            initializer=_begin,
            initargs=(self._limits,),
        )

    def _submit(self, path: bytes) -> ProcessFuture[Outline | AnalysisError]:
        return self._pool.schedule(_hear, args=[path], timeout=self._limits.wall_s)

    def _result(
        self, path: bytes, future: ProcessFuture[Outline | AnalysisError]
    ) -> Outline | AnalysisError:
        for _ in range(TRIES):
            try:
                heard: Outline | AnalysisError = future.result()
            except BrokenProcessPool:
                if not self._pool.active:
                    self._pool = self._start()
                future = self._submit(path)
                continue
            except FutureTimeout:
                message = f"{shown(path)} took longer than {self._limits.wall_s:g} s to hear"
                return TimedOut(message, stage="worker")
            except ProcessExpired:
                return WorkerDied(f"{shown(path)} ended the worker that heard it", stage="worker")
            return heard
        raise WorkersFailed("no worker process starts: is there enough memory for them?")


def _begin(limits: Limits) -> None:
    _die_with_parent()
    if sys.platform == "linux":
        memory = _address_space() + limits.memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (memory, resource.RLIM_INFINITY))


def _hear(path: bytes) -> Outline | AnalysisError:
    try:
        return hear_outline(path)
    except AnalysisError as error:
        return error
    except MemoryError:
        return OutOfMemory(f"{shown(path)} asked for too much memory", stage="decode")
