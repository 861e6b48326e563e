"""The files of one run: through workers into the catalog.

Outcomes are stored as they come, in batches of one transaction each, so that a file that takes
long holds up no other, and what is reported as done is on disk. Ids are given out beforehand, in
the order of the files: the same library gets the same ids however fast each worker is.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from indexer.analysis.pools import Outcome, analyse_file, analyse_new_file, read_file_tags
from indexer.catalog import writer
from indexer.catalog.file_queries import SeenFile
from indexer.errors import (
    AnalysisError,
    FetchFailed,
    NotStorable,
    OutOfMemory,
    TimedOut,
    ValueRefused,
    WorkerDied,
    WorkersFailed,
)
from indexer.filesystem import display_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from indexer.analysis.track_analysis import KnownRecording, TrackAnalysis
    from indexer.audio.tags import Tags
    from indexer.catalog.reader import Catalog
    from indexer.catalog.records import StoredModel
    from indexer.catalog.storing import Stored
    from indexer.indexing.workers import Task, Workers

Analysed: TypeAlias = tuple[SeenFile, Outcome]
Result = TypeVar("Result")
Item = TypeVar("Item")

log = logging.getLogger(__name__)

_POLL_S = 0.2
_RETRY_OPTION: dict[type[AnalysisError], str] = {
    TimedOut: " --timeout SECONDS",
    OutOfMemory: " --memory MIB",
    WorkerDied: "",
}


@dataclass(frozen=True)
class Progress:
    """How far a run is: files scanned, files to analyse, files done, files failed."""

    scanned: int = 0
    total: int = 0
    done: int = 0
    failed: int = 0


@dataclass(frozen=True)
class Batching:
    """How many files one transaction holds.

    Attributes
    ----------
    files : int
        Files in one transaction at most.
    wait_s : float
        Seconds that a finished analysis waits for its transaction at most.
    """

    files: int = 256
    wait_s: float = 2.0


@dataclass
class Tally:
    """Files whose outcome is on disk.

    Attributes
    ----------
    stored : Counter of Stored
    failed : int
    """

    stored: Counter[Stored] = field(default_factory=Counter)
    failed: int = 0

    @property
    def done(self) -> int:
        """Number of files."""
        return self.stored.total() + self.failed


def analyse_files(
    catalog: Catalog,
    model: StoredModel,
    files: Sequence[SeenFile],
    workers: Workers[TrackAnalysis | KnownRecording],
    *,
    keys: Mapping[bytes, str],
    batching: Batching,
    stop: Callable[[], bool],
    on_progress: Callable[[Progress], None],
) -> Tally:
    """Analyse files and store what comes of them; returns how many became what.

    Parameters
    ----------
    keys : dict of path to key
        The caller's own names for files.
    stop : function to bool
        Asked a few times a second; once it says yes, files in a worker are finished and stored.

    Raises
    ------
    WorkersFailed
        There are no workers any more; what came of files until then is stored.
    """
    tally = Tally()
    with catalog.writing() as connection:
        first = writer.reserve_track_ids(connection, len(files))
    ids = {file.path: first + row for row, file in enumerate(files)}
    pending: Sequence[SeenFile] = files
    on_progress(Progress(total=len(files)))
    for task in (analyse_new_file, analyse_file):
        work = partial(task, windows=model.windows)
        outcomes = _outcomes(workers, work, iter(pending), stop=stop)
        # A hash that the workers took for known, but that no recording has, is analysed in full.
        pending = []
        for batch in _batches(outcomes, batching):
            pending += _store_batch(catalog, model, batch, ids, keys, tally)
            on_progress(Progress(total=len(files), done=tally.done, failed=tally.failed))
    with catalog.writing() as connection:
        writer.release_track_ids(connection, first, len(files))
    return tally


def reread_tags(
    catalog: Catalog,
    files: Iterator[SeenFile],
    workers: Workers[Tags],
    *,
    total: int,
    batching: Batching,
    stop: Callable[[], bool],
    on_progress: Callable[[Progress], None],
) -> int:
    """Read the tags of files that have tracks, and store those that changed; returns how many.

    Parameters
    ----------
    total : int
        How many files there are, for `on_progress`.
    """
    retagged = done = 0
    outcomes = _outcomes(workers, read_file_tags, files, stop=stop)
    for batch in _batches(outcomes, batching):
        read = {}
        for file, tags in batch:
            if isinstance(tags, AnalysisError):
                log.warning("the tags stay as they are: %s", tags)
            else:
                read[file.path] = tags
        with catalog.writing() as connection:
            changed = writer.store_tags(connection, read)
        retagged += changed
        done += len(batch)
        on_progress(Progress(total=total, done=done))
    return retagged


def _outcomes(
    workers: Workers[Result],
    work: Task[Result],
    files: Iterator[SeenFile],
    *,
    stop: Callable[[], bool],
) -> Iterator[list[tuple[SeenFile, Result | AnalysisError]]]:
    """Files with their outcomes, as they come; an empty list now and then while there are none."""
    held = 0
    more, stopped = True, False
    while more or held:
        if not stopped and stop():
            more, stopped = False, True
            workers.stop()
        if more:
            room = max(0, workers.capacity - held)
            some = list(islice(files, room))
            workers.submit(work, some)
            held += len(some)
            more = len(some) == room
        if held or more:
            finished = workers.result(_POLL_S)
            held -= len(finished)
            yield [(file, outcome) for file, outcome in finished if outcome is not None]


def _batches(outcomes: Iterator[list[Item]], batching: Batching) -> Iterator[list[Item]]:
    """Outcomes in batches of `batching.files`, or of those of `batching.wait_s`."""
    batch: list[Item] = []
    oldest = 0.0
    try:
        for some in outcomes:
            for outcome in some:
                oldest = oldest if batch else time.monotonic()
                batch.append(outcome)
                if len(batch) >= batching.files:
                    yield batch
                    batch = []
            if batch and time.monotonic() - oldest >= batching.wait_s:
                yield batch
                batch = []
    except WorkersFailed:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _store_batch(
    catalog: Catalog,
    model: StoredModel,
    batch: Sequence[Analysed],
    ids: Mapping[bytes, int],
    keys: Mapping[bytes, str],
    tally: Tally,
) -> list[SeenFile]:
    """Store outcomes in one transaction and count them; returns files to analyse in full."""
    analyses: list[tuple[SeenFile, TrackAnalysis | KnownRecording]] = []
    failures: list[tuple[SeenFile, AnalysisError]] = []
    for file, outcome in batch:
        if isinstance(outcome, AnalysisError):
            failures.append((as_failed(file, outcome), with_remedy(outcome)))
        else:
            analyses.append((file, outcome))
    try:
        with catalog.writing() as connection:
            writer.store_failures(connection, failures)
            kinds = writer.store(
                connection,
                model,
                analyses,
                new_ids=ids,
                keys=keys,
                is_gone=writer.lost_files(connection, catalog.seen_from),
            )
    except ValueRefused as error:
        # One file with a value that the database does not take costs that file only.
        singly = [[one] for one in batch]
        if len(batch) == 1:
            refused = NotStorable(f"{display_path(batch[0][0].path)}: {error}", stage="store")
            singly = [[(batch[0][0], refused)]]
        again = (_store_batch(catalog, model, one, ids, keys, tally) for one in singly)
        return [file for files in again for file in files]
    # After the transaction: only what is on disk is counted as done.
    tally.stored += Counter(kind for kind in kinds if kind is not None)
    tally.failed += len(failures)
    return [file for (file, _), kind in zip(analyses, kinds, strict=True) if kind is None]


def as_failed(file: SeenFile, error: AnalysisError) -> SeenFile:
    """The file as its failure is stored; one that was not fetched is another at the next run."""
    return file._replace(mtime_ns=-1) if isinstance(error, FetchFailed) else file


def with_remedy(error: AnalysisError) -> AnalysisError:
    """The error, and what `index` can be told to do about it."""
    option = _RETRY_OPTION.get(type(error))
    if option is None:
        return error
    return type(error)(
        f"{error}; `soundalike index --retry-failed{option}` tries it again", stage=error.stage
    )
