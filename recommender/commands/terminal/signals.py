"""Ctrl-C and SIGTERM, which end a command when what it has in hand is written."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from recommender.commands.terminal.output import print_message

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def clean_end() -> Iterator[list[int]]:
    """Collect the first Ctrl-C or SIGTERM for a clean end; a second one ends at once."""
    caught: list[int] = []

    def catch(number: int, _frame: object) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)
        print_message("stopping when the files in hand are written; once more stops at once")

    before = {number: signal.signal(number, catch) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
