"""Triggers of a connection that keep the digests of rows up to date; see `catalog.digests`.

They are not part of the file, so that other programs can open it.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from sqlalchemy import func, update

from indexer.catalog.digests import data_columns
from indexer.catalog.schema import Base

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from sqlalchemy import Connection, Table


def add_digest_function(connection: sqlite3.Connection) -> None:
    """Let a connection compute `row_digest(column, ...)`."""
    connection.create_function("row_digest", -1, _row_digest, deterministic=True)


def add_digest_triggers(connection: sqlite3.Connection) -> None:
    """Let a connection store the digest of every row that it inserts or updates."""
    for table in Base.metadata.sorted_tables:
        columns = ", ".join(data_columns(table))
        for name, occasion in (("insert", "INSERT"), ("update", f"UPDATE OF {columns}")):
            connection.execute(
                f"CREATE TEMP TRIGGER {table.name}_{name} AFTER {occasion} ON main.{table.name} "
                f"BEGIN {_set_digest(table)}; END"
            )


def renew_digests(connection: Connection) -> None:
    """Compute the digests of all rows, as after their columns have become others."""
    for table in Base.metadata.sorted_tables:
        columns = (table.c[name] for name in data_columns(table))
        connection.execute(update(table).values(digest=func.row_digest(*columns)))


def damaged_rows(connection: Connection) -> Iterator[str]:
    """One line for each row whose digest is not that of its columns."""
    for table in Base.metadata.sorted_tables:
        columns = ", ".join(data_columns(table))
        where = f"digest IS NOT row_digest({columns})"
        query = f"SELECT rowid FROM {table.name} WHERE {where}"  # noqa: S608 - own names
        for row in connection.exec_driver_sql(query).scalars():
            yield f"row {row} of the table {table.name} has changed"


def _set_digest(table: Table) -> str:
    values = ", ".join(f"NEW.{name}" for name in data_columns(table))
    where = "WHERE rowid = NEW.rowid"
    return f"UPDATE {table.name} SET digest = row_digest({values}) {where}"  # noqa: S608 - own names


def _row_digest(*values: float | str | bytes | None) -> int:
    # Every row that a question reads is checked: bytes go in as they are, as writing those of an
    # embedding out took most of the time.
    kinds = ascii([(len(value),) if type(value) is bytes else value for value in values])
    blobs = b"".join([value for value in values if type(value) is bytes])
    return zlib.crc32(blobs, zlib.crc32(kinds.encode("ascii")))
