"""The command `soundalike`."""

from __future__ import annotations

import logging
import os
import select
import sys

# These take some tenths of a second, in which an interrupt may come too.
try:
    import click

    from indexer.errors import AmbiguousTrack, SoundalikeError
    from recommender.commands.analyses import analyse, import_analyses
    from recommender.commands.collection import clusters, duplicates, evaluate
    from recommender.commands.export import export
    from recommender.commands.genres import genre, genres
    from recommender.commands.index import add, index, remove
    from recommender.commands.maintenance import failures, rebuild, status, verify
    from recommender.commands.mcp import mcp
    from recommender.commands.models import model
    from recommender.commands.mpd import mpd
    from recommender.commands.players import import_ids, navidrome_plugin
    from recommender.commands.playlists import path, playlist, station
    from recommender.commands.plots import compare, explore, library_map, picture
    from recommender.commands.search import find, show, similar
    from recommender.commands.serve import serve
    from recommender.commands.terminal.output import print_message, printable
except KeyboardInterrupt:
    sys.stderr.write("soundalike: interrupted\n")
    sys.exit(130)


class OneSentenceErrors(click.Group):
    """Commands whose errors are printed as one sentence, and raised with `--debug`."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command named on the command line."""
        try:
            return super().invoke(ctx)
        except (SoundalikeError, OSError) as error:
            if isinstance(error, BrokenPipeError) and _reader_is_gone():
                _discard_output()
                ctx.exit(141)  # as of a program that SIGPIPE ended
            if ctx.params["debug"]:
                raise
            _print_error(error)
            ctx.exit(1)


@click.group(
    cls=OneSentenceErrors,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: soundalike index ~/Music && soundalike similar 'artist - title'",
)
@click.version_option(package_name="soundalike")
@click.option("--debug", is_flag=True, help="Show where in the program an error came from.")
def cli(debug: bool) -> None:  # noqa: FBT001 - click hands flags over by name
    """Index a music library, and find what sounds alike, from sound alone."""
    logging.basicConfig(level=logging.WARNING, format="soundalike: %(message)s")
    if debug:
        logging.getLogger("indexer").setLevel(logging.DEBUG)


for family in (
    (index, add, remove, status, failures, verify, rebuild, model),
    (similar, show, find, station, path, playlist),
    (genre, genres, clusters, duplicates, evaluate),
    (picture, compare, library_map, explore),
):
    for command in family:
        cli.add_command(command)
for command in (analyse, import_analyses, export, serve, mcp, mpd, navidrome_plugin, import_ids):
    cli.add_command(command)


def main() -> None:
    """Run the command line and exit: 0 done, 1 an error in one sentence, 2 wrong usage.

    130 after an interrupt, 141 where whoever read the output has gone.
    """
    try:
        sys.exit(cli.main(standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        print_message("interrupted")
        sys.exit(130)


def _reader_is_gone() -> bool:
    """Whether stdout is a pipe that nobody reads any more, as of `soundalike status | head -1`."""
    poll = select.poll()
    poll.register(1, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _discard_output() -> None:
    """Let what is still to be written to stdout, at exit too, go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def _print_error(error: SoundalikeError | OSError) -> None:
    if isinstance(error, OSError):
        print_message(f"{error.filename or 'the output'}: {error.strerror or error}")
        return
    print_message(str(error))
    if isinstance(error, AmbiguousTrack):
        for candidate in error.candidates:
            click.echo(f"  {printable(candidate)}", err=True)


if __name__ == "__main__":
    main()
