"""Commands that bring answers into players: navidrome-plugin, import-ids."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from indexer.errors import ExtraMissing, InvalidOption, PlayerUnreachable
from recommender.commands.options.shared import catalog_option, json_option
from recommender.commands.terminal.output import print_json, print_message
from recommender.commands.terminal.progress import progress_bar
from recommender.retrieval.lookup import count_noun

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recommender.players.song_ids.id_import import IdImport
    from recommender.players.song_ids.songs import KnownSong

readable_file = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(
    "navidrome-plugin",
    epilog="Example: soundalike navidrome-plugin --url http://192.168.1.2:7707",
)
@click.option(
    "--url",
    required=True,
    metavar="URL",
    help="Address of `soundalike serve`, as the machine of Navidrome reaches it.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default="soundalike.ndp",
    show_default=True,
    help="The plugin; Navidrome goes by its name.",
)
@click.option(
    "--token-file",
    type=readable_file,
    help="File with the server's secret, to be put into the plugin. [default: Navidrome's page of "
    "the plugin takes it]",
)
def navidrome_plugin(url: str, out: Path, token_file: Path | None) -> None:
    """Write a plugin by which Navidrome asks this server for similar songs."""
    from recommender.players.navidrome.package import write_plugin

    write_plugin(out, url=url, token=None if token_file is None else _read_token(token_file))
    print_message(f"{out} is for the plugins folder of Navidrome, whose page then enables it")


def _read_token(path: Path) -> str:
    try:
        from recommender.server.safety.tokens import read_or_make_token
    except ImportError as error:
        raise ExtraMissing(
            f"{error.name} is not installed: pip install 'soundalike[server]'"
        ) from error
    return read_or_make_token(path)


@click.command(
    "import-ids",
    epilog="Example: soundalike import-ids --subsonic http://localhost:4533 --user me "
    "--password-file password.txt",
)
@click.option("--subsonic", metavar="URL", help="Address of a server that speaks Subsonic.")
@click.option("--user", help="Who asks it.")
@click.option("--password-file", type=readable_file, help="File whose first line is the password.")
@click.option(
    "--file",
    "listing",
    type=readable_file,
    help="Instead of a server: JSON with the songs, such as Jellyfin's answer to /Items.",
)
@catalog_option
@json_option
def import_ids(
    subsonic: str | None,
    user: str | None,
    password_file: Path | None,
    listing: Path | None,
    catalog: str,
    as_json: bool,  # noqa: FBT001 - click hands flags over by name
) -> None:
    """Keep the ids by which another server knows the tracks, in place of those kept before.

    Plugins for AudioMuse-AI then ask `soundalike serve` by them. Songs are recognised by
    MusicBrainz id, ISRC, the end of their path, or tags and duration.
    """
    from indexer.catalog.reader import Catalog
    from recommender.players.song_ids import id_import

    with closing(Catalog.open_for_reading(catalog)) as opened, progress_bar() as show:
        songs = _songs(subsonic, user, password_file, listing)
        found = id_import.import_ids(
            opened, songs, on_song=lambda done: show("matching songs", done, 0)
        )
    if as_json:
        print_json(found.to_json())
    else:
        _print_import(found)
    if not found.songs:
        raise PlayerUnreachable(
            f"{subsonic or listing} lists no songs: nothing was kept; let it read its music first"
        )
    if not found.matched:
        raise PlayerUnreachable(
            f"none of {count_noun(found.songs, 'song')} is in the catalog: nothing was kept"
        )


def _songs(
    subsonic: str | None, user: str | None, password_file: Path | None, listing: Path | None
) -> Iterator[KnownSong]:
    from recommender.players.song_ids.listings import listed_songs
    from recommender.players.song_ids.subsonic import SubsonicServer, subsonic_songs

    if (subsonic is None) == (listing is None):
        raise click.UsageError("Name a server with --subsonic, or a file with --file.")
    if listing is not None:
        return listed_songs(listing)
    if user is None or password_file is None:
        raise click.UsageError("--subsonic needs --user and --password-file.")
    try:
        password = password_file.read_text(encoding="utf-8").split("\n")[0].removesuffix("\r")
    except UnicodeDecodeError as error:
        raise InvalidOption(f"{password_file} is no text: name another file") from error
    return subsonic_songs(SubsonicServer(subsonic or "", user, password))


def _print_import(found: IdImport) -> None:
    unmatched = found.songs - found.matched
    click.echo(
        f"{count_noun(found.matched, 'song')} of {found.songs:,} recognised, "
        f"{count_noun(found.tracks_without_id, 'track')} of the catalog without an id"
    )
    for name in found.unmatched:
        print_message(f"not in the catalog: {name}")
    if unmatched > len(found.unmatched):
        print_message(f"and {count_noun(unmatched - len(found.unmatched), 'song')} more")
