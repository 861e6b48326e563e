"""The command that keeps the queue of a Music Player Daemon filled: mpd."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from indexer.errors import ExtraMissing, InvalidOption
from indexer.filesystem import absolute_path, display_path
from recommender.commands.options.filters import where_options
from recommender.commands.options.shared import as_seconds, catalog_option
from recommender.commands.options.steering import steering_options
from recommender.commands.playlists import like_options, sampling_options, station_options
from recommender.commands.terminal.output import print_message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recommender.engine import Recommender
    from recommender.players.mpd.names import MusicDirectory
    from recommender.retrieval.where import Where


@click.command(epilog="Example: soundalike mpd --host music.local --music-directory ~/Music")
@click.option(
    "--host",
    envvar="MPD_HOST",
    show_envvar=True,
    metavar="[PASSWORD@]HOST",
    help="Name of the daemon's machine, or path of its socket.  [default: the local socket, else "
    "localhost]",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    default=6600,
    show_default=True,
    envvar="MPD_PORT",
    show_envvar=True,
)
@click.option(
    "--music-directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The daemon's music directory, as this machine sees it.  [default: what the daemon says, "
    "on a local socket]",
)
@click.option(
    "--ahead",
    type=click.IntRange(1, 100),
    default=3,
    show_default=True,
    help="Songs kept after the one that plays.",
)
@like_options
@click.option(
    "--dislike-skips",
    is_flag=True,
    help="Steer away from songs of the station that are skipped early.",
)
@click.option(
    "--skip-within",
    callback=as_seconds,
    default="30s",
    show_default=True,
    help="What early means: skipped before so much of it was played.",
)
@station_options
@sampling_options
@catalog_option
@where_options
@steering_options
def mpd(
    host: str | None,
    port: int,
    music_directory: Path | None,
    ahead: int,
    like: tuple[str, ...],
    dislike: tuple[str, ...],
    dislike_skips: bool,  # noqa: FBT001 - click hands flags over by name
    skip_within: float,
    tie: float,
    artist_gap: int,
    variety: float,
    random_state: int,
    catalog: str,
    where: Where,
    more: tuple[str, ...],
    less: tuple[str, ...],
) -> None:
    """Keep the queue of a Music Player Daemon filled with what sounds like what plays.

    It goes on from the last song that you chose yourself, and only ever appends. While the player
    is stopped, or in the modes single and repeat, it adds nothing. Ctrl-C ends it.
    """
    from recommender.engine import Recommender
    from recommender.players.mpd.address import parse_address
    from recommender.players.mpd.names import MusicDirectory
    from recommender.players.mpd.radio import Radio, StationOptions

    try:
        from recommender.players.mpd import client as mpd_client
        from recommender.players.mpd.filling import FillOptions, QueueFiller, keep_filled
    except ImportError as error:
        raise ExtraMissing("python-mpd2 is not installed: pip install 'soundalike[mpd]'") from error
    address = parse_address(host, port, os.environ)
    with _end_on_sigterm(), Recommender.open(catalog) as recommender, ExitStack() as stack:
        client = mpd_client.connect(address)
        stack.callback(client.disconnect)
        if music_directory is None:
            folder = mpd_client.music_directory(client)
        else:
            folder = absolute_path(music_directory)
        if folder is None:
            raise InvalidOption(
                f"the MPD at {address} does not say where its music is: name its --music-directory"
            )
        music = MusicDirectory(folder)
        if not _has_tracks(recommender, music):
            _ = recommender.model  # a catalog without any tracks has a sentence of its own
            raise InvalidOption(
                f"nothing of the catalog is below MPD's music directory {display_path(folder)}: "
                "index that folder, or name it with --music-directory as this machine sees it"
            )
        options = StationOptions(
            liked=tuple(recommender.track(query).id for query in like),
            disliked=tuple(recommender.track(query).id for query in dislike),
            where=where,
            more=more,
            less=less,
            tie=tie,
            variety=variety,
            artist_gap=artist_gap,
            random_seed=random_state,
        )
        recommender.steering(more, less)  # a word that is not known ends the command here
        radio = Radio(recommender, options, print_message)
        fill = FillOptions(ahead, skip_within if dislike_skips else None)
        print_message(f"filling the queue of the MPD at {address}; Ctrl-C ends")
        filler = QueueFiller(radio, music, fill, print_message)
        keep_filled(client, address, filler, print_message)


def _has_tracks(recommender: Recommender, music: MusicDirectory) -> bool:
    """Whether tracks of the catalog are below a folder; all are looked at only if need be."""
    if any(map(music.meets, recommender.folders())):
        return True
    tracks = recommender.stream_tracks(recommender.ids())
    return any(music.name_of(track.path) is not None for track in tracks)


@contextmanager
def _end_on_sigterm() -> Iterator[None]:
    """End with exit status 0 on SIGTERM, as services are asked to end."""
    before = signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
