"""Digests of rows, so that a changed bit in any column of any table is found.

Every row has the CRC-32 of its other columns. Triggers of the writer's connection keep it up to
date; they are not part of the file, so that other programs can open it.
"""

from __future__ import annotations

import sqlite3
import zlib
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, Table, func, update

from indexer.catalog.schema import Base

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection


def add_digest_function(connection: sqlite3.Connection) -> None:
    """Let a connection compute `row_digest(column, ...)`."""
    connection.create_function("row_digest", -1, _row_digest, deterministic=True)


def add_digest_triggers(connection: sqlite3.Connection) -> None:
    """Let a connection store the digest of every row that it inserts or updates."""
    for table in Base.metadata.sorted_tables:
        columns = ", ".join(_data_columns(table))
        for name, occasion in (("insert", "INSERT"), ("update", f"UPDATE OF {columns}")):
            connection.execute(
                f"CREATE TEMP TRIGGER {table.name}_{name} AFTER {occasion} ON main.{table.name} "
                f"BEGIN {_set_digest(table)}; END"
            )


def _set_digest(table: Table) -> str:
    values = ", ".join(f"NEW.{name}" for name in _data_columns(table))
    where = "WHERE rowid = NEW.rowid"
    return f"UPDATE {table.name} SET digest = row_digest({values}) {where}"  # noqa: S608 - own names


def renew_digests(connection: Connection) -> None:
    """Compute the digests of all rows, as after their columns have become others."""
    for table in Base.metadata.sorted_tables:
        columns = (table.c[name] for name in _data_columns(table))
        connection.execute(update(table).values(digest=func.row_digest(*columns)))


def is_intact(row_class: type[Base]) -> ColumnElement[bool]:
    """SQL that is true for rows of a table whose digest is that of their columns."""
    columns = row_class.__table__.columns
    return columns["digest"] == func.row_digest(
        *(column for column in columns if column.name != "digest")
    )


def damaged_rows(connection: Connection) -> Iterator[str]:
    """One line for each row whose digest is not that of its columns."""
    for table in Base.metadata.sorted_tables:
        columns = ", ".join(_data_columns(table))
        where = f"digest IS NOT row_digest({columns})"
        query = f"SELECT rowid FROM {table.name} WHERE {where}"  # noqa: S608 - own names
        for row in connection.exec_driver_sql(query).scalars():
            yield f"row {row} of the table {table.name} has changed"


def require_intact(intact: object, row: str) -> None:
    """Refuse a row whose digest is not that of its columns, or that breaks their types.

    Raises
    ------
    sqlite3.DatabaseError
        See `malformed_row`.
    """
    if intact != 1:
        raise malformed_row(row)


def malformed_row(row: str) -> sqlite3.DatabaseError:
    """The error that SQLite raises for what it finds malformed itself, naming a row."""
    return sqlite3.DatabaseError(f"malformed row: {row}")


def _data_columns(table: Table) -> list[str]:
    return [column.name for column in table.columns if column.name != "digest"]


def _row_digest(*values: float | str | bytes | None) -> int:
    # Every row that a question reads is checked: bytes go in as they are, as writing those of an
    # embedding out took most of the time.
    kinds = ascii([(len(value),) if type(value) is bytes else value for value in values])
    blobs = b"".join([value for value in values if type(value) is bytes])
    return zlib.crc32(blobs, zlib.crc32(kinds.encode("ascii")))
