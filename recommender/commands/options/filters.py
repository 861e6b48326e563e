"""Options that filter the tracks that may be answers, and options that rank them.

`where_options` hands a command `where`, a `Where`; `ranking_options` hands it `ranking`.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from recommender.commands.options.shared import in_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

_LEVEL = re.compile(r"([^>]*[^>\s])\s*(?:>=?\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+))?\s*")
_DECADE = re.compile(r"((?:19|20)?\d0)s")
_YEARS = re.compile(r"(\d{1,4})?(?:\s*(-)\s*(\d{1,4})?)?", re.ASCII)
_SAME_TEMPO = 0.04


def where_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a filter, and the filter as `where`."""

    @wraps(command)
    def with_where(
        *args: Any,
        year: tuple[int | None, int | None] | None,
        duration: tuple[float | None, float | None] | None,
        tag: tuple[str, ...],
        **options: Any,
    ) -> Any:
        from recommender.retrieval.where import Where

        given = {name: options.pop(name) for name in ("artist", "album", "genre", "exclude")}
        where = Where(
            **given,
            year=year,
            duration_s=duration,
            tempo=options.pop("tempo"),
            musical_key=options.pop("musical_key"),
            tags=tuple(_tag_level(text) for text in tag),
            added_since=options.pop("added_since"),
        )
        return command(*args, where=where, **options)

    for option in reversed(
        (
            click.option("--artist", multiple=True, help="Only this artist; can be repeated."),
            click.option("--album", multiple=True, help="Only this album; can be repeated."),
            click.option(
                "--genre",
                multiple=True,
                help="Only this genre, by the files' own tags; can be repeated.",
            ),
            click.option(
                "--year", callback=_years, metavar="FROM-TO", help="E.g. 1990-1999, 1994 or 90s."
            ),
            click.option("--duration", callback=_range, metavar="FROM-TO", help="E.g. 2m-5m."),
            click.option(
                "--tempo",
                callback=_tempi,
                metavar="FROM-TO",
                help="BPM, e.g. 90-110; 92 means 4 % around it.",
            ),
            click.option(
                "--musical-key", multiple=True, metavar="KEY", help='E.g. "A minor", F#m or Bb.'
            ),
            click.option(
                "--tag",
                multiple=True,
                metavar="TAG>LEVEL",
                help="Only the tenth of the library with the highest probability of this tag, or "
                "the tracks that reach a probability: 'piano>0.3'.",
            ),
            click.option(
                "--added-since",
                callback=_since,
                metavar="WHEN",
                help="Into the catalog, e.g. 2026-01-31 or 7d.",
            ),
            click.option(
                "--exclude",
                multiple=True,
                metavar="ID|KEY",
                help="Not this track; can be repeated.",
            ),
        )
    ):
        with_where = option(with_where)
    return with_where


def ranking_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a ranking, and the ranking as `ranking`."""

    @wraps(command)
    def with_ranking(
        *args: Any,
        diversity: float,
        per_artist: int | None,
        per_album: int | None,
        min_score: float | None,
        collapse: bool,
        local_scaling: bool,
        **options: Any,
    ) -> Any:
        from recommender.retrieval.ranking import Ranking

        ranking = Ranking(
            diversity=diversity,
            per_artist=per_artist,
            per_album=per_album,
            collapse=collapse,
            min_score=min_score,
            local_scaling=local_scaling,
        )
        return command(*args, ranking=ranking, **options)

    for option in reversed(
        (
            click.option(
                "--diversity",
                type=click.FloatRange(0, 1),
                default=0.0,
                show_default=True,
                help="0: the nearest; towards 1: less like each other (MMR).",
            ),
            click.option(
                "--per-artist", type=click.IntRange(min=1), help="Tracks of one artist at most."
            ),
            click.option(
                "--per-album", type=click.IntRange(min=1), help="Tracks of one album at most."
            ),
            click.option(
                "--min-score",
                type=click.FloatRange(0, 1),
                help="Least score: 0.99 is more alike than 99 % of random pairs.",
            ),
            click.option(
                "--collapse/--no-collapse",
                default=True,
                show_default=True,
                help="Whether near-duplicates are folded into one answer.",
            ),
            click.option(
                "--local-scaling",
                is_flag=True,
                help="Rank by cosine relative to each track's own neighbourhood: fewer hubs.",
            ),
        )
    ):
        with_ranking = option(with_ranking)
    return with_ranking


def _range(
    _context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[float | None, float | None] | None:
    """A click callback: 90-110, 90- or -110, in plain numbers or times such as 2m or 1:30."""
    if value is None:
        return None
    low, dash, high = value.strip().partition("-")
    least, most = (_number(part) if part.strip() else None for part in (low, high))
    unreadable = any(bound is None and part.strip() for bound, part in ((least, low), (most, high)))
    if unreadable or not dash or (least is None and most is None):
        raise click.BadParameter(f"{value!r} is no range: write {parameter.metavar}, FROM- or -TO")
    return least, most


def _years(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> tuple[int | None, int | None] | None:
    """A click callback: a range of years, one year, or a decade such as 90s or 1990s."""
    if value is None:
        return None
    decade = _DECADE.fullmatch(value.strip())
    if decade is not None:
        first = int(decade[1])
        first += (1900 if first > 20 else 2000) if first < 100 else 0
        return first, first + 9
    years = _YEARS.fullmatch(value.strip())
    if years is None or not (years[1] or years[3]):
        raise click.BadParameter(f"{value!r} is no range: write 1990-1999, 1990-, -1999 or 90s")
    low = int(years[1]) if years[1] else None
    high = int(years[3]) if years[3] else None
    return low, high if years[2] else low


def _tempi(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[float | None, float | None] | None:
    """A click callback: a range of tempi, or one tempo and 4 % around it."""
    around = None if value is None else _number(value)
    if around is None:
        return _range(context, parameter, value)
    return around * (1 - _SAME_TEMPO), around * (1 + _SAME_TEMPO)


def _number(text: str) -> float | None:
    text = text.strip()
    if re.fullmatch(r"\d+(?:\.\d+)?", text):
        return float(text)
    return in_seconds(text)


def _since(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    """A click callback: a date (UTC), or how long ago, as Unix time."""
    if value is None:
        return None
    ago = in_seconds(value.strip())
    if ago is not None:
        return max(0.0, time.time() - ago)
    try:
        when = datetime.fromisoformat(value.strip())
    except ValueError as error:
        raise click.BadParameter(
            f"{value!r} is no date and no time ago: write 2026-01-31, 7d or 12h"
        ) from error
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def _tag_level(text: str) -> tuple[str, float | None]:
    fit = _LEVEL.fullmatch(text)
    if fit is None:
        raise click.BadParameter(f"{text!r} is no tag with a level: write 'piano>0.3'")
    return fit[1], None if fit[2] is None else float(fit[2])
