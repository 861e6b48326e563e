"""Progress of long commands: one bar on stderr, and nothing where that is no terminal."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import TaskID


class ShowProgress(Protocol):
    """Shows how far a step of a command is.

    Parameters
    ----------
    step : str
        What is done, such as "indexing"; another one than before takes its line.
    done, total : int
        Items of the step; a total of 0 is not known yet.
    note : str
        Follows the numbers.
    """

    def __call__(self, step: str, done: int, total: int, note: str = "") -> None:
        """Draw it."""


@contextmanager
def progress_bar() -> Iterator[ShowProgress]:
    """Give a function that draws the current step, its numbers, its rate and the time left."""
    if not sys.stderr.isatty():
        yield lambda _step, _done, _total, _note="": None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[numbers]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        tasks: dict[str, TaskID] = {}

        def show(step: str, done: int, total: int, note: str = "") -> None:
            if step not in tasks:
                for earlier in tasks.values():
                    bar.update(earlier, visible=False)
                tasks[step] = bar.add_task(step, total=None, numbers="")
            task = tasks[step]
            speed = next(one.speed for one in bar.tasks if one.id == task)
            numbers = f"{done} of {total}" if total else f"{done}"
            rate = f", {speed:.1f}/s" if speed and total else ""
            bar.update(task, completed=done, total=total or None, numbers=f"{numbers}{note}{rate}")

        yield show
