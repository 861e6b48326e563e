"""Bringing a library up to date with files on disk: scan -> worker processes -> one writer."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from indexer.analysis.pools import AnalysisPool, tags_pool
from indexer.analysis.sandbox import Limits, worker_count
from indexer.analysis.track_analysis import DEFAULT_WINDOWS
from indexer.catalog import file_queries, writer
from indexer.catalog.file_queries import SeenFile
from indexer.catalog.status import TrackStatus
from indexer.catalog.storing import Stored
from indexer.errors import (
    ExtraMissing,
    InvalidOption,
    LibraryUnreachable,
    ModelMismatch,
)
from indexer.filesystem import display_path, folder_prefix, is_there
from indexer.indexing.executor import Batching, Progress, Tally, analyse_files, reread_tags
from indexer.indexing.plan import Plan, paths_to_compare, plan, unchanged_files
from indexer.indexing.scan import scan
from indexer.indexing.spelling import as_kept
from indexer.indexing.workers import LocalWorkers
from indexer.models.registry import DEFAULT_MODEL, ensure_model, model_info

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from indexer.analysis.track_analysis import KnownRecording, TrackAnalysis
    from indexer.catalog.reader import Catalog
    from indexer.catalog.records import StoredModel
    from indexer.indexing.workers import Workers
    from indexer.library import Library
    from indexer.models.checkpoint import ModelInfo

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Settings of a run.

    Attributes
    ----------
    model : str or None
        Name of the model; None takes the catalog's own, or the default for a new catalog.
    windows : int or None
        Windows embedded of each track, `ALL_WINDOWS` for all of it; None takes the catalog's own
        number.
    workers : int
        Worker processes; 0 means one for each processor.
    dask : str or None
        Address of the Dask scheduler whose machines analyse the files, or path of its scheduler
        file; None means this machine.
    retry_failed, empty_is_gone : bool
        See `indexer.indexing.plan.plan`.
    include_hidden : bool
        See `indexer.indexing.scan.scan`.
    reread_tags : bool
        Whether to read the tags of unchanged files again.
    stop_after_s : float or None
        Start no more files after this many seconds.
    batching : Batching
        How many files a transaction holds.
    """

    model: str | None = None
    windows: int | None = None
    workers: int = 0
    dask: str | None = None
    limits: Limits = field(default_factory=Limits)
    retry_failed: bool = False
    empty_is_gone: bool = False
    include_hidden: bool = False
    reread_tags: bool = False
    stop_after_s: float | None = None
    batching: Batching = field(default_factory=Batching)


