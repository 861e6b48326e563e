"""Notices changes in folders, as a process of its own.

Watching a tree of 20,000 folders begins with a second in which no other thread of the process runs.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from indexer.audio.formats import AUDIO_SUFFIXES
from indexer.indexing.exclusions import is_hidden
from recommender.server.indexing.child_process import Parent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from threading import Event

GROUP_MS = 1_000
"""Milliseconds over which changes are gathered before they are told."""


def main() -> None:
    """Tell the numbers of folders in which something changes, until the server has enough.

    Before that, `began` once changes are noticed, or `blind` with the reason why they are not.
    """
    parent = Parent()
    began = False
    folders, own = parent.request["folders"], parent.request["own"]
    try:
        for changes in _changes([one for one in folders if os.path.isdir(one)], parent.wants_end):
            if not began:
                parent.say(began=True)
                began = True
            changed = changed_folders(folders, changes, own=own)
            if changed:
                parent.say(changed=changed)
    except Exception as error:  # noqa: BLE001 - whatever it is, the sweep goes on
        parent.say(blind=_reason(str(error)))


def watch_request(folders: Sequence[bytes], *, own: bytes) -> dict[str, Any]:
    """A request as `main` reads it.

    Parameters
    ----------
    own : bytes
        The catalog: what changes beside it under its name is nobody's music.
    """
    return {"folders": [os.fsdecode(folder) for folder in folders], "own": os.fsdecode(own)}


def _changes(folders: list[str], stop: Event) -> Iterator[list[tuple[str, bool]]]:
    """Paths that changed and whether they were deleted, gathered; an empty list now and then."""
    try:
        yield from _strict_changes(folders, stop)
    except PermissionError:
        yield from _strict_changes(folders, stop, pass_over_errors=True)


def _strict_changes(
    folders: list[str], stop: Event, *, pass_over_errors: bool = False
) -> Iterator[list[tuple[str, bool]]]:
    from watchfiles import Change, watch

    for changes in watch(
        *folders,
        watch_filter=None,
        debounce=GROUP_MS,
        rust_timeout=500,
        yield_on_timeout=True,
        stop_event=stop,
        raise_interrupt=False,
        # Whatever its name says, this passes over a system without watches, too.
        ignore_permission_denied=pass_over_errors,
    ):
        yield [(path, change is Change.deleted) for change, path in changes]


def _reason(error: str) -> str:
    """What a person can do about an error of the watcher."""
    if "watch limit" in error:
        return "the system has too few watches, raise fs.inotify.max_user_watches"
    if "Too many open files" in error:
        return "the system has too few watchers, raise fs.inotify.max_user_instances"
    return " ".join(error.split())


def changed_folders(
    folders: Sequence[str], changes: Iterable[tuple[str, bool]], *, own: str
) -> list[int]:
    """Numbers of the folders in which something changed that a scan would see.

    Parameters
    ----------
    changes : of path and whether it was deleted
    """
    found: set[int] = set()
    for path, deleted in changes:
        for number, folder in enumerate(folders):
            prefix = folder.rstrip("/") + "/"
            if path == folder or (
                path.startswith(prefix) and _counts(path.removeprefix(prefix), path, own, deleted)
            ):
                found.add(number)
    return sorted(found)


def _counts(below: str, path: str, own: str, deleted: bool) -> bool:  # noqa: FBT001
    """Whether a change can be one of music: of a file that may hold sound, or of a folder."""
    *folders, name = os.fsencode(below).split(b"/")
    stem = os.path.splitext(own)[0]
    if any(is_hidden(folder) for folder in folders) or path.startswith((own, f"{stem}.")):
        return False
    if name.rpartition(b".")[2].lower() in AUDIO_SUFFIXES:
        return True
    # Of what is gone nobody can say any more whether it was a folder.
    return not is_hidden(name) and (deleted or os.path.isdir(path))


if __name__ == "__main__":
    main()
