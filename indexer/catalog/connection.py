"""The catalog's file: what makes a SQLite file one of ours, and what its errors mean.

Connections run in WAL mode, so that nobody who reads waits for the one who writes, and with
`synchronous=FULL`, so that a commit survives a power cut.
"""

from __future__ import annotations

import os
import sqlite3
import time
import urllib.parse
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import Engine, create_engine, event, insert, select, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import QueuePool

from indexer.catalog.schema import APPLICATION_ID, REVISIONS, CatalogRow
from indexer.errors import (
    CatalogFull,
    CatalogLocked,
    CatalogTooNew,
    NotACatalog,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def no_catalog(path: Path) -> str:
    """The sentence for a catalog that does not exist."""
    return f"there is no catalog at {path}: make one with `soundalike index FOLDER`"


def check_header(path: Path) -> None:
    """Refuse a file that is no catalog, by its first 100 bytes.

    Raises
    ------
    NotACatalog
    """
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except OSError as error:
        raise NotACatalog(f"{path} cannot be read ({error.strerror})") from error
    if not header.startswith(b"SQLite format 3\0") or len(header) < 100:
        raise NotACatalog(f"{path} is not a database: name a catalog with --catalog")
    if int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise NotACatalog(f"{path} is a database of another program: name a catalog with --catalog")


def connect(path: Path, *, read_only: bool) -> Engine:
    """An engine on the file; one that is new gets our application id."""
    uri = f"file:{urllib.parse.quote(os.fsencode(path))}?mode={'ro' if read_only else 'rwc'}"
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

    @event.listens_for(engine, "connect")
    def _set_up(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA foreign_keys=ON")
        if not read_only:
            if connection.execute("PRAGMA page_count").fetchone() == (0,):
                # Before WAL: readers look for it in the file itself, which WAL writes later.
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")

    return engine


def revision_of(engine: Engine) -> str | None:
    """The schema that the file has; None when it has none yet."""
    with engine.connect() as connection:
        has_table = text("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'")
        if connection.execute(has_table).first() is None:
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def check_revision(path: Path, revision: str | None) -> None:
    """Refuse a schema that cannot be read.

    Raises
    ------
    NotACatalog, CatalogTooNew
    """
    if revision is None:
        raise NotACatalog(f"{path} holds no catalog: make one with `soundalike index`")
    if revision not in REVISIONS:
        raise CatalogTooNew(
            f"{path} was written by a newer soundalike (schema {revision}, this program knows up "
            f"to {REVISIONS[-1]}): upgrade soundalike"
        )


def bring_up_to_date(path: Path, engine: Engine) -> None:
    """Make the tables of a new file, or bring those of an older one to the present schema.

    Raises
    ------
    CatalogTooNew
    """
    revision = revision_of(engine)
    if revision == REVISIONS[-1]:
        return
    if revision is not None and revision not in REVISIONS:
        check_revision(path, revision)
    from alembic import command
    from alembic.config import Config

    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", "indexer.catalog:migrations")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        if connection.execute(select(CatalogRow.id)).first() is None:
            connection.execute(
                insert(CatalogRow).values(
                    id=1, uuid=str(uuid.uuid4()), change=0, created_at=time.time()
                )
            )


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into those of `indexer.errors`, with what to do about them."""
    try:
        yield
    except (DatabaseError, sqlite3.DatabaseError) as error:
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
        if "not a database" in message or "malformed" in message:
            raise NotACatalog(
                f"{path} is damaged ({message}): restore a copy, or move it away and index again"
            ) from error
        raise
