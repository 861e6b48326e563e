"""The command that answers assistants: mcp."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import click

from indexer.errors import ExtraMissing
from recommender.commands.options.shared import catalog_option

if TYPE_CHECKING:
    from types import FrameType


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
        signal.signal(signal.SIGINT, _end)
        make_server(recommender).run()


def _end(number: int, _frame: FrameType | None) -> None:
    """End at once: nothing is written here, and the SDK reads stdin in a thread that would wait."""
    os._exit(128 + number)
