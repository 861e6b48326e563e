"""The one-writer lock of a catalog: an advisory lock on a file beside it that names its holder."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from typing import IO, TYPE_CHECKING

from indexer.errors import CatalogFull, CatalogLocked

if TYPE_CHECKING:
    from pathlib import Path


class WriterLock:
    """Held from construction to `release`; the kernel lets go of it when the process dies.

    Parameters
    ----------
    catalog : Path
        The catalog's file; the lock lies beside it, with `.lock` appended.

    Raises
    ------
    CatalogLocked
        Another process holds it; the message says which.
    CatalogFull
        The folder may not be written, or its disk is full.
    """

    def __init__(self, catalog: Path) -> None:
        path = catalog.with_name(catalog.name + ".lock")
        try:
            self._file: IO[str] = path.open("a+", encoding="utf-8")
        except OSError as error:
            raise CatalogFull(
                f"the folder of {catalog} cannot be written ({error.strerror}): "
                "choose another path for the catalog"
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = self._holder()
            self._file.close()
            raise CatalogLocked(
                f"{catalog} is being written by {holder}: wait for it to end, then try again"
            ) from error
        self._sign()

    def _sign(self) -> None:
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        try:
            self._file.seek(0)
            self._file.truncate()
            json.dump(
                {"pid": os.getpid(), "host": socket.gethostname(), "since": since}, self._file
            )
            self._file.flush()
        except OSError:
            # A full disk: the lock itself holds, only the name of its holder cannot be written.
            return

    def _holder(self) -> str:
        self._file.seek(0)
        try:
            holder = json.loads(self._file.read())
            return f"process {holder['pid']} on {holder['host']} (since {holder['since']})"
        except (ValueError, KeyError, TypeError):
            return "another process"

    def release(self) -> None:
        """Let the next writer in."""
        self._file.close()
