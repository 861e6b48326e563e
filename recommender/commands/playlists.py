"""Commands that make a way through the library: station, path, playlist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from indexer.errors import QueryError
from recommender.commands.filter_options import where_options
from recommender.commands.options import (
    as_seconds,
    catalog_option,
    json_option,
    playlist_options,
)
from recommender.commands.output import duration, print_json, print_table, printable, say

if TYPE_CHECKING:
    from collections.abc import Callable

    from recommender.playlists import Playlist
    from recommender.retrieval.where import Where


def chance_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options for how its tracks are drawn: variety, random_seed."""
    command = click.option(
        "--random-seed",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="The same one draws the same tracks.",
    )(command)
    return click.option(
        "--variety",
        type=click.FloatRange(min=0),
        default=0.1,
        show_default=True,
        help="0 takes the nearest tracks; the more, the farther around tracks are drawn.",
    )(command)


@click.command(epilog="Example: soundalike station 'nina simone - feeling good' --dislike 17 -n 30")
@click.argument("seed")
@click.option("-n", "--count", default=20, show_default=True, help="How many tracks.")
@click.option("--like", multiple=True, metavar="QUERY", help="Draw it towards a track.")
@click.option("--dislike", multiple=True, metavar="QUERY", help="Push it away from a track.")
@click.option(
    "--tie",
    type=click.FloatRange(0, 1),
    default=0.7,
    show_default=True,
    help="How firmly it is tied to SEED: 0 wanders off, 1 stays.",
)
@click.option(
    "--artist-gap",
    type=click.IntRange(min=0),
    default=5,
    show_default=True,
    help="Tracks between two of one artist.",
)
@chance_options
@catalog_option
@where_options
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
    random_seed: int,
    catalog: str,
    where: Where,
    **output: Any,
) -> None:
    """Play on from SEED: music that drifts slowly around it and never repeats.

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
            tie=tie,
            variety=variety,
            artist_gap=artist_gap,
            random_seed=random_seed,
        )
        for query in like:
            playing.like(query)
        for query in dislike:
            playing.dislike(query)
        journey = playing.take(count)
    _give(journey, **output)


@click.command(epilog="Example: soundalike path 17 'artist - title' --steps 8 --out bridge.m3u8")
@click.argument("start")
@click.argument("end")
@click.option(
    "-n", "--steps", default=8, show_default=True, help="Strides; one track fewer lies between."
)
@catalog_option
@where_options
@playlist_options
@json_option
def path(start: str, end: str, steps: int, catalog: str, where: Where, **output: Any) -> None:
    """Lead from START to END, two tracks of the catalog, in even strides.

    A stride is the cosine distance of two neighbours. How even they are is printed below: the
    longest stride divided by the mean one.
    """
    from recommender.engine import Recommender
    from recommender.playlists import path_between

    with Recommender.open(catalog) as recommender:
        journey = path_between(recommender, start, end, steps, where=where)
    _give(journey, told_even=True, **output)


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
@chance_options
@catalog_option
@where_options
@playlist_options
@json_option
def playlist(
    seeds: tuple[str, ...],
    total_s: float,
    per_artist: int,
    variety: float,
    random_seed: int,
    catalog: str,
    where: Where,
    **output: Any,
) -> None:
    """Fill a time with what sounds like any SEED, in an order that flows.

    Each SEED is what `soundalike station` takes; those that are in the catalog are played too.
    """
    from recommender.engine import Recommender
    from recommender.playlists import fill_playlist

    with Recommender.open(catalog) as recommender:
        journey = fill_playlist(
            recommender,
            seeds,
            total_s,
            where=where,
            per_artist=per_artist,
            variety=variety,
            random_seed=random_seed,
        )
    _give(journey, **output)


def _give(
    journey: Playlist,
    *,
    out: str | None,
    relative: bool,
    force: bool,
    as_json: bool,
    told_even: bool = False,
) -> None:
    """Print a journey, and write it where that was asked for."""
    from recommender.playlists.files import STDOUT, save

    if out == STDOUT and as_json:
        raise click.UsageError("--out - and --json both print on stdout: choose one")
    if out is not None and not journey:
        raise QueryError(f"{journey.note or 'there are no tracks'}: {out} is not written")
    if out is not None:
        text = save(journey.tracks, out, relative=relative, title=journey.title, overwrite=force)
        if out == STDOUT:
            click.echo(text, nl=False)
    if as_json:
        print_json(journey.to_json())
    elif out != STDOUT:
        click.echo(f"{printable(journey.title)}:")
        print_table(
            ("cosine", "stride", "length", "id", "artist", "title", "key"),
            [
                (
                    f"{stop.to_seed:.3f}",
                    "" if stop.to_previous is None else f"{1 - stop.to_previous:.3f}",
                    duration(stop.track.duration_s),
                    stop.track.id,
                    stop.track.artist,
                    stop.track.title,
                    stop.track.key,
                )
                for stop in journey
            ],
        )
        even = journey.evenness if told_even else None
        strides = "" if even is None else f", longest stride {even:.2f} times the mean"
        click.echo(f"{len(journey)} tracks, {duration(journey.duration_s)}{strides}")
    if journey.note is not None:
        say(journey.note)
