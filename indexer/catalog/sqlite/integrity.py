"""Damage of a catalog's file: by SQLite's own checks, and by the digests of its rows."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DatabaseError

from indexer.catalog.sqlite.row_digests import damaged_rows

if TYPE_CHECKING:
    from collections.abc import Iterator


def damage(connection: Connection) -> list[str]:
    """All damage that can be found, a line each; empty when there is none."""
    found: list[str] = []
    for check in (_page_damage, _dangling_rows, damaged_rows):
        try:
            found += check(connection)
        except DatabaseError as error:
            found.append(str(error.orig))
    return found


def require_whole_pages(engine: Engine) -> None:
    """Refuse a file that SQLite's quick check finds damaged.

    Raises
    ------
    sqlite3.DatabaseError
    """
    with engine.connect() as connection:
        found = connection.execute(text("PRAGMA quick_check(1)")).scalar_one()
    if found != "ok":
        raise sqlite3.DatabaseError(f"malformed: {found}")


def _page_damage(connection: Connection) -> Iterator[str]:
    for line in connection.execute(text("PRAGMA integrity_check")).scalars():
        if line != "ok":
            yield str(line)


def _dangling_rows(connection: Connection) -> Iterator[str]:
    for row in connection.execute(text("PRAGMA foreign_key_check")):
        yield f"row {row[1]} of the table {row[0]} refers to a row that is not there"
