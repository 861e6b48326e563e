"""The indexing pipeline: scan -> worker processes -> one writer."""

from __future__ import annotations

import logging
import math
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from indexer.analysis.sandbox import Limits
from indexer.analysis.track_analysis import DEFAULT_WINDOWS
from indexer.catalog import file_queries, writer
from indexer.catalog.file_queries import SeenFile
from indexer.catalog.status import TrackStatus
from indexer.catalog.writer import Stored
from indexer.errors import (
    InvalidOption,
    LibraryUnreachable,
    ModelMismatch,
)
from indexer.filesystem import display_path, folder_prefix, resolve_path
from indexer.indexing.run import Progress, Run
from indexer.indexing.scan import Plan, plan, scan
from indexer.models.registry import DEFAULT_MODEL, ensure_model, model_info

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from indexer.analysis.pools import AnalysisPool
    from indexer.catalog.reader import StoredModel
    from indexer.library import Library
    from indexer.models.checkpoint import ModelInfo

log = logging.getLogger(__name__)


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


def index_paths(
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
    named = [resolve_path(place) for place in places]
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
        file_queries.known_files(library.catalog),
        file_queries.failed_files(library.catalog),
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
    run = Run(
        library,
        model,
        workers=options.workers,
        limits=options.limits,
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
        unheard = file_queries.unheard_files(library.catalog, model) if switching else []
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
    return {resolve_path(path): key for path, key in keys.items()}


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
    info = ensure_model(
        options.model or (active.name if active else DEFAULT_MODEL), report=log.info
    )
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
    for path, size, mtime_ns in file_queries.unheard_files(library.catalog, model):
        root = next((root for root in walked if path.startswith(folder_prefix(root))), None)
        if path not in due and os.path.lexists(path):
            files.append(SeenFile(path, root or os.path.dirname(path), size, mtime_ns))
    return files


def _undescribed(library: Library, named: Sequence[bytes]) -> list[SeenFile]:
    """Files below the named places, or all, whose tracks have no descriptors yet."""
    places = tuple(folder_prefix(place) for place in named)
    return [
        SeenFile(path, os.path.dirname(path), size, mtime_ns)
        for path, size, mtime_ns in file_queries.undescribed_files(library.catalog)
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
                f"{display_path(place)} cannot be reached ({unreachable[place]}): check the name, "
                "or "
                "connect the disk it is on"
            )
    if not named and not library.catalog.roots():
        raise LibraryUnreachable(
            "this catalog has no folders yet: name one, `soundalike index DIR`"
        )
