"""The command that answers assistants: mcp."""

from __future__ import annotations

import click

from indexer.errors import ExtraMissing
from recommender.commands.options.shared import catalog_option


@click.command(epilog="Example: soundalike mcp --catalog ~/catalog.db")
@catalog_option
def mcp(catalog: str) -> None:
    """Answer an assistant that speaks the Model Context Protocol, over stdin and stdout.

    The assistant starts this command itself. It can search, find what sounds alike, and make
    playlists; it changes nothing.
    """
    from recommender.engine import Recommender

    try:
        from recommender.mcp.server import make_server
    except ImportError as error:
        raise ExtraMissing(
            f"{error.name} is not installed: pip install 'soundalike[mcp]'"
        ) from error
    with Recommender.open(catalog) as recommender:
        make_server(recommender).run()
