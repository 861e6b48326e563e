"""The indexing pipeline: scan -> worker processes -> one writer.

Results are written in the order of the scan, in batches of one transaction each, so that the same
library gets the same ids every time and whatever is reported as done is on disk.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections import Counter, deque
from concurrent.futures import wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from indexer import catalog_writer as writer
from indexer import known_files
from indexer.analysis import DEFAULT_WINDOWS
from indexer.catalog_writer import SeenFile, Stored
from indexer.errors import (
    AnalysisError,
    InvalidOption,
    LibraryUnreachable,
    ModelMismatch,
    OutOfMemory,
    TimedOut,
    WorkerDied,
)
from indexer.model import DEFAULT_MODEL, model_info, ready_model
from indexer.paths import inside, settled, shown
from indexer.sandbox import Limits
from indexer.scan import Plan, plan, scan
from indexer.track_status import TrackStatus
from indexer.workers import AnalysisPool, Outcome, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pebble import ProcessFuture

    from indexer.catalog import StoredModel
    from indexer.checkpoint import ModelInfo
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
class Options:
    """How a run goes about it.

    Attributes
    ----------
    model : str or None
        Name of the model; None takes the catalog's own, or the default for a new catalog.
    windows : int or None
        Windows heard per track, `ALL_WINDOWS` for all of it; None takes the catalog's own number.
    workers : int
        Worker processes; 0 means one for each processor.
    stop_after_s : float or None
        Start no more files after this many seconds.
    """

    model: str | None = None
    windows: int | None = None
    workers: int = 0
    limits: Limits = field(default_factory=Limits)
    retry_failed: bool = False
    empty_is_gone: bool = False
    stop_after_s: float | None = None


@dataclass(frozen=True)
class Progress:
    """How far a run is: what a progress bar shows."""

    scanned: int = 0
    total: int = 0
    done: int = 0
    failed: int = 0


@dataclass(frozen=True)
class Summary:
    """What a run has done.

    Attributes
    ----------
    stored : Counter of Stored
    failed : int
        Files that failed in this run.
    missing : int
        Tracks whose file has vanished and was not found elsewhere.
    waiting : int
        Files left for the next run, because this one was told to stop.
    left_alone : dict of bytes to int
        Folders out of reach or empty, with the number of tracks known in them.
    other_windows : int or None
        If this run hears through another number of windows than the tracks before: that number.
    """

    stored: Mapping[Stored, int]
    failed: int
    failed_before: int
    missing: int
    unchanged: int
    other_files: int
    waiting: int
    left_alone: Mapping[bytes, int]
    unreachable: Mapping[bytes, str]
    other_windows: int | None
    seconds: float


def index_places(
    library: Library,
    places: Sequence[str | bytes | os.PathLike[str]] = (),
    *,
    options: Options = Options(),
    keys: Mapping[str | bytes | os.PathLike[str], str] | None = None,
    pool: AnalysisPool | None = None,
    on_progress: Callable[[Progress], None] = lambda _progress: None,
    interrupted: Callable[[], bool] = lambda: False,
) -> Summary:
    """Bring a library up to date with folders and files on disk.

    Parameters
    ----------
    library : Library
        Opened for writing.
    places : sequence of paths
        Folders and files; none means every folder indexed before.
    keys : dict of path to key, optional
        The caller's own names for files.
    pool : AnalysisPool, optional
        Workers that are running already, with the catalog's model; they are left running.
    interrupted : function to bool
        Asked a few times a second; once it says yes, what is in flight is written and the run
        ends.

    Raises
    ------
    InvalidOption
        A key names another track already, or two files have one key; nothing was done.
    LibraryUnreachable
        A place cannot be reached and the catalog knows nothing below it; nothing was done.
    ModelMissing, ModelMismatch, CatalogFull
    """
    began = time.monotonic()
    deadline = None if options.stop_after_s is None else began + options.stop_after_s

    def stop() -> bool:
        return interrupted() or (deadline is not None and time.monotonic() >= deadline)

    info, windows = _choose_model(library, options)
    active = library.catalog.active_model()
    switching = active is not None and active.fingerprint != info.fingerprint
    named = [settled(place) for place in places]
    given_keys = _settled_keys(keys or {})
    found = scan(
        named if named and not switching else [*named, *library.catalog.roots()],
        on_file=lambda count: on_progress(Progress(scanned=count)),
        stop=interrupted,
    )
    if interrupted():  # a walk broken off says nothing about what has vanished
        found.walked.clear()
    todo = plan(
        found,
        known_files.known_files(library.catalog),
        known_files.failed_files(library.catalog),
        roots=library.catalog.roots(),
        named=set(named),
        retry_failed=options.retry_failed,
        empty_is_gone=options.empty_is_gone,
    )
    _refuse_unknown_places(library, named, found.unreachable, todo.left_alone)
    model = _record(library, info, windows, todo, found.walked, given_keys)
    files = todo.analyse + _unheard(library, model, found.walked, todo.analyse)
    due = {file.path for file in files}
    undescribed = _undescribed(library, named)
    only_described = [file for file in undescribed if file.path not in due]
    run = _Run(
        library,
        model,
        options,
        keys=given_keys,
        describe=frozenset(file.path for file in undescribed),
        only_described=frozenset(file.path for file in only_described),
        on_progress=on_progress,
    )
    files += only_described
    if files and not stop():
        run.go(files, stop, pool)
    with library.catalog.writing() as connection:
        writer.forget_dead_roots(connection)
        unheard = known_files.unheard_files(library.catalog, model) if switching else []
        if switching and not unheard:
            writer.activate_model(connection, model)
    if active is not None and unheard:
        log.warning(
            "%s has %d tracks to hear yet: %s goes on answering",
            info.name,
            len(unheard),
            active.name,
        )
    library.refresh()
    library.save_index()
    return Summary(
        stored=run.stored + Counter({Stored.RETURNED: len(todo.returned)}),
        failed=run.failed,
        failed_before=todo.failed_before,
        missing=library.catalog.count_missing(todo.vanished),
        unchanged=todo.unchanged,
        other_files=found.other_files,
        waiting=len(files) - run.done,
        left_alone={place: count for place, count in todo.left_alone.items() if count},
        unreachable=found.unreachable,
        other_windows=(
            active.windows if active and not switching and active.windows != windows else None
        ),
        seconds=time.monotonic() - began,
    )


def _settled_keys(keys: Mapping[Any, str]) -> dict[bytes, str]:
    if len(set(keys.values())) < len(keys):
        raise InvalidOption("two files are to have the same key: a key names one track")
    return {settled(path): key for path, key in keys.items()}


def _record(
    library: Library,
    info: ModelInfo,
    windows: int,
    todo: Plan,
    walked: Sequence[bytes],
    keys: Mapping[bytes, str],
) -> StoredModel:
    """Store what is known before anything is heard."""
    with library.catalog.writing() as connection:
        model = writer.record_model(connection, info, windows=windows)
        for path, key in keys.items():
            writer.set_key(connection, path, key)
        for root in walked:
            writer.add_root(connection, root)
        writer.set_status(connection, todo.vanished, TrackStatus.MISSING)
        writer.set_status(connection, todo.returned, TrackStatus.PRESENT)
        writer.forget_failures(connection, todo.forgotten)
    library.refresh()
    return model


def _choose_model(library: Library, options: Options) -> tuple[ModelInfo, int]:
    """The model a run embeds with, by the options or as the catalog has it, and its windows."""
    active = library.catalog.active_model()
    info = ready_model(options.model or (active.name if active else DEFAULT_MODEL), report=log.info)
    if active is not None and options.model is None and active.fingerprint != info.fingerprint:
        raise ModelMismatch(
            f"{library.catalog.path} holds embeddings of another {active.name} "
            f"({active.fingerprint[:12]}) than the one on this machine ({info.fingerprint[:12]}): "
            f"`soundalike index --model {active.name}` hears everything again with this one"
        )
    # Workers find a model by its name.
    if model_info(info.name).fingerprint != info.fingerprint:
        raise ModelMismatch(f"another model on this machine has the name {info.name}: rename one")
    if options.windows is not None:
        return info, options.windows
    if active is not None and active.fingerprint == info.fingerprint:
        return info, active.windows
    return info, _default_windows(info)


def _default_windows(info: ModelInfo) -> int:
    """As much sound as `DEFAULT_WINDOWS` of 3 s, and at least three places of a track."""
    seconds = info.front_end.window_samples / info.front_end.sample_rate
    return max(3, math.ceil(DEFAULT_WINDOWS * 3.0 / seconds))


def _unheard(
    library: Library, model: StoredModel, walked: Sequence[bytes], analysed: Sequence[SeenFile]
) -> list[SeenFile]:
    """Files that are unchanged but were never heard by this model, as after another one's run."""
    due = {file.path for file in analysed}
    files = []
    for path, size, mtime_ns in known_files.unheard_files(library.catalog, model):
        root = next((root for root in walked if path.startswith(inside(root))), None)
        if path not in due and os.path.lexists(path):
            files.append(SeenFile(path, root or os.path.dirname(path), size, mtime_ns))
    return files


