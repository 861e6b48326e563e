"""Rows of analyses that were made elsewhere, from Parquet files into a catalog.

All files are looked through before anything is written: their columns, the model they are of, and
which paths come twice. Then rows are stored in batches of one transaction each; a run that was
interrupted goes on where it is started again, since a row that is stored already changes nothing.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.analysis.arrow_rows import COLUMNS, BadRow, from_batch, require_pyarrow, schema
from indexer.catalog import file_queries, writer
from indexer.catalog.file_queries import SeenFile
from indexer.catalog.status import TrackStatus
from indexer.catalog.storing import Stored
from indexer.errors import AnalysisError, BadAnalyses, ModelMismatch, ValueRefused
from indexer.filesystem import display_path
from indexer.indexing.executor import as_failed, with_remedy
from indexer.models.registry import DEFAULT_MODEL, ensure_model

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from indexer.analysis.arrow_rows import AnalysedFile
    from indexer.catalog.file_queries import FailedFile, KnownFile
    from indexer.catalog.records import StoredModel
    from indexer.catalog.storing import Columns
    from indexer.library import Library

log = logging.getLogger(__name__)

BATCH_ROWS = 1_000
"""Rows of one transaction."""
_MOST_SAID = 5
"""Refused rows that are named one by one."""


@dataclass
class Imported:
    """Counts of what became of rows.

    Attributes
    ----------
    stored : Counter of Stored
    failed : int
        Files that have failed where they were analysed.
    known : int
        Failures that the catalog has already, or of files that it has analysed as they are.
    removed : int
        Rows of tracks that were removed from the catalog.
    refused : int
        Rows that cannot be analyses, and all but the first of a path.
    waiting : int
        Rows left, because the run was told to stop.
    """

    stored: Counter[Stored] = field(default_factory=Counter)
    failed: int = 0
    known: int = 0
    removed: int = 0
    refused: int = 0
    waiting: int = 0

    @property
    def done(self) -> int:
        """Number of rows that were read."""
        return self.stored.total() + self.failed + self.known + self.removed + self.refused

    def counts(self) -> dict[str, int]:
        """How many rows became what."""
        kinds = (Stored.NEW, Stored.CHANGED, Stored.MOVED, Stored.RETAGGED, Stored.RETURNED)
        return {
            **{str(kind): self.stored[kind] for kind in kinds},
            "failed": self.failed,
            "unchanged": self.stored[Stored.TOUCHED] + self.known,
            "removed": self.removed,
            "refused": self.refused,
            "waiting": self.waiting,
        }


def import_analyses(
    library: Library,
    files: Sequence[str | os.PathLike[str]],
    *,
    batch_rows: int = BATCH_ROWS,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
    interrupted: Callable[[], bool] = lambda: False,
) -> Imported:
    """Store analyses as a run of indexing would; a row that is stored already changes nothing.

    Tracks of rows with a root get keys below it, and later runs of indexing look through that root.

    Parameters
    ----------
    library : Library
        Opened for writing.
    files : sequence of paths
        Parquet files, and folders of such files, as Spark writes them.
    on_progress : function of int, int
        Called with the rows done and all rows.
    interrupted : function to bool
        Asked between batches.

    Raises
    ------
    BadAnalyses
        A file is missing, damaged, or lacks a column.
    ModelMismatch
        Rows are of another model than the catalog's; nothing was done.
    ModelMissing, CatalogFull, ExtraMissing
    """
    paths = _parquet_files(files)
    survey = _Survey.of(paths)
    done = Imported()
    if not survey.rows:
        return done
    model = _stored_model(library, survey)
    rows = _Rows(model, survey.repeated_paths(), done)
    for batch in (batch for path in paths for batch in rows.of(path, batch_rows)):
        _store(library, model, batch, done)
        on_progress(done.done, survey.rows)
        if interrupted():
            break
    done.waiting = survey.rows - done.done
    if done.refused > _MOST_SAID:
        log.warning("%d rows were refused in all", done.refused)
    library.save_index()
    return done


def _parquet_files(files: Sequence[str | os.PathLike[str]]) -> list[Path]:
    found: list[Path] = []
    for file in files:
        path = Path(file)
        if not path.exists():
            raise BadAnalyses(f"{path} is not there: check the name")
        parts = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
        if not parts:
            raise BadAnalyses(f"{path} holds no file *.parquet: name the files themselves")
        found += parts
    return list(dict.fromkeys(found))


@dataclass
class _Survey:
    """What the files hold, read before anything is written.

    Attributes
    ----------
    models : dict of (name, fingerprint, windows per track) to Path
        Those of the rows, each with a file of its rows.
    paths : uint64 (n,)
        A hash of each row's path.
    """

    rows: int
    models: dict[tuple[str, str, int], Path]
    paths: np.ndarray[Any, np.dtype[np.uint64]]

    @classmethod
    def of(cls, paths: Sequence[Path]) -> _Survey:
        names = ("model", "fingerprint", "windows_per_track")
        models: dict[tuple[str, str, int], Path] = {}
        hashes = bytearray()
        for path in paths:
            for batch in _batches(path, ("path", *names), 50_000):
                columns = [batch.column(name).to_pylist() for name in names]
                for kind in set(zip(*columns, strict=True)) - models.keys():
                    models[kind] = path
                hashes += b"".join(map(_hash, batch.column("path").to_pylist()))
        return cls(len(hashes) // 8, models, np.frombuffer(hashes, np.uint64))

    def repeated_paths(self) -> set[bytes]:
        """Hashes of paths that come more than once."""
        ordered = np.sort(self.paths)
        twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
        return {one.tobytes() for one in twice}


def _hash(path: bytes | None) -> bytes:
    return blake2b(path or b"", digest_size=8).digest()


def _stored_model(library: Library, survey: _Survey) -> StoredModel:
    """The catalog's model, which all rows must be of; an empty catalog takes the rows' model."""
    active = library.catalog.active_model()
    (name, fingerprint, windows), file = next(iter(survey.models.items()))
    if active is None:
        info = ensure_model(name or DEFAULT_MODEL, report=log.info)
        name, fingerprint = info.name, info.fingerprint
    else:
        name, fingerprint = active.name, active.fingerprint
    for (other, found, _), file in survey.models.items():
        if found != fingerprint:
            raise ModelMismatch(
                f"{file} holds rows of another model, {other} ({(found or 'none')[:12]}), than "
                f"{'the catalog' if active else 'this machine'}, {name} ({fingerprint[:12]}): "
                f"analyse its files again with {name}"
            )
    if active is not None:
        return active
    with library.catalog.writing() as connection:
        return writer.record_model(connection, info, windows=windows or 0)


class _Rows:
    """Rows of files in batches; those that cannot be stored are counted and left out.

    Parameters
    ----------
    repeated : set of bytes
        Hashes of paths of which only the first row counts.
    """

    def __init__(self, model: StoredModel, repeated: Collection[bytes], done: Imported) -> None:
        self._model = model
        self._repeated = repeated
        self._done = done
        self._came: set[bytes] = set()

    def of(self, file: Path, batch_rows: int) -> Iterator[list[AnalysedFile]]:
        """Rows of a file, so many at a time."""
        number = 0
        dim, tags = self._model.dim, len(self._model.tag_names)
        for batch in _batches(file, COLUMNS, batch_rows):
            rows: list[AnalysedFile] = []
            for row in from_batch(batch, dim=dim, tags=tags):
                number += 1
                if isinstance(row, BadRow):
                    self._refuse(f"row {number} of {file} is left out: {row}")
                elif self._has_come(row.path):
                    again = display_path(row.path)
                    self._refuse(f"row {number} of {file} is left out: {again} came before")
                else:
                    rows.append(row)
            yield rows

    def _has_come(self, path: bytes) -> bool:
        if _hash(path) not in self._repeated:
            return False
        came = path in self._came
        self._came.add(path)
        return came

    def _refuse(self, sentence: str) -> None:
        self._done.refused += 1
        if self._done.refused <= _MOST_SAID:
            log.warning("%s", sentence)


def _batches(path: Path, names: Sequence[str], rows: int) -> Iterator[Any]:
    """Batches of a Parquet file's rows with some columns.

    Raises
    ------
    BadAnalyses
    """
    pa = require_pyarrow()
    import pyarrow.parquet as pq

    wanted = pa.schema([schema().field(name) for name in names])
    with (
        _one_sentence(path, pa),
        pq.ParquetFile(path, page_checksum_verification=True) as source,
    ):
        missing = [name for name in names if name not in source.schema_arrow.names]
        if missing:
            raise BadAnalyses(
                f"{path} has no column {missing[0]!r}: it must hold rows of `analyse_paths`"
            )
        for batch in source.iter_batches(batch_size=rows, columns=list(names)):
            table = pa.Table.from_batches([batch]).select(list(names)).cast(wanted)
            table.validate(full=True)
            yield from table.combine_chunks().to_batches()


@contextmanager
def _one_sentence(path: Path, pa: Any) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise BadAnalyses(
            f"{path} cannot be read as rows of analyses ({reason[:200]}): make the file again, "
            "then import it again"
        ) from error


def _store(
    library: Library, model: StoredModel, rows: Sequence[AnalysedFile], done: Imported
) -> None:
    """Store rows in one transaction, and count them.

    One row with a value that the database does not take costs that row only.
    """
    try:
        _store_at_once(library, model, rows, done)
    except ValueRefused as error:
        if len(rows) > 1:
            for row in rows:
                _store(library, model, [row], done)
        else:
            done.refused += 1
            log.warning("%s is left out: %s", display_path(rows[0].path), error)


def _store_at_once(
    library: Library, model: StoredModel, rows: Sequence[AnalysedFile], done: Imported
) -> None:
    analyses, failures = [], []
    before = Counter({"removed": 0, "known": 0})
    with library.catalog.writing() as connection:
        tracks, failed = file_queries.files_at(connection, [row.path for row in rows])
        for row in rows:
            track = tracks.get(row.path)
            if track is not None and track.status == TrackStatus.REMOVED:
                before["removed"] += 1
            elif not isinstance(row.outcome, AnalysisError):
                analyses.append((_seen(row), row.outcome))
            else:
                file = as_failed(_seen(row), row.outcome)
                if _is_known(file, track, failed.get(row.path)):
                    before["known"] += 1
                else:
                    failures.append((file, with_remedy(row.outcome)))
        for root in {row.root for row in rows if row.root is not None}:
            writer.add_root(connection, root, seen_from=library.catalog.seen_from)
        writer.store_failures(connection, failures)
        kinds = writer.store(connection, model, analyses, is_gone=_is_missing)
    # After the transaction: only what is on disk is counted as done.
    done.stored += Counter(kind for kind in kinds if kind is not None)
    done.failed += len(failures)
    done.removed += before["removed"]
    done.known += before["known"]


def _seen(row: AnalysedFile) -> SeenFile:
    root = os.path.dirname(row.path) if row.root is None else row.root
    return SeenFile(row.path, root, row.size or 0, row.mtime_ns or 0)


def _is_known(file: SeenFile, track: KnownFile | None, failure: FailedFile | None) -> bool:
    """Whether a failure says nothing of a file that the catalog does not know."""
    as_seen = (file.size, file.mtime_ns)
    if failure is not None and (failure.size, failure.mtime_ns) == as_seen:
        return True
    if track is None or track.status != TrackStatus.PRESENT:
        return False
    return (track.size, track.mtime_ns) == as_seen


def _is_missing(track: Columns) -> bool:
    """Whether a track's file has vanished, as the last run of indexing saw it.

    It is not looked for here: rows come from machines whose files this one may not see.
    """
    return bool(track["status"] == TrackStatus.MISSING)
