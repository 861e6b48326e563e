"""The door for listeners and operators: the command `soundalike`."""

from __future__ import annotations

import logging
import sys

import click

from indexer.errors import AmbiguousTrack, SoundalikeError
from recommender.commands.asking import show, similar
from recommender.commands.indexing import add, index, remove
from recommender.commands.models import model
from recommender.commands.output import printable, say
from recommender.commands.upkeep import failures, rebuild, status, verify


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: soundalike index ~/Music && soundalike similar 'artist - title'",
)
@click.version_option(package_name="soundalike")
@click.option("--debug", is_flag=True, help="Show where in the program an error came from.")
def cli(debug: bool) -> None:  # noqa: FBT001 - click hands flags over by name
    """What sounds like this? Index a music library, then ask it, from sound alone."""
    del debug
    logging.basicConfig(level=logging.WARNING, format="soundalike: %(message)s")


for command in (index, add, remove, similar, show, status, failures, verify, rebuild, model):
    cli.add_command(command)


def main() -> None:
    """Run the command line and exit: 0 done, 1 an error said in a sentence, 2 wrong usage."""
    debug = "--debug" in sys.argv[1:]
    try:
        sys.exit(cli.main(standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        say("interrupted")
        sys.exit(130)
    except SoundalikeError as error:
        if debug:
            raise
        say(str(error))
        if isinstance(error, AmbiguousTrack):
            for candidate in error.candidates:
                click.echo(f"  {printable(candidate)}", err=True)
        sys.exit(1)
    except OSError as error:
        if debug:
            raise
        say(f"{error.filename or 'the output'}: {error.strerror or error}")
        sys.exit(1)


if __name__ == "__main__":
    main()
