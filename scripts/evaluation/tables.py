"""Figures with their intervals, as tables for people (Markdown) and for machines (JSON)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from recommender.evaluation.metrics import Hubness, Scores


@dataclass(frozen=True)
class Figure:
    """A measured number with its bootstrap interval, if it has one."""

    value: float
    low: float | None = None
    high: float | None = None


Cell: TypeAlias = "Figure | int | str | None"


@dataclass(frozen=True)
class Table:
    """Rows that were measured on the same tracks; a cell of None was not measured.

    Attributes
    ----------
    columns : tuple of str
        Names of the cells; the first column, the row's name, is not among them.
    rows : tuple of (name, cells)
    notes : str
        What the numbers are of.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    notes: str = ""


def figures_of(scores: Scores, *, seed: int) -> tuple[Figure, ...]:
    """The mean of each measure with its interval."""
    low, high = scores.interval(random_state=seed)
    return tuple(
        Figure(*(round(float(number), 4) for number in column))
        for column in zip(scores.means, low, high, strict=True)
    )


def figures_of_hubs(hubs: Hubness, *, seed: int) -> tuple[Cell, ...]:
    """Reach, skewness (with intervals) and the greatest hub's occurrences."""
    low, high = hubs.interval(random_state=seed)
    return (
        Figure(round(hubs.reach, 4), round(float(low[1]), 4), round(float(high[1]), 4)),
        Figure(round(hubs.skewness, 3), round(float(low[0]), 3), round(float(high[0]), 3)),
        hubs.largest,
    )


HUB_COLUMNS = ("reach", "skewness", "largest hub")


def as_markdown(table: Table) -> str:
    """The table as Markdown, its title as a heading, its notes below."""
    lines = [
        f"### {_escaped(table.title)}",
        "",
        f"| | {' | '.join(_escaped(column) for column in table.columns)} |",
        f"|---|{'---|' * len(table.columns)}",
    ]
    lines += [
        f"| {_escaped(name)} | {' | '.join(_shown(cell) for cell in cells)} |"
        for name, cells in table.rows
    ]
    return "\n".join([*lines, "", *([table.notes, ""] if table.notes else [])])


def as_json(table: Table) -> dict[str, object]:
    """The table as plain values, rows as mappings of column to cell."""
    return {
        "title": table.title,
        "notes": table.notes,
        "rows": [
            {"name": name, **dict(zip(table.columns, map(_plain, cells), strict=True))}
            for name, cells in table.rows
        ],
    }


def _plain(cell: Cell) -> object:
    if not isinstance(cell, Figure):
        return cell
    if math.isnan(cell.value):
        return None
    if cell.low is None:
        return cell.value
    return {"value": cell.value, "low": cell.low, "high": cell.high}


def _shown(cell: Cell) -> str:
    if cell is None or (isinstance(cell, Figure) and math.isnan(cell.value)):
        return "-"
    if isinstance(cell, Figure):
        decimals = 3 if abs(cell.value) < 10 else 1
        if cell.low is None or cell.high is None:
            return f"{cell.value:.{decimals}f}"
        return f"{cell.value:.{decimals}f} ({cell.low:.{decimals}f}-{cell.high:.{decimals}f})"
    return _escaped(cell) if isinstance(cell, str) else f"{cell:,}"


def _escaped(text: str) -> str:
    shown = "".join(char if char.isprintable() else "?" for char in text)
    return shown.replace("|", "\\|")
