"""How commands speak: answers on stdout, all else on stderr, colours only on a terminal."""

from __future__ import annotations

import json
import sys
import unicodedata
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recommender.retrieval.answers import Answer


def printable(text: str) -> str:
    """Text that cannot move a terminal's cursor: control characters are escaped."""
    return "".join(
        char.encode("unicode_escape").decode("ascii") if _moves_the_cursor(char) else char
        for char in text
    )


def _moves_the_cursor(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def say(sentence: str) -> None:
    """One sentence on stderr."""
    click.echo(f"soundalike: {printable(sentence)}", err=True)


def print_json(value: Any) -> None:
    """One JSON object on stdout."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    # JSON's own escapes, so that the value stays the same: also for a lone surrogate, of a name
    # that is not UTF-8, which cannot be printed.
    click.echo(
        "".join(
            json.dumps(char)[1:-1] if char != "\n" and _moves_the_cursor(char) else char
            for char in text
        )
    )


def print_answer(answer: Answer, *, as_json: bool) -> None:
    """Neighbours as a table or as JSON."""
    if as_json:
        print_json(answer.to_json())
        return
    click.echo(f"sounds like {printable(answer.seed)}:")
    columns: dict[str, list[object]] = {
        "score": ["" if one.score is None else f"{one.score:.3f}" for one in answer],
        "cosine": [f"{one.cosine:.3f}" for one in answer],
        "id": [one.id for one in answer],
        "artist": [one.artist for one in answer],
        "title": [one.title for one in answer],
        "key": [one.key for one in answer],
        "versions": [" ".join(str(other.id) for other in one.duplicates) for one in answer],
        "why": ["" if one.why is None else str(one.why) for one in answer],
    }
    for optional in ("versions", "why"):
        if not any(columns[optional]):
            del columns[optional]
    print_table(tuple(columns), list(zip(*columns.values(), strict=True)))
    if answer.note is not None:
        say(answer.note)


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
