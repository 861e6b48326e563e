"""The catalog brought up to date with the files that beets has imported, moved and removed."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from indexer.catalog import writer
from indexer.catalog.status import TrackStatus
from indexer.errors import CatalogLocked
from indexer.filesystem import spellings
from indexer.indexing.pipeline import Options, index_paths
from indexer.library_on_server import open_library_for_writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from indexer.catalog.records import Track
    from indexer.indexing.executor import Progress
    from indexer.indexing.pipeline import Summary
    from indexer.library import Library
    from recommender.players.beets.changes import Changes


WAIT_S = 10.0
"""Seconds that another writer is waited for: long enough for a few files."""
LOOK_S = 0.1


def follow(
    catalog: str,
    changes: Changes,
    *,
    workers: int = 0,
    on_wait: Callable[[CatalogLocked], None] = lambda _error: None,
    on_progress: Callable[[Progress], None] = lambda _progress: None,
) -> Summary | None:
    """Index what was imported and take out what was removed; a catalog is made if there is none.

    Files that were moved, copied or rewritten are indexed if the catalog held them before. As after
    `soundalike remove`, a removed file that is still there comes back only if it is named.

    Parameters
    ----------
    workers : int
        Worker processes; 0 means one for each processor.
    on_wait : function
        Called once if another process writes to the catalog, which is waited for.

    Returns
    -------
    Summary or None
        Of the index run; None where there was no file to index.

    Raises
    ------
    SoundalikeError
        The catalog cannot be written, or no worker can be started.
    """
    library = _open_when_free(catalog, on_wait)
    try:
        files = set(changes.present)
        for path, before in {
            **{path: path for path in changes.rewritten},
            **changes.origins,
            **changes.copies,
        }.items():
            if _tracks(library, [before]):
                files.add(path)
        kept = {path for file in files for path in spellings(file)}
        gone = [track for track in _tracks(library, changes.gone) if track.path not in kept]
        _take_out(library, gone)
        there = sorted(path for path in files if os.path.isfile(path))
        if not there:
            return None
        # Files that failed before may have been repaired by whoever imports them anew.
        options = Options(workers=workers, retry_failed=True)
        return index_paths(library, there, options=options, on_progress=on_progress)
    finally:
        library.close()


def _open_when_free(catalog: str, on_wait: Callable[[CatalogLocked], None]) -> Library:
    until: float | None = None
    while True:
        try:
            return open_library_for_writing(catalog, create=True)
        except CatalogLocked as error:
            if until is None:
                until = time.monotonic() + WAIT_S
                on_wait(error)
            if time.monotonic() >= until:
                raise
        time.sleep(LOOK_S)


def _tracks(library: Library, files: Iterable[bytes]) -> list[Track]:
    """The tracks of files, whichever links on the way to them the catalog follows."""
    paths = sorted({path for file in files for path in spellings(file)})
    found = [library.catalog.track_by_path(path) for path in paths]
    return [track for track in found if track is not None]


def _take_out(library: Library, tracks: list[Track]) -> None:
    """Take tracks out of the catalog; those without a file are missing."""
    if not tracks:
        return
    with library.catalog.alone(), library.catalog.writing() as connection:
        for status, is_file in ((TrackStatus.REMOVED, True), (TrackStatus.MISSING, False)):
            ids = [track.id for track in tracks if os.path.isfile(track.path) == is_file]
            writer.set_status(connection, ids, status)
