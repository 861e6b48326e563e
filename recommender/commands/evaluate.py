"""The command that checks answers without labels: evaluate."""

from __future__ import annotations

import shutil
import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from recommender.commands.options.shared import catalog_option, json_option, random_state_option
from recommender.commands.terminal.output import print_json, printable
from recommender.commands.terminal.progress import progress_bar

if TYPE_CHECKING:
    from recommender.evaluation.library_check import Finding

LONGEST_LINE = 92
"""Characters; fewer on a narrower terminal."""


@click.command(epilog="Example: soundalike evaluate --sample 50")
@catalog_option
@click.option(
    "--sample",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="Tracks to decode and degrade, some seconds each; 0 for none.",
)
@random_state_option
@json_option
def evaluate(
    catalog: str,
    sample: int,
    random_state: int,
    as_json: bool,  # noqa: FBT001 - click hands flags over by name
) -> None:
    """Check the answers on your own music, without labels.

    Parts and new encodings of a sample of tracks are looked up. The neighbours of all tracks are
    counted: how many share an album or an artist, which tracks are in most answers, which in none.
    """
    from recommender.engine import Recommender
    from recommender.evaluation.library_check import check_library

    with Recommender.open(catalog) as recommender, progress_bar() as progress:
        findings = check_library(
            recommender, sample=sample, random_state=random_state, progress=progress
        )
        model, tracks = recommender.model.name, len(recommender)
    if as_json:
        plain = {one.key: {**one.figures, **_words(one)} for one in findings}
        print_json(
            {
                "catalog": catalog,
                "model": model,
                "tracks": tracks,
                "random_state": random_state,
                "findings": plain,
            }
        )
        return
    click.echo(f"{tracks} tracks, model {printable(model)}")
    for finding in findings:
        _print(finding)
    unusual = [finding.title for finding in findings if finding.is_typical is False]
    verdict = f"unusual: {', '.join(unusual)}" if unusual else "nothing unusual"
    click.echo(f"\n{verdict}")


def _words(finding: Finding) -> dict[str, object]:
    words = asdict(finding)
    return {name: words[name] for name in ("title", "value", "meaning", "is_typical")}


def _print(finding: Finding) -> None:
    width = min(LONGEST_LINE, shutil.get_terminal_size((LONGEST_LINE, 24)).columns)
    mark = "!" if finding.is_typical is False else " "
    click.echo()
    click.echo(f"{mark} {finding.title}: {printable(finding.value)}")
    click.echo(
        textwrap.fill(
            printable(finding.meaning), width, initial_indent="    ", subsequent_indent="    "
        )
    )
