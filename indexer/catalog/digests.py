"""Digests of rows, so that a changed bit in any column of any table is found.

Every row of a catalog in SQLite has the CRC-32 of its other columns. A server has checksums of
its own for what it keeps on disk; there the digests are 0 and not looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Boolean
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from indexer.catalog.schema import Malformed

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Table
    from sqlalchemy.sql.compiler import SQLCompiler

    from indexer.catalog.schema import Base


class _RowIsIntact(FunctionElement[bool]):
    """Whether the first argument, a digest, is that of the other ones."""

    inherit_cache = True
    type = Boolean()


@compiles(_RowIsIntact)
def _by_digest(element: _RowIsIntact, compiler: SQLCompiler, **options: Any) -> str:
    digest, *columns = (compiler.process(column, **options) for column in element.clauses)
    return f"{digest} = row_digest({', '.join(columns)})"


@compiles(_RowIsIntact, "postgresql")
def _by_server(element: _RowIsIntact, compiler: SQLCompiler, **options: Any) -> str:
    del element, compiler, options
    return "true"


def is_intact(row_class: type[Base]) -> ColumnElement[bool]:
    """SQL that is true for rows of a table whose digest is that of their columns."""
    columns = row_class.__table__.columns
    data = (column for column in columns if column.name != "digest")
    return _RowIsIntact(columns["digest"], *data)


def data_columns(table: Table) -> list[str]:
    """Names of the columns that a digest is made of, in their order."""
    return [column.name for column in table.columns if column.name != "digest"]


def require_intact(intact: object, row: str) -> None:
    """Refuse a row whose digest is not that of its columns, or that breaks their types.

    Raises
    ------
    Malformed
    """
    if intact != 1:
        raise malformed_row(row)


def malformed_row(row: str) -> Malformed:
    """The error for a row that has changed, naming it."""
    return Malformed(f"malformed row: {row}")
