"""The catalog's file: what makes a SQLite file one of ours, and what its errors mean.

Connections run in WAL mode, so that nobody who reads waits for the one who writes, and with
`synchronous=FULL`, so that a commit survives a power cut.
"""

from __future__ import annotations

import os
import sqlite3
import urllib.parse
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import QueuePool, StaticPool

from indexer.catalog.revisions import check_revision, first_row, migrate
from indexer.catalog.schema import APPLICATION_ID, REVISIONS, Malformed
from indexer.catalog.sqlite.row_digests import (
    add_digest_function,
    add_digest_triggers,
    renew_digests,
)
from indexer.catalog.sqlite.title_index import add_name_functions, add_name_triggers
from indexer.errors import (
    CatalogFull,
    CatalogLocked,
    NotACatalog,
    ValueRefused,
)
from indexer.filesystem import atomic_write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

HEADER_BYTES = 100
_WRITING = "is_writing"
"""Execution option of transactions that write."""


def no_catalog(path: Path) -> str:
    """The sentence for a catalog that does not exist."""
    return f"there is no catalog at {path}: make one with `soundalike index FOLDER`"


def check_header(path: Path) -> None:
    """Refuse a file that is no catalog, by its first 100 bytes.

    Raises
    ------
    NotACatalog
    """
    # SQLite reads them: whoever else closes a file of a process takes away the locks by which
    # SQLite keeps other processes from deleting a log that this process reads.
    uri = f"{_uri(path)}?mode=ro&immutable=1"
    try:
        is_whole = path.stat().st_size >= HEADER_BYTES
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            (application,) = connection.execute("PRAGMA application_id").fetchone()
    except OSError as error:
        raise NotACatalog(f"{path} cannot be read ({error.strerror})") from error
    except sqlite3.OperationalError as error:
        raise NotACatalog(f"{path} cannot be read ({error})") from error
    except sqlite3.DatabaseError:
        is_whole = False
    if not is_whole:
        raise NotACatalog(f"{path} is not a database: name another catalog")
    if application != APPLICATION_ID:
        raise NotACatalog(f"{path} is a database of another program: name another catalog")


def connect(path: Path, *, read_only: bool) -> Engine:
    """An engine on an existing catalog's file; each transaction sees one state of it."""
    uri = f"{_uri(path)}?mode={'ro' if read_only else 'rw'}"
    log = path.with_name(path.name + "-wal")

    def open_file() -> sqlite3.Connection:
        connection = sqlite3.connect(uri, uri=True, timeout=30.0, check_same_thread=False)
        try:
            connection.execute("SELECT 1 FROM sqlite_master")
        except sqlite3.OperationalError as error:
            # Readers in WAL mode share a file beside the catalog. Where they may not make it,
            # nobody else can be writing, unless there is a log of something not yet taken over.
            connection.close()
            if not read_only or "locked" in str(error) or (log.exists() and log.stat().st_size > 0):
                raise
            frozen = f"{uri}&immutable=1"
            connection = sqlite3.connect(frozen, uri=True, check_same_thread=False)
        return connection

    engine = create_engine("sqlite://", creator=open_file, poolclass=QueuePool)
    _begin_explicitly(engine)

    @event.listens_for(engine, "connect")
    def _set_up(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA foreign_keys=ON")
        if not read_only:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")

    return engine


def keep_in_step(engine: Engine) -> None:
    """Let every new connection of an engine keep digests of rows and names of tracks in step."""

    @event.listens_for(engine, "connect")
    def _set_up(connection: sqlite3.Connection, _record: object) -> None:
        add_digest_triggers(connection)
        add_name_triggers(connection)

    engine.dispose()


def create_file(path: Path) -> None:
    """Write the file of an empty catalog: all of it, or nothing.

    Raises
    ------
    CatalogFull
    """
    engine = create_engine("sqlite://", poolclass=StaticPool)
    _begin_explicitly(engine)
    with engine.connect() as connection:
        memory: sqlite3.Connection = connection.connection.dbapi_connection  # type: ignore[assignment]  # typed for any driver
        memory.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        migrate(connection)
        add_digest_triggers(memory)
        connection.execute(first_row())
        connection.commit()
        content = memory.serialize()
    engine.dispose()
    try:
        with atomic_write(path, draft=path.with_name(path.name + ".draft")) as file:
            file.write(content)
    except OSError as error:
        raise CatalogFull(
            f"{path} cannot be written ({error.strerror}): free some space, or choose another "
            "path for the catalog"
        ) from error


def _uri(path: Path) -> str:
    return f"file:{urllib.parse.quote(os.fsencode(path))}"


def _begin_explicitly(engine: Engine) -> None:
    """Let a transaction hold all that is between its begin and its end, tables too.

    By itself Python's driver begins one before INSERT, UPDATE and DELETE only.
    """

    @event.listens_for(engine, "connect")
    def _set_up(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        add_digest_function(connection)
        add_name_functions(connection)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        is_writing = connection.get_execution_options().get(_WRITING, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")


def writing(engine: Engine) -> AbstractContextManager[Connection]:
    """A transaction that waits for others that write before it reads anything.

    One that has read first cannot write if another one has written meanwhile.
    """
    return engine.execution_options(**{_WRITING: True}).begin()


def revision_of(engine: Engine) -> str | None:
    """The schema that the file has; None when it has none yet."""
    with engine.connect() as connection:
        has_table = text("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'")
        if connection.execute(has_table).first() is None:
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def bring_up_to_date(path: Path, engine: Engine) -> None:
    """Bring an older catalog to the present schema, in one transaction.

    Raises
    ------
    NotACatalog, CatalogTooNew
    """
    revision = revision_of(engine)
    check_revision(str(path), revision)
    if revision != REVISIONS[-1]:
        with engine.begin() as connection:
            migrate(connection)
            renew_digests(connection)


_DAMAGE = (
    "not a database",
    "malformed",
    "fts5",
    "vtable constructor",
    "decode to UTF-8",
    "user-defined function",
    "no such",
)
"""Parts of SQLite's messages about a damaged file, also of what our digest function cannot read."""


@contextmanager
def translate_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into those of `indexer.errors`, with what to do about them."""
    try:
        yield
    except (OverflowError, UnicodeEncodeError) as error:
        raise ValueRefused(f"{path} cannot store a value ({error})") from error
    except (DatabaseError, sqlite3.DatabaseError, UnicodeDecodeError, Malformed) as error:
        cause = error.orig if isinstance(error, DatabaseError) else error
        message = str(cause)
        if (
            "full" in message
            or "readonly" in message
            or "disk I/O" in message
            or "unable to open" in message
        ):
            raise CatalogFull(
                f"{path} cannot be written ({message}): free some space or move the catalog; what "
                "was reported as stored is safe"
            ) from error
        if "locked" in message:
            raise CatalogLocked(f"{path} is in use by another program ({message})") from error
        # SQLite's own messages are not UTF-8 where they quote damage.
        if isinstance(error, UnicodeDecodeError) or any(sign in message for sign in _DAMAGE):
            raise NotACatalog(
                f"{path} is damaged ({message}): `soundalike verify` lists the damage; restore a "
                "copy, or move the file away and index again"
            ) from error
        raise
