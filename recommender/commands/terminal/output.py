"""What commands print: answers and JSON on stdout, messages on stderr."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import click


def printable(text: str) -> str:
    """Text with control characters escaped, so that it cannot move a terminal's cursor."""
    return "".join(
        char.encode("unicode_escape").decode("ascii") if _is_control(char) else char
        for char in text
    )


def _is_control(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def print_message(sentence: str) -> None:
    """Print one sentence on stderr."""
    click.echo(f"soundalike: {printable(sentence)}", err=True)


def print_json(value: Any) -> None:
    """Print one JSON object on stdout."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    # JSON's own escapes, so that the value stays the same: also for a lone surrogate, of a name
    # that is not UTF-8, which cannot be printed.
    click.echo(
        "".join(
            json.dumps(char)[1:-1] if char != "\n" and _is_control(char) else char for char in text
        )
    )


def duration(seconds: float) -> str:
    """Seconds as people read them: 3.2 s, 4 min 10 s, 2 h 5 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