@dataclass(frozen=True)
class Summary:
    """Counts of what a run did.

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
        If this run embeds another number of windows than the tracks before: that number.
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

    def counts(self) -> dict[str, int]:
        """How many files became what."""
        stored = {str(kind): count for kind, count in self.stored.items()}
        return {
            "new": stored.get("new", 0),
            "changed": stored.get("changed", 0),
            "moved": stored.get("moved", 0),
            "retagged": stored.get("retagged", 0),
            "returned": stored.get("returned", 0),
            "missing": self.missing,
            "failed": self.failed,
            "unchanged": self.unchanged + stored.get("touched", 0),
            "failed_before": self.failed_before,
            "waiting": self.waiting,
        }

    def notes(self) -> list[str]:
        """What a person should know beside the counts, a sentence each."""
        said = []
        for folder, count in self.left_alone.items():
            why = self.unreachable.get(folder)
            state = (
                f"cannot be reached ({why})"
                if why
                else "is empty (--empty-is-gone if it really is)"
            )
            tracks = (
                "1 track is left as it is"
                if count == 1
                else f"{count:,} tracks are left as they are"
            )
            said.append(f"{display_path(folder)} {state}: its {tracks}")
        if self.other_windows is not None:
            earlier = self.other_windows or "all"
            said.append(f"tracks that were indexed before keep their {earlier} windows")
        return said


def index_paths(
    library: Library,
    paths: Sequence[str | bytes | os.PathLike[str]] = (),
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
    paths : sequence of paths
        Folders and files; none means every folder indexed before.
    keys : dict of path to key, optional
        The caller's own names for files.
    pool : AnalysisPool, optional
        Workers that are running already, with the catalog's model; they are left running.
    interrupted : function to bool
        Asked a few times a second; once it says yes, what is in flight is stored and the run
        ends.

    Raises
    ------
    InvalidOption
        A key names another track already, or two files have one key; nothing was done.
    LibraryUnreachable
        A path cannot be reached and the catalog knows nothing below it; nothing was done.
    ModelMissing, ModelMismatch, CatalogFull
    """
    began = time.monotonic()
    deadline = None if options.stop_after_s is None else began + options.stop_after_s

    def stop() -> bool:
        return interrupted() or (deadline is not None and time.monotonic() >= deadline)

    catalog = library.catalog
    info, windows = _choose_model(library, options)
    active = catalog.active_model()
    switching = active is not None and active.fingerprint != info.fingerprint
    named = as_kept(catalog, paths)
    keys_by_path = _keys_by_path(catalog, keys or {})
    folders = named if named and not switching else [*named, *catalog.roots()]
    found = scan(
        folders,
        include_hidden=options.include_hidden,
        on_file=lambda count: on_progress(Progress(scanned=count)),
        stop=interrupted,
    )
    roots = catalog.roots()
    # Files that were named one by one may be another machine's.
    compared = paths_to_compare(None if catalog.seen_from else roots, folders)
    todo = plan(
        found,
        file_queries.known_files(catalog, compared),
        file_queries.failed_files(catalog, compared),
        roots=roots,
        mounts=catalog.mounts(),
        named=set(named),
        retry_failed=options.retry_failed,
        empty_is_gone=options.empty_is_gone,
    )
    _refuse_unknown_paths(library, named, found.unreachable, todo.left_alone)
    walked = [] if found.broken_off else found.walked
    model = _store_plan(library, info, windows, todo, walked, keys_by_path)
    files = todo.analyse + _files_to_embed(library, model, walked, todo.analyse)
    tally = Tally()
    if files and not stop():
        with _open_workers(library, model, files, options, pool) as running:
            tally = analyse_files(
                catalog,
                model,
                files,
                running,
                keys=keys_by_path,
                batching=options.batching,
                stop=stop,
                on_progress=on_progress,
            )
    retagged = 0
    if options.reread_tags and todo.unchanged and not stop():
        just_read = {file.path for file in files}
        again = scan(folders, include_hidden=options.include_hidden, stop=stop)
        unchanged = unchanged_files(again, file_queries.known_files(catalog, compared))
        count = worker_count(options.workers, todo.unchanged)
        with tags_pool(count, limits=options.limits) as readers:
            retagged = reread_tags(
                catalog,
                (file for file in unchanged if file.path not in just_read),
                LocalWorkers(readers),
                total=todo.unchanged,
                batching=options.batching,
                stop=stop,
                on_progress=on_progress,
            )
    _finish(library, model, active if switching else None)
    counts = {Stored.RETURNED: len(todo.returned), Stored.RETAGGED: retagged}
    return Summary(
        stored=tally.stored + Counter(counts),
        failed=tally.failed,
        failed_before=todo.failed_before,
        missing=catalog.count_missing(todo.vanished),
        unchanged=todo.unchanged - retagged,
        other_files=found.other_files,
        waiting=len(files) - tally.done,
        left_alone={path: count for path, count in todo.left_alone.items() if count},
        unreachable=found.unreachable,
        other_windows=(
            active.windows if active and not switching and active.windows != windows else None
        ),
        seconds=time.monotonic() - began,
    )


def _keys_by_path(catalog: Catalog, keys: Mapping[Any, str]) -> dict[bytes, str]:
    if len(set(keys.values())) < len(keys):
        raise InvalidOption("two files are to have the same key: a key names one track")
    return dict(zip(as_kept(catalog, list(keys)), keys.values(), strict=True))


def _choose_model(library: Library, options: Options) -> tuple[ModelInfo, int]:
    """The model of a run, by the options or else the catalog's, and its windows per track."""
    active = library.catalog.active_model()
    info = ensure_model(
        options.model or (active.name if active else DEFAULT_MODEL), report=log.info
    )
    if active is not None and options.model is None and active.fingerprint != info.fingerprint:
        raise ModelMismatch(
            f"{library.catalog.name} holds embeddings of another {active.name} "
            f"({active.fingerprint[:12]}) than the one on this machine ({info.fingerprint[:12]}): "
            f"`soundalike index --model {active.name}` embeds everything again with this one"
        )
    # Workers find a model by its name.
    if model_info(info.name).fingerprint != info.fingerprint:
        raise ModelMismatch(f"another model on this machine has the name {info.name}: rename one")
    if options.windows is not None:
        return info, options.windows
    if active is not None and active.fingerprint == info.fingerprint:
        return info, active.windows
    return info, DEFAULT_WINDOWS


