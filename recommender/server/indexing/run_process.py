"""One index run, as a process of its own: what it may do wrong costs the run, not the server."""

from __future__ import annotations

import os
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from indexer.analysis.sandbox import processors
from indexer.errors import SoundalikeError
from indexer.filesystem import display_path
from indexer.indexing.pipeline import Options, index_paths
from indexer.library_on_server import open_library_for_writing
from recommender.server.indexing.child_process import Parent

if TYPE_CHECKING:
    from collections.abc import Callable

    from indexer.indexing.executor import Progress
    from indexer.library import Library

NICE = 10
"""How far a run over folders steps back behind those who wait for answers."""
SAY_S = 0.2
"""Seconds between two progresses that are told, at least."""


def main() -> None:
    """Do the run that the server asks for, and tell how far it is and what came of it."""
    parent = Parent()
    if parent.request["folders"]:  # For a single file somebody waits.
        os.nice(NICE)
    try:
        parent.say(ended=_run(parent))
    except SoundalikeError as error:
        parent.say(error=str(error), kind=type(error).__name__)


def run_request(
    catalog: str, folders: list[bytes], files: dict[bytes, str | None], *, retry_failed: bool
) -> dict[str, Any]:
    """A request as `main` reads it.

    Parameters
    ----------
    files : dict of bytes to str or None
        Paths of single files, with their keys.
    """
    return {
        "catalog": catalog,
        "folders": [os.fsdecode(folder) for folder in folders],
        "files": {os.fsdecode(path): key for path, key in files.items()},
        "retry_failed": retry_failed,
    }


def _run(parent: Parent) -> dict[str, Any]:
    request = parent.request
    files: dict[str, str | None] = {
        path: key for path, key in request["files"].items() if os.path.exists(path)
    }
    folders, notes = _reachable(request["folders"])
    paths = [*folders, *files]
    if not paths:
        return {"counts": {}, "notes": notes}
    library = open_library_for_writing(request["catalog"], create=True)
    try:
        summary = index_paths(
            library,
            paths,
            options=Options(workers=max(1, processors() - 1), retry_failed=request["retry_failed"]),
            keys=_free_keys(library, files),
            on_progress=_throttled(parent),
            interrupted=parent.wants_end.is_set,
        )
    finally:
        library.close()
    return {"counts": summary.counts(), "notes": [*notes, *summary.notes()]}


def _reachable(folders: list[str]) -> tuple[list[str], list[str]]:
    """Folders that can be looked into, and a sentence for each of the others.

    Where none can, all are returned: the run says what is wrong with them.
    """
    there = [folder for folder in folders if os.path.isdir(folder)]
    if not there:
        return folders, []
    gone = [folder for folder in folders if folder not in there]
    return there, [
        f"{display_path(os.fsencode(folder))} cannot be reached: its tracks are left as they are"
        for folder in gone
    ]


def _free_keys(
    library: Library, files: dict[str, str | None]
) -> dict[str | bytes | os.PathLike[str], str]:
    """The keys of files that no other track has by now, each once."""
    paths: dict[str, bytes] = {}
    for path, key in files.items():
        if key is None:
            continue
        track = library.catalog.track_by_key(key)
        if track is None or track.path == os.fsencode(path):
            paths.setdefault(key, os.fsencode(path))
    return {path: key for key, path in paths.items()}


def _throttled(parent: Parent) -> Callable[[Progress], None]:
    """Tells of progress now and then, and at once of how many files there are and of the end."""
    said_at, total = 0.0, 0

    def say(progress: Progress) -> None:
        nonlocal said_at, total
        now = time.monotonic()
        is_news = progress.total != total or progress.done == progress.total > 0
        if now - said_at >= SAY_S or is_news:
            said_at, total = now, progress.total
            parent.say(progress=asdict(progress))

    return say


if __name__ == "__main__":
    main()
