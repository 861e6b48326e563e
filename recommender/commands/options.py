"""Options that several commands share, and values as people write them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

catalog_option = click.option(
    "--catalog",
    default="catalog.db",
    show_default=True,
    envvar="SOUNDALIKE_CATALOG",
    show_envvar=True,
    help="The catalog's file.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Answer in JSON on stdout.")
count_option = click.option(
    "-n", "--count", default=10, show_default=True, help="How many neighbours."
)
workers_option = click.option(
    "--workers",
    type=click.IntRange(1, 1024),
    help="Worker processes. [default: one a processor]",
)


def limit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that bound what one file may cost."""
    command = click.option(
        "--timeout",
        type=click.IntRange(1, 86_400),
        default=300,
        show_default=True,
        help="Seconds that one file may take.",
    )(command)
    return click.option(
        "--memory",
        type=click.IntRange(64, 1 << 20),
        default=1024,
        show_default=True,
        help="MiB that one file may take beyond the model.",
    )(command)


def playlist_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that write its tracks as a playlist: out, relative, force."""
    command = click.option(
        "--force", is_flag=True, help="Let FILE replace one that is not a playlist."
    )(command)
    command = click.option(
        "--relative/--absolute",
        default=False,
        help="Whether the playlist's paths count from its own folder.  [default: absolute]",
    )(command)
    return click.option(
        "--out",
        metavar="FILE",
        help="Also write the tracks as a playlist: .m3u8 or .json; - prints an M3U8 alone.",
    )(command)


def as_seconds(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> float | None:
    """A click callback: a time such as 90, 90s, 30m, 2h or 1h30m in seconds."""
    if value is None:
        return None
    fit = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", value.strip())
    if fit is None or not any(fit.groups()):
        raise click.BadParameter(f"{value!r} is no duration: write 90s, 30m, 2h or 1h30m")
    hours, minutes, seconds = (int(part or 0) for part in fit.groups())
    return float(3600 * hours + 60 * minutes + seconds)
