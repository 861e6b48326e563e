"""Files of one indexing run, from the workers into the catalog.

Results are written in the order of the scan, in batches of one transaction each, so that the same
library gets the same ids every time and whatever is reported as done is on disk.
"""

from __future__ import annotations

import logging
import os
import time
from collections import Counter, deque
from concurrent.futures import wait
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from indexer.analysis.pools import AnalysisPool, Outcome, analyse_file
from indexer.catalog import writer
from indexer.catalog.file_queries import SeenFile, embedded_hashes
from indexer.catalog.writer import Stored
from indexer.errors import AnalysisError, OutOfMemory, TimedOut, WorkerDied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pebble import ProcessFuture

    from indexer.analysis.pools import ModelWorker
    from indexer.analysis.sandbox import Job, Limits
    from indexer.analysis.track_analysis import TrackAnalysis
    from indexer.catalog.reader import StoredModel
    from indexer.library import Library

log = logging.getLogger(__name__)

BATCH = 32
"""Files in one transaction at most."""
BATCH_S = 2.0
"""Seconds that a finished analysis waits for its transaction at most."""
AHEAD = 16
"""Files in flight for each worker: enough to keep all busy while one file takes long."""
_AGAIN: dict[type[AnalysisError], str] = {
    TimedOut: " --timeout SECONDS",
    OutOfMemory: " --memory MIB",
    WorkerDied: "",
}


@dataclass(frozen=True)
class Progress:
    """How far a run is: what a progress bar shows."""

    scanned: int = 0
    total: int = 0
    done: int = 0
    failed: int = 0


class Run:
    """The files of one run on their way through the workers into the catalog.

    Parameters
    ----------
    workers : int
        Worker processes; 0 means one for each processor.
    keys : dict of path to key
        The caller's own names for files.
    describe : set of paths
        Files whose recordings are described even where their embeddings are known.
    only_described : set of paths
        Those among them that are otherwise unchanged: they cannot fail.

    Attributes
    ----------
    stored : Counter of Stored
    failed : int
    """

    def __init__(
        self,
        library: Library,
        model: StoredModel,
        *,
        workers: int,
        limits: Limits,
        keys: Mapping[bytes, str],
        describe: frozenset[bytes],
        only_described: frozenset[bytes],
        on_progress: Callable[[Progress], None],
    ) -> None:
        self.stored: Counter[Stored] = Counter()
        self.failed = 0
        self._not_described = 0
        self._library = library
        self._model = model
        self._limits = limits
        self._keys = keys
        self._describe = describe
        self._only_described = only_described
        self._on_progress = on_progress
        self._total = 0
        self._workers = workers or _processors()

    @property
    def done(self) -> int:
        """Files whose outcome is on disk."""
        return self.stored.total() + self.failed + self._not_described

    def go(
        self, files: Sequence[SeenFile], stop: Callable[[], bool], pool: AnalysisPool | None
    ) -> None:
        """Analyse the files and write what comes of them, in their order."""
        self._total = len(files)
        using = pool or AnalysisPool(
            self._model.name,
            self._model.fingerprint,
            workers=min(self._workers, len(files)),
            limits=self._limits,
            known=embedded_hashes(self._library.catalog, self._model.id),
        )
        try:
            unheard = self._pass(using, files, stop, skip_known=True)
            self._pass(using, unheard, stop, skip_known=False)
        finally:
            if pool is None:
                using.close(at_once=True)

    def _pass(
        self,
        pool: AnalysisPool,
        files: Sequence[SeenFile],
        stop: Callable[[], bool],
        *,
        skip_known: bool,
    ) -> list[SeenFile]:
        unheard: list[SeenFile] = []
        batch: list[tuple[SeenFile, Outcome]] = []
        oldest = 0.0
        self._tell()
        for outcome in self._outcomes(pool, files, stop, skip_known=skip_known):
            if outcome is not None:
                oldest = oldest if batch else time.monotonic()
                batch.append(outcome)
            if len(batch) >= BATCH or (batch and time.monotonic() - oldest >= BATCH_S):
                unheard += self._write(batch)
                batch.clear()
        return unheard + self._write(batch)

    def _outcomes(
        self,
        pool: AnalysisPool,
        files: Sequence[SeenFile],
        stop: Callable[[], bool],
        *,
        skip_known: bool,
    ) -> Iterator[tuple[SeenFile, Outcome] | None]:
        """Each file with its outcome, in order; None now and then while one takes long."""
        waiting = deque(files)
        flying: deque[tuple[SeenFile, Job[ModelWorker, TrackAnalysis]]] = deque()
        ahead = AHEAD * self._workers
        while waiting or flying:
            while waiting and len(flying) < ahead:
                file = waiting.popleft()
                analysis = partial(
                    analyse_file,
                    windows=self._model.windows,
                    skip_known=skip_known,
                    describe_known=file.path in self._describe,
                )
                flying.append((file, pool.submit(analysis, file.path)))
            if stop():
                waiting.clear()
                for entry in [entry for entry in flying if not _has_begun(entry[1].future)]:
                    entry[1].future.cancel()
                    flying.remove(entry)
                if not flying:
                    return
            file, job = flying[0]
            if wait([job.future], timeout=0.2).done:
                flying.popleft()
                outcome = pool.result(job)
                yield file, outcome
            else:
                yield None

    def _write(self, batch: Sequence[tuple[SeenFile, Outcome]]) -> list[SeenFile]:
        """One transaction; counted as done only after it is on disk."""
        if not batch:
            return []
        stored: Counter[Stored] = Counter()
        failed = 0
        unheard: list[SeenFile] = []
        with self._library.catalog.writing() as connection:
            for file, outcome in batch:
                if isinstance(outcome, AnalysisError) and file.path in self._only_described:
                    # Its embedding is good: better a track without a tempo than none.
                    log.warning("no tempo, key or loudness of a track: %s", outcome)
                    self._not_described += 1
                    continue
                if isinstance(outcome, AnalysisError):
                    writer.store_failure(connection, file, _with_remedy(outcome))
                    failed += 1
                    continue
                kind = writer.store(connection, self._model, file, outcome)
                if file.path in self._keys and kind is not Stored.UNHEARD:
                    writer.set_key(connection, file.path, self._keys[file.path])
                if kind is Stored.UNHEARD:
                    unheard.append(file)
                else:
                    stored[kind] += 1
        self.stored += stored
        self.failed += failed
        self._tell()
        return unheard

    def _tell(self) -> None:
        self._on_progress(Progress(total=self._total, done=self.done, failed=self.failed))


def _with_remedy(error: AnalysisError) -> AnalysisError:
    """The error, and what `index` can be told to do about it."""
    again = _AGAIN.get(type(error))
    if again is None:
        return error
    return type(error)(
        f"{error}; `soundalike index --retry-failed{again}` tries it again", stage=error.stage
    )


def _processors() -> int:
    """How many processors this process may use, which a container may limit."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _has_begun(future: ProcessFuture[Outcome]) -> bool:
    return future.running() or future.done()
