"""Tables as data and as plain text."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TypeAlias

Cell: TypeAlias = str | int | float | None

WIDTH = 100
"""Columns of the text below a table."""


@dataclass(frozen=True)
class Table:
    """Rows under a title; a cell of None was not measured. Each line of the notes is one note."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: str = ""


def plain_text(table: Table) -> str:
    """A table for a terminal: numbers to the right, words to the left."""
    shown = [[as_text(cell) for cell in row] for row in table.rows]
    widths = [
        max(len(line[column]) for line in [table.columns, *shown])
        for column in range(len(table.columns))
    ]
    wordy = [
        any(isinstance(row[column], str) for row in table.rows)
        for column in range(len(table.columns))
    ]

    def line(cells: list[str] | tuple[str, ...]) -> str:
        aligned = [
            cell.ljust(width) if is_wordy else cell.rjust(width)
            for cell, width, is_wordy in zip(cells, widths, wordy, strict=True)
        ]
        return "  ".join(aligned).rstrip()

    rule = "  ".join("-" * width for width in widths)
    lines = [table.title, "", line(table.columns), rule, *[line(row) for row in shown]]
    return "\n".join([*lines, *map(_wrapped, table.notes.splitlines())]) + "\n"


def _wrapped(note: str) -> str:
    return textwrap.fill(note, WIDTH, initial_indent="* ", subsequent_indent="  ")


def as_text(cell: Cell) -> str:
    """A cell as it is shown: three significant digits, thousands apart, "-" for None."""
    if cell is None:
        return "-"
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int) or abs(cell) >= 100:
        return f"{cell:,.0f}"
    decimals = 1 if abs(cell) >= 10 else 2 if abs(cell) >= 1 else 3
    return f"{cell:.{decimals}f}"
