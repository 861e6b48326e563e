"""The index runs of a server: what waits for one, the one under way, what came of the last."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, field
from signal import Signals
from typing import TYPE_CHECKING, Any

from indexer.catalog.status import TrackStatus
from indexer.filesystem import display_path, folder_prefix
from recommender.server.indexing import run_process
from recommender.server.indexing.child_process import Child

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from indexer.catalog.reader import Catalog

log = logging.getLogger(__name__)

RETRY_S = 15.0
"""Seconds until a run is tried again that failed; twice as long after each failure."""
MOST_RETRY_S = 600.0


@dataclass
class Waiting:
    """What the next run is to look at; each folder and file once.

    Attributes
    ----------
    folders : dict of bytes to bool
        Folders, and whether they were asked for: these are not tried again by themselves.
    files : dict of bytes to str or None
        Single files with their keys.
    retry_failed : bool
        Whether files that failed before are tried again.
    """

    folders: dict[bytes, bool] = field(default_factory=dict)
    files: dict[bytes, str | None] = field(default_factory=dict)
    retry_failed: bool = False

    def __len__(self) -> int:
        return len(self.folders) + len(self.files)

    @property
    def is_asked(self) -> bool:
        """Whether somebody waits for a folder in it."""
        return any(self.folders.values())


@dataclass
class Run:
    """The run under way; `child` is its process once that has started."""

    work: Waiting
    child: Child | None = None
    id: str = field(default_factory=lambda: secrets.token_hex(4))
    began: float = field(default_factory=time.monotonic)
    started_at: float = field(default_factory=time.time)
    progress: dict[str, int] = field(
        default_factory=lambda: {"scanned": 0, "total": 0, "done": 0, "failed": 0}
    )
    is_stopping: bool = False
    analysing_since: float | None = None

    def stop(self) -> None:
        """Let it end when the files in hand are written."""
        self.is_stopping = True
        if self.child is not None:
            self.child.stop()

    def update(self, progress: dict[str, int]) -> None:
        """Take what it tells of how far it is."""
        if progress["total"] and self.analysing_since is None:
            self.analysing_since = time.monotonic()
        self.progress = {**progress, "scanned": progress["scanned"] or self.progress["scanned"]}

    @property
    def seconds(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.began

    @property
    def eta_s(self) -> float | None:
        """Seconds until it ends at the rate so far; None while nobody can tell."""
        done, total = self.progress["done"], self.progress["total"]
        if self.analysing_since is None or not done:
            return None
        return (time.monotonic() - self.analysing_since) * (total - done) / done


class Bell:
    """Wakes whoever waits for the next change.

    Attributes
    ----------
    rings : int
        How often it was rung.
    """

    def __init__(self) -> None:
        self.rings = 0
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Wake all who wait."""
        self.rings += 1
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, seconds: float | None = None) -> None:
        """Wait for the next ring, for some seconds at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()


class IndexRuns:
    """One index run at a time over folders and files, in a process of its own.

    Not for several threads: it belongs to the server's event loop.

    Parameters
    ----------
    catalog : Catalog
        Tells which files are known.
    folders : function to list of bytes
        The folders that a run may be started for.
    on_indexed : function of a path
        Called for each single file that the catalog knows of.

    Attributes
    ----------
    changed : Bell
        Rung whenever `state` says something else.
    note : str or None
        What is wrong with watching, a sentence.
    """

    def __init__(
        self,
        catalog: Catalog,
        folders: Callable[[], list[bytes]],
        *,
        on_indexed: Callable[[bytes], None] = lambda _path: None,
        watching: bool = False,
    ) -> None:
        self._catalog = catalog
        self._folders = folders
        self._on_indexed = on_indexed
        self._watching = watching
        self._waiting = Waiting()
        self._run: Run | None = None
        self._last: dict[str, Any] | None = None
        self._failures = 0
        self._due = 0.0
        self._closing = False
        self.changed = Bell()
        self.note: str | None = None

    @property
    def folders(self) -> list[bytes]:
        """The folders that a run may be started for."""
        return self._folders()

    @property
    def is_running(self) -> bool:
        """Whether a run is under way."""
        return self._run is not None

    def ask(self, folders: Iterable[bytes], *, retry_failed: bool) -> bool:
        """Look at folders next; false where somebody has asked for a run that is not over."""
        if self._waiting.is_asked or (self._run is not None and self._run.work.is_asked):
            return False
        self._waiting.folders |= dict.fromkeys(folders, True)
        self._waiting.retry_failed = retry_failed
        self._failures, self._due = 0, 0.0
        self.changed.ring()
        return True

    def rescan(self, folder: bytes) -> None:
        """Look at a folder in which something may have changed, unless it waits already."""
        self._waiting.folders.setdefault(folder, False)
        self.changed.ring()

    def add(self, path: bytes, key: str | None) -> None:
        """Index a single file."""
        self._waiting.files[path] = key
        self._failures, self._due = 0, 0.0
        self.changed.ring()

    async def wait_for(self, path: bytes) -> None:
        """Wait until runs have done with a single file, one has failed, or until `close`."""
        while self.has(path) and not (self._closing or self._failures):
            await self.changed.wait()

    def has(self, path: bytes) -> bool:
        """Whether a single file waits or a run is at it."""
        return path in self._waiting.files or (
            self._run is not None and path in self._run.work.files
        )

    def stop(self) -> None:
        """End the run under way once the files in hand are written; forget folders that wait."""
        self._waiting.folders.clear()
        self._waiting.retry_failed = False
        if self._run is not None:
            self._run.stop()
        self.changed.ring()

    async def work(self) -> None:
        """Do what waits, until `close`."""
        while not self._closing:
            delay = self._due - time.monotonic()
            if not self._waiting:
                await self.changed.wait()
            elif delay > 0:
                await self.changed.wait(delay)
            else:
                await self._work_once()

    def close(self) -> None:
        """Begin no more runs and end the one under way."""
        self._closing = True
        self.stop()
        if self._run is not None and self._run.child is not None:
            self._run.child.end()

    def state(self) -> dict[str, Any]:
        """What goes on, as plain values; `last.message` may name whole paths."""
        run = self._run
        state = "idle"
        if run is not None:
            state = "running" if run.progress["total"] else "scanning"
            state = "stopping" if run.is_stopping else state
        return {
            "state": state,
            "run": None if run is None else self._run_json(run),
            "last": self._last,
            "watching": self._watching,
            "queued": len(self._waiting),
            "folders": [
                {"number": number, "name": folder_name(folder)}
                for number, folder in enumerate(self.folders)
            ],
            "note": self.note,
        }

    def _run_json(self, run: Run) -> dict[str, Any]:
        names = [folder_name(folder) for folder in run.work.folders]
        names += [folder_name(path) for path in run.work.files]
        return {
            "id": run.id,
            "folders": names,
            "started_at": run.started_at,
            **run.progress,
            "seconds": round(run.seconds, 3),
            "eta_s": None if run.eta_s is None else round(run.eta_s, 1),
        }

    async def _work_once(self) -> None:
        work, self._waiting = self._waiting, Waiting()
        self._run = run = Run(work)
        said: dict[str, Any] = {}
        try:
            run.child = child = await Child.start(
                run_process.__name__,
                run_process.run_request(
                    self._catalog.address,
                    list(work.folders),
                    work.files,
                    retry_failed=work.retry_failed,
                ),
            )
        except OSError as error:
            self._end(run, {"error": f"no process can be started ({error.strerror})"})
            return
        if self._closing:
            child.end()
        elif run.is_stopping:
            child.stop()
        self.changed.ring()
        async for message in child.messages():
            if "progress" in message:
                run.update(message["progress"])
                self.changed.ring()
            else:
                said = message
        status = await child.wait()
        self._end(run, said or {"error": _died(status)})

    def _end(self, run: Run, said: dict[str, Any]) -> None:
        """Note what came of a run, and let wait again what it did not do."""
        ended, work, stopped = said.get("ended"), run.work, run.is_stopping
        left = {path: key for path, key in work.files.items() if not self._is_settled(path)}
        for path in work.files.keys() - left.keys():
            self._on_indexed(path)
        self._waiting.files = {**left, **self._waiting.files}
        if ended is None and not stopped:
            log.warning("an index run failed: %s", said["error"])
            again = (folder for folder, asked in work.folders.items() if not asked)
            self._waiting.folders = {**dict.fromkeys(again, False), **self._waiting.folders}
        self._failures = self._failures + 1 if not stopped and (ended is None or left) else 0
        wait_s = min(RETRY_S * 2 ** (self._failures - 1), MOST_RETRY_S) if self._failures else 0.0
        self._due = time.monotonic() + wait_s
        self._last = {
            "ended_at": time.time(),
            "seconds": round(run.seconds, 3),
            "outcome": "stopped" if stopped else "failed" if ended is None else "done",
            "message": said["error"] if ended is None else "; ".join(ended["notes"]) or None,
            "counts": {} if ended is None else ended["counts"],
        }
        self._run = None
        self.changed.ring()

    def _is_settled(self, path: bytes) -> bool:
        """Whether a single file needs no other run: it is a track, it failed, or it is gone."""
        try:
            written_at = os.stat(path).st_mtime
        except OSError:
            return True
        track, failure = self._catalog.track_by_path(path), self._catalog.failure_of(path)
        if track is not None and track.status == TrackStatus.PRESENT:
            return True
        # One from before is that of another file of this name.
        return failure is not None and failure.failed_at >= written_at


def folder_name(folder: bytes) -> str:
    """The last part of a folder's path, for people."""
    return display_path(os.path.basename(folder_prefix(folder)[:-1])) or "/"


def _died(status: int) -> str:
    how = Signals(-status).name if status < 0 else f"exit status {status}"
    return f"the index run ended unexpectedly ({how}): start it again; it goes on where it was"