def _undescribed(library: Library, named: Sequence[bytes]) -> list[SeenFile]:
    """Files below the named places, or all, whose tracks have no descriptors yet."""
    places = tuple(inside(place) for place in named)
    return [
        SeenFile(path, os.path.dirname(path), size, mtime_ns)
        for path, size, mtime_ns in known_files.undescribed_files(library.catalog)
        if (not named or path in named or path.startswith(places)) and os.path.lexists(path)
    ]


def _refuse_unknown_places(
    library: Library,
    named: Sequence[bytes],
    unreachable: Mapping[bytes, str],
    left_alone: Mapping[bytes, int],
) -> None:
    for place in named:
        if place in unreachable and not left_alone.get(place):
            raise LibraryUnreachable(
                f"{shown(place)} cannot be reached ({unreachable[place]}): check the name, or "
                "connect the disk it is on"
            )
    if not named and not library.catalog.roots():
        raise LibraryUnreachable(
            "this catalog has no folders yet: name one, `soundalike index DIR`"
        )


class _Run:
    """The files of one run on their way through the workers into the catalog."""

    def __init__(
        self,
        library: Library,
        model: StoredModel,
        options: Options,
        *,
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
        self._options = options
        self._keys = keys
        self._describe = describe
        self._only_described = only_described
        self._on_progress = on_progress
        self._total = 0
        self._workers = options.workers or _processors()

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
            limits=self._options.limits,
            known=known_files.embedded_hashes(self._library.catalog, self._model.id),
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
        flying: deque[tuple[SeenFile, Task, ProcessFuture[Outcome]]] = deque()
        ahead = AHEAD * self._workers
        while waiting or flying:
            while waiting and len(flying) < ahead:
                file = waiting.popleft()
                task = Task(
                    file.path,
                    windows=self._model.windows,
                    skip_known=skip_known,
                    describe_known=file.path in self._describe,
                )
                flying.append((file, task, pool.submit(task)))
            if stop():
                waiting.clear()
                for entry in [entry for entry in flying if not _has_begun(entry[2])]:
                    entry[2].cancel()
                    flying.remove(entry)
                if not flying:
                    return
            file, task, future = flying[0]
            if wait([future], timeout=0.2).done:
                flying.popleft()
                yield file, pool.result(task, future)
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
