"""How commands speak: answers on stdout, all else on stderr, colours only on a terminal."""

from __future__ import annotations

import json
import sys
import unicodedata
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recommender.answers import Answer


def printable(text: str) -> str:
    """Text that cannot move a terminal's cursor: control characters are escaped."""
    return "".join(
        char.encode("unicode_escape").decode("ascii")
        if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        else char
        for char in text
    )


def say(sentence: str) -> None:
    """One sentence on stderr."""
    click.echo(f"soundalike: {printable(sentence)}", err=True)


def print_json(value: Any) -> None:
    """One JSON object on stdout."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    # A lone surrogate, of a name that is not UTF-8, cannot be printed but can be escaped.
    click.echo(text.encode("utf-8", errors="backslashreplace").decode("utf-8"))


def print_answer(answer: Answer, *, as_json: bool) -> None:
    """Neighbours as a table or as JSON."""
    if as_json:
        print_json(answer.to_json())
        return
    click.echo(f"sounds like {printable(answer.seed)}:")
    print_table(
        ("cosine", "id", "artist", "title", "key"),
        [(f"{one.cosine:.3f}", one.id, one.artist, one.title, one.key) for one in answer],
    )


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table: drawn on a terminal, plain aligned text elsewhere."""
    cells = [[printable("" if cell is None else str(cell)) for cell in row] for row in rows]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(*columns, box=None, header_style="bold")
        for row in cells:
            table.add_row(*(Text(cell) for cell in row))
        Console().print(table)
        return
    lines = [list(columns), *cells]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    for line in lines:
        click.echo("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip())


def duration(seconds: float) -> str:
    """Seconds as people read them: 3.2 s, 4 min 10 s, 2 h 5 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
