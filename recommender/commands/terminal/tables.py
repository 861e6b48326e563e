"""Tables of tracks and figures on stdout.

On a terminal a table is as wide as the terminal: its last column is cut, earlier ones are wrapped
if they must. Elsewhere it is plain aligned text, whole.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from recommender.commands.terminal.output import print_json, print_message, printable
from recommender.retrieval.lookup import display_folder, display_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recommender.retrieval.answers import Answer
    from recommender.retrieval.lookup import Named

LEAST_WIDTH = 30
"""Columns of characters that the last column of a table keeps on a narrow terminal."""


@dataclass(frozen=True)
class Cell:
    """Text of a table, and what is printed dimmed behind it."""

    text: str
    dimmed: str = ""

    def __str__(self) -> str:
        return f"{self.text}  {self.dimmed}" if self.dimmed else self.text


def track_cell(track: Named) -> Cell:
    """A track as every table names it: artist - title, or its file's name and folder."""
    folder = display_folder(track)
    return Cell(printable(display_name(track)), f"({printable(folder)})" if folder else "")


def print_answer(answer: Answer, *, as_json: bool) -> None:
    """Print neighbours as a table or as JSON."""
    if as_json:
        print_json(answer.to_json())
        return
    click.echo(f"sounds like {printable(answer.seed)}:")
    columns: dict[str, list[object]] = {
        "score": ["" if one.score is None else f"{one.score:.3f}" for one in answer],
        "cosine": [f"{one.cosine:.3f}" for one in answer],
        "id": [one.id for one in answer],
        "near-duplicates": [" ".join(str(other.id) for other in one.duplicates) for one in answer],
        "why": ["" if one.why is None else str(one.why) for one in answer],
        "track": [track_cell(one) for one in answer],
    }
    for optional in ("near-duplicates", "why"):
        if not any(columns[optional]):
            del columns[optional]
    print_table(tuple(columns), list(zip(*columns.values(), strict=True)))
    if answer.note is not None:
        print_message(answer.note)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; None is an empty cell."""
    cells = [[_cell(value) for value in row] for row in rows]
    if sys.stdout.isatty():
        _draw(columns, cells)
        return
    widths = [
        max(len(str(text)) for text in column) for column in zip(columns, *cells, strict=True)
    ]
    for line in (columns, *cells):
        click.echo("  ".join(str(c).ljust(w) for c, w in zip(line, widths, strict=True)).rstrip())


def _cell(value: object) -> Cell:
    if isinstance(value, Cell):
        return value
    return Cell("" if value is None else printable(str(value)))


def _draw(columns: Sequence[str], cells: Sequence[Sequence[Cell]]) -> None:
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    widths = [
        max(cell_len(str(text)) for text in column) for column in zip(columns, *cells, strict=True)
    ]
    left = console.width - sum(widths[:-1]) - 2 * (len(widths) - 1)
    for name in columns[:-1]:
        table.add_column(name)
    table.add_column(
        columns[-1], no_wrap=True, overflow="ellipsis", max_width=max(left, LEAST_WIDTH)
    )
    for row in cells:
        table.add_row(
            *(
                Text.assemble(cell.text, (f"  {cell.dimmed}" if cell.dimmed else "", "dim"))
                for cell in row
            )
        )
    console.print(table)
