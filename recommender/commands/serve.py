"""The command that serves the page and the API: serve."""

from __future__ import annotations

import logging
import os
import urllib.request
from pathlib import Path

import click

from indexer.errors import ExtraMissing, SoundalikeError
from recommender.commands.options.shared import as_seconds, catalog_option
from recommender.commands.terminal.output import print_message

CHECK_S = 4.0
"""Seconds in which a server that is alive answers."""

file_type = click.Path(dir_okay=False, path_type=Path)
folder_type = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command(epilog="Example: soundalike serve --folder ~/Music --watch --uploads ~/Music/new")
@catalog_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=7707,
    show_default=True,
    help="0: any free one.",
)
@click.option(
    "--token-file",
    type=file_type,
    help="File with the secret that clients must know; made if it is not there. Needed for an "
    "address that other machines can reach.",
)
@click.option(
    "--players-secret",
    type=file_type,
    help="File with the password of players; made if it is not there. [default: beside the "
    "catalog]",
)
@click.option("--allow-writes", is_flag=True, help="Keep the stars and ratings that players give.")
@click.option(
    "--allow-host",
    multiple=True,
    metavar="NAME",
    help="Also answer under this name, as behind a proxy; can be repeated.",
)
@click.option(
    "--trust-proxy",
    multiple=True,
    metavar="ADDRESS",
    help="Believe this proxy who its clients are; can be repeated.",
)
@click.option(
    "--folder",
    "folders",
    multiple=True,
    type=folder_type,
    help="A folder that the page may index; can be repeated. [default: those indexed before]",
)
@click.option(
    "--uploads",
    type=folder_type,
    help="Folder that takes files which the page adds to the library. [default: none are taken]",
)
@click.option("--watch", is_flag=True, help="Index files that appear in the folders by themselves.")
@click.option(
    "--sweep",
    callback=as_seconds,
    default="15m",
    show_default=True,
    help="With --watch: time between two looks at all folders; network drives tell of no changes.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0, 1e6),
    default=100.0,
    show_default=True,
    help="Requests a second of one client in the long run; 0: any number.",
)
@click.option("--log", "with_log", is_flag=True, help="Print a line for each request.")
@click.option(
    "--check", is_flag=True, help="Start nothing: exit 0 if a server at --port of here is alive."
)
def serve(
    catalog: str,
    host: str,
    port: int,
    token_file: Path | None,
    players_secret: Path | None,
    allow_writes: bool,  # noqa: FBT001 - click hands flags over by name
    allow_host: tuple[str, ...],
    trust_proxy: tuple[str, ...],
    folders: tuple[Path, ...],
    uploads: Path | None,
    watch: bool,  # noqa: FBT001
    sweep: float,
    rate: float,
    with_log: bool,  # noqa: FBT001
    check: bool,  # noqa: FBT001
) -> None:
    """Serve a page and a JSON API over the catalog, until Ctrl-C.

    Without a catalog an empty one is made, if a --folder or --uploads says what is to come in.
    """
    from indexer.library_on_server import open_library_for_writing

    if check:
        _check(port)
        return
    from indexer.catalog.address import display_address
    from indexer.catalog.opening import exists

    try:
        from recommender.server.run import serve as run
        from recommender.server.safety.tokens import read_or_make_token
        from recommender.server.settings import Settings
    except ImportError as error:
        raise ExtraMissing(
            f"{error.name} is not installed: pip install 'soundalike[server]'"
        ) from error
    if with_log:
        logging.getLogger("recommender.server").setLevel(logging.INFO)
    incoming = (*folders, *([] if uploads is None else [uploads]))
    settings = Settings(
        catalog=catalog,
        host=host,
        port=port,
        token=None if token_file is None else read_or_make_token(token_file),
        players_secret=players_secret,
        allow_writes=allow_writes,
        allowed_hosts=allow_host,
        trusted_proxies=trust_proxy,
        folders=tuple(os.fsencode(folder.resolve()) for folder in folders),
        uploads=None if uploads is None else uploads.resolve(),
        watch=watch,
        sweep_s=sweep,
        requests_per_s=rate,
    )
    if incoming and not exists(catalog):
        open_library_for_writing(catalog, create=True).close()
    shown = display_address(catalog)
    name = f"[{host}]" if ":" in host else host

    def on_ready(port: int, players: str) -> None:
        print_message(players)
        print_message(f"http://{name}:{port}/ serves {shown}; Ctrl-C ends")

    run(settings, on_ready=on_ready)


def _check(port: int) -> None:
    """Ask the server at a port of this machine whether it is alive, as container runtimes do.

    Raises
    ------
    SoundalikeError
        It is not.
    """
    address = f"http://127.0.0.1:{port}/api/v1/health"
    try:
        # The scheme is ours, and no proxy of the environment is asked.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(address, timeout=CHECK_S):
            click.echo("alive")
    except OSError as error:
        raise SoundalikeError(f"no server answers at port {port} ({error})") from error
