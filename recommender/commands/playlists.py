"""Commands that make playlists: station, path, playlist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from indexer.errors import QueryError
from recommender.commands.options.filters import where_options
from recommender.commands.options.shared import (
    as_seconds,
    catalog_option,
    json_option,
    playlist_options,
    random_state_option,
)
from recommender.commands.options.steering import steering_options
from recommender.commands.terminal.output import duration, print_json, print_message, printable
from recommender.commands.terminal.tables import print_table, track_cell

if TYPE_CHECKING:
    from collections.abc import Callable

    from recommender.playlists import Playlist
    from recommender.retrieval.where import Where


def sampling_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of random sampling: variety, random_state."""
    return click.option(
        "--variety",
        type=click.FloatRange(min=0),
        default=0.1,
        show_default=True,
        help="0 takes the nearest tracks; higher values sample farther around.",
    )(random_state_option(command))


def like_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the tracks that lead a station: like, dislike."""
    command = click.option(
        "--dislike", multiple=True, metavar="QUERY", help="Away from this track; can be repeated."
    )(command)
    return click.option(
        "--like", multiple=True, metavar="QUERY", help="Also towards this track; can be repeated."
    )(command)


def station_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a station: tie, artist_gap."""
    command = click.option(
        "--artist-gap",
        type=click.IntRange(min=0),
        default=5,
        show_default=True,
        help="At least so many tracks between two of one artist.",
    )(command)
    return click.option(
        "--tie",
        type=click.FloatRange(0, 1),
        default=0.7,
        show_default=True,
        help="How close it stays to the seed: 0 drifts away, 1 stays.",
    )(command)


@click.command(epilog="Example: soundalike station 'nina simone - feeling good' --more calmer")
@click.argument("seed")
@click.option("-n", "--count", default=20, show_default=True, help="How many tracks.")
@like_options
@station_options
@sampling_options
@catalog_option
@where_options
@steering_options
@playlist_options
@json_option
def station(
    seed: str,
    count: int,
    like: tuple[str, ...],
    dislike: tuple[str, ...],
    tie: float,
    artist_gap: int,
    variety: float,
    random_state: int,
    catalog: str,
    where: Where,
    more: tuple[str, ...],
    less: tuple[str, ...],
    **output: Any,
) -> None:
    """Play on from SEED: a playlist that drifts slowly around it and repeats nothing.

    SEED is a catalog id, a key, the path of a file in the catalog or of any other file, or a part
    of "artist - title".
    """
    from recommender.engine import Recommender
    from recommender.playlists import Station

    with Recommender.open(catalog) as recommender:
        playing = Station(
            recommender,
            seed,
            where=where,
            more=more,
            less=less,
            tie=tie,
            variety=variety,
            artist_gap=artist_gap,
            random_seed=random_state,
        )
        playing.lean(like, dislike)
        found = playing.take(count)
    _print(found, **output)


@click.command(epilog="Example: soundalike path 17 'artist - title' --steps 8 --out bridge.m3u8")
@click.argument("start")
@click.argument("end")
@click.option(
    "-n", "--steps", default=8, show_default=True, help="Steps; one track fewer lies between."
)
@catalog_option
@where_options
@steering_options
@playlist_options
@json_option
def path(
    start: str,
    end: str,
    steps: int,
    catalog: str,
    where: Where,
    more: tuple[str, ...],
    less: tuple[str, ...],
    **output: Any,
) -> None:
    """Make a playlist from START to END, two tracks of the catalog, in even steps.

    A step is the cosine distance between two neighbours. How even they are is printed below: the
    longest step divided by the mean one.
    """
    from recommender.engine import Recommender
    from recommender.playlists import path_between

    with Recommender.open(catalog) as recommender:
        found = path_between(recommender, start, end, steps, where=where, more=more, less=less)
    _print(found, with_evenness=True, **output)


@click.command(epilog="Example: soundalike playlist 17 upload.mp3 --total 45m --out evening.m3u8")
@click.argument("seeds", nargs=-1, required=True, metavar="SEED...")
@click.option(
    "--total", "total_s", required=True, callback=as_seconds, help="Such as 45m or 1h30m."
)
@click.option(
    "--per-artist",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Tracks of one artist at most.",
)
@sampling_options
@catalog_option
@where_options
@steering_options
@playlist_options
@json_option
def playlist(
    seeds: tuple[str, ...],
    total_s: float,
    per_artist: int,
    variety: float,
    random_state: int,
    catalog: str,
    where: Where,
    more: tuple[str, ...],
    less: tuple[str, ...],
    **output: Any,
) -> None:
    """Make a playlist of a given length of what sounds like any SEED, in a smooth order.

    Each SEED is what `soundalike station` takes; those that are in the catalog are played too.
    """
    from recommender.engine import Recommender
    from recommender.playlists import fill_playlist

    with Recommender.open(catalog) as recommender:
        found = fill_playlist(
            recommender,
            seeds,
            total_s,
            where=where,
            more=more,
            less=less,
            per_artist=per_artist,
            variety=variety,
            random_seed=random_state,
        )
    _print(found, **output)


def _print(
    found: Playlist,
    *,
    out: str | None,
    relative: bool,
    force: bool,
    as_json: bool,
    with_evenness: bool = False,
) -> None:
    """Print a playlist, and write it to the file that was asked for."""
    from recommender.playlists.files import STDOUT, save

    if out == STDOUT and as_json:
        raise click.UsageError("--out - and --json both print on stdout: choose one")
    if out is not None and not found:
        raise QueryError(f"{found.note or 'there are no tracks'}: {out} is not written")
    if out is not None:
        text = save(found.tracks, out, relative=relative, title=found.title, overwrite=force)
        if out == STDOUT:
            click.echo(text, nl=False)
    if as_json:
        print_json(found.to_json())
    elif out != STDOUT:
        click.echo(f"{printable(found.title)}:")
        has_words = any(entry.words for entry in found)
        print_table(
            ("cosine", "step", "length", *(("words",) if has_words else ()), "id", "track"),
            [
                (
                    f"{entry.to_seed:.3f}",
                    "" if entry.to_previous is None else f"{1 - entry.to_previous:.3f}",
                    duration(entry.track.duration_s),
                    *((", ".join(map(str, entry.words)),) if has_words else ()),
                    entry.track.id,
                    track_cell(entry.track),
                )
                for entry in found
            ],
        )
        even = found.evenness if with_evenness else None
        steps = "" if even is None else f", longest step {even:.2f} times the mean"
        click.echo(f"{len(found)} tracks, {duration(found.duration_s)}{steps}")
    if found.note is not None:
        print_message(found.note)
