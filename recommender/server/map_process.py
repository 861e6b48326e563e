"""The map of a library for clients, brought up to date by a process in the background.

The process is started when a client asks for the map and the catalog was written to since the last
time, not when the server starts: a library whose map nobody opens costs nothing. It opens the
catalog by itself, so that it holds no lock that answers wait for, and has a low priority.
Until it is done clients get the map as it was, without tracks that are gone.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING

from indexer.analysis.sandbox import WorkerContext, die_with_parent
from indexer.errors import QueryError
from recommender.collection.kept_map import (
    decode_map,
    encode_map,
    map_path,
    read_map,
    update_map,
    write_map,
)
from recommender.collection.library_map import FEWEST
from recommender.engine import Recommender
from recommender.retrieval.lookup import count_noun

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from recommender.collection.kept_map import KeptMap

PAUSE_S = 20.0
"""Seconds between two starts of the process, while a catalog is being written to."""

log = logging.getLogger(__name__)


class MapInBackground:
    """The map of a server's library. Several threads may use one; `close` ends its process.

    Parameters
    ----------
    catalog : Path
    recommender : Recommender
        Of this catalog.
    """

    def __init__(self, catalog: str, recommender: Recommender) -> None:
        self._catalog = catalog
        self._path = map_path(recommender.path)
        self._recommender = recommender
        self._lock = threading.Lock()
        self._kept: KeptMap | None = None
        self._shown: tuple[int, KeptMap | None, KeptMap] | None = None
        self._up_to: int | None = None
        self._asked: int | None = None
        self._began = -PAUSE_S
        self._process: SpawnProcess | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def is_updating(self) -> bool:
        """Whether a newer map is on its way."""
        with self._lock:
            return self._up_to != self._asked

    def current(self) -> KeptMap | None:
        """The map of the tracks that are there; None while the first one is being computed.

        Starts the process where the map is not that of the catalog as it is.

        Raises
        ------
        QueryError
            The catalog holds fewer than `FEWEST` tracks.
        """
        count = len(self._recommender)
        if count < FEWEST:
            raise QueryError(
                f"the catalog holds {count_noun(count, 'track')}: a map needs at least {FEWEST}"
            )
        version, stamp = self._recommender.version, self._recommender.stamp
        with self._lock:
            if self._up_to is None:
                self._kept, self._up_to = read_map(self._path), -1
            if self._kept is not None and not self._kept.suits(stamp):
                self._kept = None
            self._asked = version
            if version != self._up_to:
                self._start(version)
            if self._kept is None:
                return None
            if self._shown is None or self._shown[:2] != (version, self._kept):
                only = self._kept.only(self._recommender.ids())
                self._shown = version, self._kept, only
            return self._shown[2]

    def close(self) -> None:
        """End the process at once."""
        with self._lock:
            self._closed = True
            process, thread = self._process, self._thread
        if process is not None:
            process.kill()
        if thread is not None:
            thread.join()

    def _start(self, version: int) -> None:
        """Start the process unless it runs, or ran a moment ago."""
        if self._closed or self._process is not None or time.monotonic() < self._began + PAUSE_S:
            return
        self._began = time.monotonic()
        context = WorkerContext()
        receiver, sender = context.Pipe(duplex=False)
        older = None if self._kept is None else encode_map(self._kept)
        self._process = context.Process(
            target=_send_update, args=(sender, self._catalog, older), daemon=True
        )
        self._process.start()
        sender.close()
        self._thread = threading.Thread(target=self._receive, args=(receiver, version))
        self._thread.start()

    def _receive(self, receiver: Connection, version: int) -> None:
        """Wait for the newer map, and keep it."""
        process = self._process
        assert process is not None  # noqa: S101 - started just before
        with receiver:
            try:
                newer = decode_map(receiver.recv_bytes())
            except (EOFError, OSError, ValueError):
                newer = None
        process.join()
        with self._lock:
            self._process = None
            if newer is None:
                if not self._closed:
                    log.warning("the map was not computed (exit status %s)", process.exitcode)
                return
            older, self._kept, self._up_to = self._kept, newer, version
        if older is None or (older.stamp, older.version) != (newer.stamp, newer.version):
            write_map(self._path, newer)


def _send_update(sender: Connection, catalog: str, older: bytes | None) -> None:
    """In a process of its own: send the map of a catalog as it is now."""
    from threadpoolctl import threadpool_limits

    die_with_parent()
    os.nice(10)
    # One thread: others would wait for each other by spinning, on cores that answers need. The
    # variables are for libraries that are loaded later.
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with threadpool_limits(1), Recommender.open(catalog) as recommender:
        kept = None if older is None else decode_map(older)
        sender.send_bytes(encode_map(update_map(recommender, kept)))
