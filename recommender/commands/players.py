"""Commands that bring answers into players: navidrome-plugin."""

from __future__ import annotations

from pathlib import Path

import click

from indexer.errors import ExtraMissing
from recommender.commands.terminal.output import print_message


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
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
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
