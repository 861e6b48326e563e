"""The command that says whether the answers hang together: evaluate."""

from __future__ import annotations

import sys
import textwrap
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from recommender.commands.options import catalog_option, json_option
from recommender.commands.output import print_json, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from recommender.evaluation.library_check import Finding

WIDTH = 92


@click.command(epilog="Example: soundalike evaluate --sample 50")
@catalog_option
@click.option(
    "--sample",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="Tracks to hear anew, some seconds each; 0 hears none.",
)
@click.option("--seed", default=0, show_default=True, help="Of what is drawn at random.")
@json_option
def evaluate(
    catalog: str,
    sample: int,
    seed: int,
    as_json: bool,  # noqa: FBT001 - click hands flags over by name
) -> None:
    """Check whether the answers hang together, on your own music, without labels.

    Parts and new encodings of a sample of tracks are looked up; all tracks are asked for their
    neighbours, to see how many share an album or an artist, which tracks everybody finds, and
    which nobody.
    """
    from recommender.engine import Recommender
    from recommender.evaluation.library_check import check_library

    with Recommender.open(catalog) as recommender, _progress() as progress:
        findings = check_library(recommender, sample=sample, seed=seed, progress=progress)
        model, tracks = recommender.model.name, len(recommender)
    if as_json:
        plain = {one.key: {**one.figures, **_words(one)} for one in findings}
        print_json(
            {"catalog": catalog, "model": model, "tracks": tracks, "seed": seed, "findings": plain}
        )
        return
    click.echo(f"{tracks} tracks, model {printable(model)}")
    for finding in findings:
        _print(finding)
    unusual = [finding.title for finding in findings if finding.as_usual is False]
    said = f"unusual: {', '.join(unusual)}" if unusual else "nothing unusual"
    click.echo(f"\n{said}")


def _words(finding: Finding) -> dict[str, object]:
    words = asdict(finding)
    return {name: words[name] for name in ("title", "value", "meaning", "as_usual")}


def _print(finding: Finding) -> None:
    mark = "!" if finding.as_usual is False else " "
    click.echo()
    click.echo(f"{mark} {finding.title}: {printable(finding.value)}")
    click.echo(
        textwrap.fill(
            printable(finding.meaning), WIDTH, initial_indent="    ", subsequent_indent="    "
        )
    )


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar a step on stderr; nothing where it is no terminal."""
    if not sys.stderr.isatty():
        yield lambda _what, _done, _total: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
    )

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done)

        yield show
