"""Options that steer by words beside the seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable


def steering_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the words that its answers are to fit more or less: more, less."""
    command = click.option(
        "--less",
        multiple=True,
        metavar="WORD",
        help="Like the seeds, but with less of this: vocals; can be repeated.",
    )(command)
    return click.option(
        "--more",
        multiple=True,
        metavar="WORD",
        help="Like the seeds, but with more of this: calm, piano, faster; can be repeated.",
    )(command)