def _store_plan(
    library: Library,
    info: ModelInfo,
    windows: int,
    todo: Plan,
    walked: Sequence[bytes],
    keys: Mapping[bytes, str],
) -> StoredModel:
    """Store all that is known before any file is analysed; returns the model of the run."""
    seen_from = library.catalog.seen_from
    with library.catalog.writing() as connection:
        model = writer.record_model(connection, info, windows=windows)
        for path, key in keys.items():
            writer.set_key(connection, path, key)
        for root in walked:
            writer.add_root(connection, root, seen_from=seen_from)
        writer.set_mounts(connection, todo.mounts, seen_from=seen_from)
        writer.set_status(connection, todo.vanished, TrackStatus.MISSING)
        writer.set_status(connection, todo.returned, TrackStatus.PRESENT)
        writer.delete_failures(connection, todo.forgotten)
    return model


def _files_to_embed(
    library: Library, model: StoredModel, walked: Sequence[bytes], analysed: Sequence[SeenFile]
) -> list[SeenFile]:
    """Unchanged files without an embedding by this model, as after a run with another one."""
    waiting = file_queries.files_to_embed(library.catalog, model)
    due = {file.path for file in analysed} if waiting else set()
    files = []
    for path, size, mtime_ns in waiting:
        root = next((root for root in walked if path.startswith(folder_prefix(root))), None)
        is_ours = root is not None or not library.catalog.seen_from
        if path not in due and is_ours and is_there(path):
            files.append(SeenFile(path, root or os.path.dirname(path), size, mtime_ns))
    return files


@contextmanager
def _open_workers(
    library: Library,
    model: StoredModel,
    files: Sequence[SeenFile],
    options: Options,
    pool: AnalysisPool | None,
) -> Iterator[Workers[TrackAnalysis | KnownRecording]]:
    """The caller's pool, or workers of this run's own that are closed afterwards."""
    if pool is not None:
        yield LocalWorkers(pool)
        return
    known = file_queries.embedded_hashes(library.catalog, model.id)
    own: Workers[TrackAnalysis | KnownRecording]
    if options.dask is not None:
        own = _dask_workers(options.dask, model, files, options.limits, known)
    else:
        count = worker_count(options.workers, len(files))
        own = LocalWorkers(
            AnalysisPool(
                model.name, model.fingerprint, workers=count, limits=options.limits, known=known
            )
        )
    try:
        yield own
    finally:
        own.close()


def _dask_workers(
    address: str,
    model: StoredModel,
    files: Sequence[SeenFile],
    limits: Limits,
    known: NDArray[np.uint64],
) -> Workers[TrackAnalysis | KnownRecording]:
    try:
        from indexer.indexing.dask_machine import Setup
        from indexer.indexing.dask_workers import DaskWorkers
    except ImportError as error:
        raise ExtraMissing("--dask needs Dask: run `pip install 'soundalike[dask]'`") from error
    setup = Setup(
        run=f"soundalike-{uuid4()}",
        version=version("soundalike"),
        model_name=model.name,
        fingerprint=model.fingerprint,
        limits=limits,
        known=known,
        roots=sorted({file.root for file in files}),
    )
    return DaskWorkers(address, setup, total=len(files))


def _finish(library: Library, model: StoredModel, before: StoredModel | None) -> None:
    """Let a model that has embedded all tracks take over from the one before; save the index."""
    catalog = library.catalog
    with catalog.writing() as connection:
        writer.delete_dead_roots(connection, seen_from=catalog.seen_from)
    waiting = file_queries.files_to_embed(catalog, model) if before else []
    if before is not None and not waiting:
        with catalog.alone(), catalog.writing() as connection:
            writer.activate_model(connection, model)
    if before is not None and waiting:
        log.warning(
            "%s has %d tracks to embed yet: answers still come from %s",
            model.name,
            len(waiting),
            before.name,
        )
    library.save_index()


def _refuse_unknown_paths(
    library: Library,
    named: Sequence[bytes],
    unreachable: Mapping[bytes, str],
    left_alone: Mapping[bytes, int],
) -> None:
    for path in named:
        if path in unreachable and not left_alone.get(path):
            raise LibraryUnreachable(
                f"{display_path(path)} cannot be reached ({unreachable[path]}): check the name, "
                "or connect the disk it is on"
            )
    if not named and not library.catalog.roots():
        raise LibraryUnreachable(
            "this catalog has no folders yet: name one, `soundalike index DIR`"
        )
