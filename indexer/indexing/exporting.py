"""Analyses of the files in folders as a Parquet file, for a catalog on another machine."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.analysis.arrow_rows import analyse_paths, require_pyarrow, schema
from indexer.analysis.pools import AnalysisPool
from indexer.analysis.sandbox import worker_count
from indexer.analysis.track_analysis import DEFAULT_WINDOWS
from indexer.errors import InvalidOption, LibraryUnreachable
from indexer.filesystem import atomic_write, display_path
from indexer.indexing.executor import Progress
from indexer.indexing.pipeline import Options
from indexer.indexing.scan import as_scanned, scan
from indexer.models.registry import DEFAULT_MODEL, model_info

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import BinaryIO

    from indexer.catalog.file_queries import SeenFile

_DEFAULTS = Options()
_BATCH_ROWS = 16
_ROW_GROUP = 1_000
"""Rows that a reader holds at once."""


@dataclass(frozen=True)
class Written:
    """What was written: rows, those of files that failed among them, and what was not.

    Attributes
    ----------
    waiting : int
        Files that have no row, because the run was told to stop.
    unreachable : dict of bytes to str
        Folders and files that could not be looked into, with the reason.
    """

    rows: int
    failed: int
    waiting: int
    unreachable: Mapping[bytes, str]


def export_analyses(
    paths: Sequence[str | bytes | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    options: Options = _DEFAULTS,
    replace: bool = False,
    pool: AnalysisPool | None = None,
    on_progress: Callable[[Progress], None] = lambda _progress: None,
    interrupted: Callable[[], bool] = lambda: False,
) -> Written:
    """Analyse the files in folders, and files, and write a row each to a Parquet file.

    Parameters
    ----------
    options : Options
        Of these, those of a catalog have no meaning here.
    replace : bool
        Whether a file of that name may be replaced.
    pool : AnalysisPool, optional
        Workers that are running already, with the model of the options; they are left running.
    interrupted : function to bool
        Once it says yes, what is in flight is written and the file is complete without the rest.

    Raises
    ------
    InvalidOption
        The file is there, or its folder is not.
    LibraryUnreachable
        A path cannot be reached.
    ModelMissing, ExtraMissing
    """
    require_pyarrow()
    target = Path(out)
    if target.exists() and not (replace and target.is_file()):
        raise InvalidOption(f"{target} is there already: name another file, or give --force")
    if not target.parent.is_dir():
        raise InvalidOption(f"the folder {target.parent} is missing: make it first")
    named = [as_scanned(path) for path in paths]
    found = scan(named, include_hidden=options.include_hidden, stop=interrupted)
    files = list(found.files)
    for path in named:
        if path in found.unreachable:
            raise LibraryUnreachable(
                f"{display_path(path)} cannot be reached ({found.unreachable[path]}): check the "
                "name, or connect the disk it is on"
            )
    done = Progress(total=len(files))
    on_progress(done)
    with atomic_write(target) as file:
        for batch in _write(file, _analyse(files, found.walked, options, pool, interrupted)):
            failed = done.failed + batch.num_rows - batch.column("reason").null_count
            done = Progress(total=len(files), done=done.done + batch.num_rows, failed=failed)
            on_progress(done)
    return Written(done.done, done.failed, len(files) - done.done, found.unreachable)


def _analyse(
    files: Sequence[SeenFile],
    roots: Sequence[bytes],
    options: Options,
    pool: AnalysisPool | None,
    interrupted: Callable[[], bool],
) -> Iterator[Any]:
    info = model_info(options.model or DEFAULT_MODEL)
    workers = worker_count(options.workers, len(files))
    windows = DEFAULT_WINDOWS if options.windows is None else options.windows
    with ExitStack() as stack:
        running = pool or stack.enter_context(
            AnalysisPool(info.name, info.fingerprint, workers=workers, limits=options.limits)
        )
        for root, below in groupby(files, key=attrgetter("root")):
            yield from analyse_paths(
                (file.path for file in below if not interrupted()),
                root=root if root in roots else None,
                model=info.name,
                windows=windows,
                batch_rows=_BATCH_ROWS,
                pool=running,
            )


def _write(file: BinaryIO, batches: Iterator[Any]) -> Iterator[Any]:
    """Write batches as they come, and hand them on."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    waiting: list[Any] = []
    with pq.ParquetWriter(file, schema(), compression="zstd", write_page_checksum=True) as writer:
        for batch in batches:
            waiting.append(batch)
            if sum(one.num_rows for one in waiting) >= _ROW_GROUP:
                writer.write_table(pa.Table.from_batches(waiting))
                waiting.clear()
            yield batch
        if waiting:
            writer.write_table(pa.Table.from_batches(waiting))
