"""Opening the database of a catalog: a file, or one on a PostgreSQL server, by its address."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from indexer.catalog.address import is_on_server

if TYPE_CHECKING:
    import os

    from indexer.catalog.database import Database


def exists(address: str | os.PathLike[str]) -> bool:
    """Whether there may be a catalog: a server has to be asked."""
    return is_on_server(address) or Path(address).exists()


def open_for_reading(address: str | os.PathLike[str]) -> Database:
    """Open an existing catalog without ever waiting for its writers.

    Raises
    ------
    CatalogMissing, NotACatalog, CatalogTooNew, CatalogUnreachable
    """
    if is_on_server(address):
        from indexer.catalog.postgres.database import PostgresDatabase

        return PostgresDatabase.open_for_reading(str(address))
    from indexer.catalog.sqlite.database import SqliteDatabase

    return SqliteDatabase.open_for_reading(Path(address))


def open_for_writing(address: str | os.PathLike[str], *, create: bool = False) -> Database:
    """Open a catalog to write it, bringing its tables up to date.

    Raises
    ------
    CatalogMissing
        There is none and `create` is false.
    CatalogLocked
        Another process is writing it.
    NotACatalog, CatalogTooNew, CatalogFull, CatalogUnreachable
    """
    if is_on_server(address):
        from indexer.catalog.postgres.database import PostgresDatabase

        return PostgresDatabase.open_for_writing(str(address), create=create)
    from indexer.catalog.sqlite.database import SqliteDatabase

    return SqliteDatabase.open_for_writing(Path(address), create=create)
