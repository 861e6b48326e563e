"""Files by URL, for worker processes: fetched whole into memory here, and opened there.

No process that decodes has anything to do with the network. It is given the path of a descriptor
of this process, of which the size and the time of modification are the size and the version of the
remote file.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from indexer.errors import AnalysisError, FetchFailed, InvalidOption
from indexer.filesystem import display_path
from indexer.remote_files import fetch, file_info

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

Result = TypeVar("Result")

MOST_BYTES = 1 << 30
"""Bytes held in memory at once, and of one file."""
_TRIES = 2
_PAUSE_S = 0.5
_POLL_S = 0.2


class Fetcher:
    """Threads that fetch files, each of which is held until its outcome is there.

    Parameters
    ----------
    threads : int
        Files that are fetched or held at a time.
    timeout_s : float
        How long one may take to be fetched.
    """

    def __init__(self, *, threads: int, timeout_s: float, most_bytes: int = MOST_BYTES) -> None:
        if sys.platform != "linux":
            raise InvalidOption("files by URL are analysed on Linux only: copy them to a disk")
        self._timeout_s = timeout_s
        self._most_bytes = most_bytes
        self._stopped = threading.Event()
        self._room = _Room(most_bytes, self._stopped)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="fetch")

    @property
    def held_bytes(self) -> int:
        """Bytes of files that are held now, or about to be."""
        return self._room.held

    @property
    def stopped(self) -> bool:
        """Whether all that is under way is to be given up."""
        return self._stopped.is_set()

    def submit(
        self, work: Callable[[bytes], Result | AnalysisError], url: bytes
    ) -> Future[Result | AnalysisError]:
        """Queue a file; `work` is applied to the path of its copy, and what it returns comes."""
        return self._threads.submit(self._apply, work, url)

    def close(self, *, at_once: bool) -> None:
        """End the threads: when all that waits is done, or as soon as can be."""
        if at_once:
            self._stopped.set()
        self._threads.shutdown(wait=True, cancel_futures=at_once)

    def _apply(
        self, work: Callable[[bytes], Result | AnalysisError], url: bytes
    ) -> Result | AnalysisError:
        try:
            with self._copy(url) as path:
                outcome = work(path)
        except FetchFailed as error:
            return error
        return _of_url(outcome, path, url) if isinstance(outcome, AnalysisError) else outcome

    @contextmanager
    def _copy(self, url: bytes) -> Iterator[bytes]:
        """The path of a copy of a file that is there as long as the context.

        Raises
        ------
        FetchFailed
        """
        with _one_failure(url):
            remote = file_info(url)
        size = self._most_bytes if remote.size is None else remote.size
        if size > self._most_bytes:
            raise FetchFailed(
                f"{display_path(url)} is larger than {self._most_bytes >> 20} MiB, which is held "
                "in memory at most: copy it to a disk and index it there",
                stage="fetch",
            )
        with self._room.hold(size):
            descriptor = os.memfd_create("soundalike")
            try:
                with _one_failure(url):
                    self._fill(descriptor, url, size, exactly=remote.size is not None)
                os.utime(descriptor, ns=(remote.version, remote.version))
                yield b"/proc/%d/fd/%d" % (os.getpid(), descriptor)
            finally:
                os.close(descriptor)

    def _fill(self, descriptor: int, url: bytes, size: int, *, exactly: bool) -> None:
        for tries_left in reversed(range(_TRIES)):
            try:
                os.ftruncate(descriptor, 0)
                fetch(
                    url,
                    descriptor,
                    most_bytes=size,
                    exactly=exactly,
                    timeout_s=self._timeout_s,
                    stopped=self._stopped.is_set,
                )
            except FileNotFoundError:
                raise
            except OSError:
                if not tries_left or self.stopped:
                    raise
                time.sleep(_PAUSE_S)
            else:
                return


class _Room:
    """Bytes that may be held at once, given out in the order they were asked for."""

    def __init__(self, most_bytes: int, stopped: threading.Event) -> None:
        self.held = 0
        self._most_bytes = most_bytes
        self._stopped = stopped
        self._turn = threading.Lock()
        self._freed = threading.Condition()

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Hold so many bytes, once there is room for them."""
        with self._turn, self._freed:
            while self.held + size > self._most_bytes:
                self._freed.wait(_POLL_S)
                if self._stopped.is_set():
                    raise CancelledError
            self.held += size
        try:
            yield
        finally:
            with self._freed:
                self.held -= size
                self._freed.notify()


@contextmanager
def _one_failure(url: bytes) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FetchFailed(
            f"{display_path(url)} cannot be fetched ({error.strerror or error}): the next run "
            "tries it again",
            stage="fetch",
        ) from error


def _of_url(error: AnalysisError, path: bytes, url: bytes) -> AnalysisError:
    """The error of a copy as that of the file."""
    message = str(error).replace(display_path(path), display_path(url))
    of_file = type(error)(message, stage=error.stage)
    of_file.__cause__ = error.__cause__
    return of_file
