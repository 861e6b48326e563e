"""A catalog in one SQLite file: `indexer.catalog.database.Database` of it.

Reading never waits for the one writer (WAL), and what a writer has committed is on disk
(`synchronous=FULL`).
"""

from __future__ import annotations

import threading
from contextlib import closing, contextmanager, nullcontext, suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from indexer.catalog.database import BLOCK, Rows, TitleMatches
from indexer.catalog.revisions import check_revision
from indexer.catalog.sqlite.file import (
    bring_up_to_date,
    check_header,
    connect,
    create_file,
    keep_in_step,
    no_catalog,
    revision_of,
    translate_errors,
    writing,
)
from indexer.catalog.sqlite.integrity import damage, require_whole_pages
from indexer.catalog.sqlite.lock import WriterLock
from indexer.catalog.sqlite.title_index import (
    bring_names_up_to_date,
    damaged_indexes,
    make_titles_again,
    title_faults,
)
from indexer.catalog.sqlite.title_queries import named_tracks, search_titles
from indexer.errors import CatalogError, CatalogMissing

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sqlalchemy import Connection, Engine

BATCH_IDS = 10_000
"""Ids per SQL statement: SQLite takes 32,766 parameters."""


class SqliteDatabase:
    """See `indexer.catalog.database.Database`, whose methods these are."""

    seen_from = ""

    def __init__(self, path: Path, engine: Engine, lock: WriterLock | None) -> None:
        self.path = path
        self.address = self.name = str(path)
        self._engine = engine
        self._lock = lock
        self._identity = _file_identity(path)
        self._watch = engine.raw_connection()
        self._watching = threading.Lock()
        self._beside: Engine | None = None

    @classmethod
    def open_for_reading(cls, path: Path) -> SqliteDatabase:
        """Open without ever blocking, or being blocked by, its writer.

        Raises
        ------
        CatalogMissing, NotACatalog, CatalogTooNew
        """
        if not path.exists():
            raise CatalogMissing(no_catalog(path))
        file = path.resolve()
        check_header(file)
        engine = connect(file, read_only=True)
        with translate_errors(file):
            check_revision(str(file), revision_of(engine))
            return cls(file, engine, None)

    @classmethod
    def open_for_writing(cls, path: Path, *, create: bool) -> SqliteDatabase:
        """Open as the only writer.

        Raises
        ------
        CatalogMissing, CatalogLocked, NotACatalog, CatalogTooNew, CatalogFull
        """
        exists = path.exists() and path.stat().st_size > 0
        if exists:
            check_header(path)
        elif not create:
            raise CatalogMissing(no_catalog(path))
        if not path.parent.is_dir():
            raise CatalogMissing(f"the folder {path.parent} for the catalog does not exist")
        file = path.resolve()
        lock = WriterLock(file)
        try:
            with suppress(OSError):
                file.with_name(file.name + ".draft").unlink(missing_ok=True)
            if not exists:
                create_file(file)
            engine = connect(file, read_only=False)
            with translate_errors(file):
                require_whole_pages(engine)
                bring_up_to_date(file, engine)
                keep_in_step(engine)
                return cls(file, engine, lock)
        except BaseException:
            lock.release()
            raise

    @property
    def writable(self) -> bool:
        return self._lock is not None

    def close(self) -> None:
        self._watch.close()
        self._engine.dispose()
        if self._beside is not None:
            self._beside.dispose()
        if self._lock is not None:
            self._lock.release()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self.translating(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        self._require_same_file()
        with self.translating(), writing(self._engine) as connection:
            yield connection
            bring_names_up_to_date(connection)

    @contextmanager
    def writing_beside(self) -> Iterator[Connection]:
        self._require_same_file()
        with self.translating(), writing(self._engine_beside()) as connection:
            yield connection

    def _engine_beside(self) -> Engine:
        """The engine of small transactions, made when the first of them comes."""
        if self.writable:
            return self._engine
        with self._watching:
            if self._beside is None:
                self._beside = connect(self.path, read_only=False)
                keep_in_step(self._beside)
            return self._beside

    def alone(self) -> AbstractContextManager[None]:
        return nullcontext()  # A writer of a file is.

    def translating(self) -> AbstractContextManager[None]:
        return translate_errors(self.path)

    def version(self) -> int:
        self._require_same_file()
        ((version,),) = self._ask("PRAGMA data_version")
        return int(version)

    def blocks(self, connection: Connection, statement: str) -> Iterator[Sequence[tuple[Any, ...]]]:
        cursor = connection.connection.cursor()
        cursor.execute(statement)
        while rows := cursor.fetchmany(BLOCK):
            yield rows

    def rows_of(
        self, query: Rows, column: Any, values: Sequence[int]
    ) -> Iterator[Sequence[tuple[Any, ...]]]:
        # Straight from a connection that is at hand: building the statement, taking a connection
        # from the pool and describing the result would take longer than a query may.
        statement = _with_condition(query, column)
        for start in range(0, len(values), BATCH_IDS):
            batch = values[start : start + BATCH_IDS]
            marks = ",".join("?" * len(batch))
            yield self._ask(f"{statement} IN ({marks})", batch)

    def rows_by_path(
        self, query: Rows, path: Any, within: Sequence[tuple[bytes, bytes]]
    ) -> Iterator[Sequence[tuple[Any, ...]]]:
        # Each block is read in a transaction of its own: whoever reads slowly, as beside a walk
        # over a network share, keeps no writer from taking over its log.
        name = path.expression
        block = f"{query} WHERE {name} >= ? AND {name} < ? ORDER BY {name} LIMIT {BLOCK}"
        for low, high in within:
            # Text sorts before blobs: damage of the first rows is read, too.
            start: bytes | str = low or ""
            more = True
            while more:
                with self.reading() as connection:
                    # Straight from the driver: a rescan of a large library spends its time here.
                    rows = connection.connection.cursor().execute(block, (start, high)).fetchall()
                yield rows
                more = len(rows) == BLOCK
                start = rows[-1][0] + b"\0" if more else start

    def search_titles(self, text: str) -> TitleMatches:
        with self.reading() as connection:
            return search_titles(connection, text)

    def named_tracks(self, text: str, *, most: int) -> list[int]:
        with self.reading() as connection:
            return named_tracks(connection, text, most=most)

    def make_titles_again(self, connection: Connection) -> None:
        make_titles_again(connection)

    def title_faults(self) -> list[str]:
        # The indexes are read whole where nobody else writes, and only counted otherwise.
        with self.reading() as connection:
            faults = title_faults(connection)
        with suppress(CatalogError), self._locked() as raw:
            faults += damaged_indexes(raw)
        return faults

    def damage(self) -> list[str]:
        with self.reading() as connection:
            return damage(connection)

    def _ask(self, statement: str, values: Sequence[int] = ()) -> list[tuple[Any, ...]]:
        """Rows that the connection at hand finds.

        One thread at a time, until nothing of the statement is left: a statement that calls a
        function of ours holds SQLite's lock of the connection and waits for Python's, while another
        thread that comes to the connection holds Python's and waits for SQLite's, for ever.
        """
        with self.translating(), self._watching, closing(self._watch.cursor()) as cursor:
            return list(cursor.execute(statement, values).fetchall())

    @contextmanager
    def _locked(self) -> Iterator[sqlite3.Connection]:
        """A connection that may write, and whose transaction is rolled back."""
        lock = None if self.writable else WriterLock(self.path)
        try:
            engine = connect(self.path, read_only=False)
            with self.translating(), closing(engine.raw_connection()) as connection:
                raw: Any = connection.dbapi_connection
                raw.execute("BEGIN")
                yield raw
                raw.execute("ROLLBACK")
            engine.dispose()
        finally:
            if lock is not None:
                lock.release()

    def _require_same_file(self) -> None:
        if _file_identity(self.path) != self._identity:
            raise CatalogError(
                f"{self.path} was moved or replaced while it was open: open it again"
            )


@lru_cache(maxsize=32)
def _with_condition(query: Rows, column: Any) -> str:
    return f"{query} {'WHERE' if query.whereclause is None else 'AND'} {column.expression}"


def _file_identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
