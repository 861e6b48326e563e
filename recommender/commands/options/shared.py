"""Options that several commands share, and durations as people write them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

_VECTORS = "soundalike.vectors"
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_TIME = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):([0-5]\d)")

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
count_option = click.option(
    "-n", "--count", default=10, show_default=True, help="How many neighbours."
)
random_state_option = click.option(
    "--random-state",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of the random generator; the same one gives the same result.",
)
workers_option = click.option(
    "--workers",
    type=click.IntRange(1, 1024),
    help="Worker processes. [default: one a processor]",
)


def catalog_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the catalog's address, and with it where its vectors are searched."""
    command = click.option(
        "--vectors",
        type=click.Choice(["file", "pgvector"]),
        default="file",
        show_default=True,
        is_eager=True,
        expose_value=False,
        callback=_keep_vectors,
        help="Where vectors are searched: in a file of this machine, or by the catalog's server.",
    )(command)
    return click.option(
        "--catalog",
        metavar="CATALOG",
        default="catalog.db",
        show_default=True,
        envvar="SOUNDALIKE_CATALOG",
        show_envvar=True,
        callback=_with_vectors,
        help="File of the catalog, or postgresql://USER@HOST/DATABASE.",
    )(command)


def _keep_vectors(context: click.Context, _parameter: click.Parameter, value: str) -> None:
    context.meta[_VECTORS] = value


def _with_vectors(context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """A click callback: the catalog's address, which says where its vectors are searched."""
    if context.meta[_VECTORS] == "file":
        return value
    from indexer.catalog.address import with_vectors_on_server

    return with_vectors_on_server(value)


def limit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that limit the analysis of one file: timeout, memory."""
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
    """A click callback: a time such as 90s, 30m, 2h, 1h30m or 3:00 in seconds."""
    if value is None:
        return None
    seconds = in_seconds(value.strip())
    if seconds is None:
        raise click.BadParameter(f"{value!r} is no duration: write 90s, 30m, 2h or 1h30m")
    return seconds


def in_seconds(text: str) -> float | None:
    """A time such as 90s, 1m30s, 1:30, 2h or 7d in seconds; None where it is none."""
    clock = _CLOCK.fullmatch(text)
    if clock is not None:
        hours, minutes, seconds = (int(part or 0) for part in clock.groups())
        return float(3600 * hours + 60 * minutes + seconds)
    parts = _TIME.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
