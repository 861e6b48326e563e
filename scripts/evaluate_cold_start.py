"""Measure recommendations of tracks that nobody has played yet, by a simulation.

The tracks, their labels and their sound are real; the users are made up: what they play is
drawn by chance from tastes that follow labels and the sound, as something else than the evaluated
model embeds it. So the tables compare ways with each other; they do not say what a real service
would get.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from indexer.errors import SoundalikeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cold_start.experiment import Setting
    from cold_start.simulation import Habits, Tracks
    from evaluation.tables import Table

_STARTED = time.monotonic()


def report(line: str) -> None:
    """Say a line about progress, with the seconds since the start."""
    click.echo(f"{time.monotonic() - _STARTED:7.0f} s  {line}", err=True)


def _named(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> object:
    pairs = [value.partition("=") for value in values]
    if any(not name or not path for name, _, path in pairs):
        raise click.BadParameter("write NAME=FILE")
    return {name: Path(path) for name, _, path in pairs}


existing = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group(help=__doc__)
def main() -> None:
    """Entry point."""


@main.command()
@click.option("--catalog", required=True, type=existing)
@click.option("--cache", type=click.Path(path_type=Path), help="A folder to go on from.")
@click.argument("out", type=click.Path(path_type=Path))
def descriptors(catalog: Path, cache: Path | None, out: Path) -> None:
    """Describe every track without a network: OUT (npz) is for --taste and --features MFCC=OUT."""
    from cold_start.descriptors import measure_descriptors

    report(f"{measure_descriptors(catalog, out, cache=cache)} tracks")


def tracks_options(command: Callable[..., None]) -> Callable[..., None]:
    """What tracks there are and how they sound, which world, what models."""
    for option in reversed(
        (
            click.option(
                "--catalog",
                "catalogs",
                multiple=True,
                required=True,
                callback=_named,
                metavar="NAME=FILE",
                help="A catalog of the tracks; again for another model's.",
            ),
            click.option("--labels", "tables", multiple=True, required=True, type=existing),
            click.option(
                "--taste", required=True, type=existing, help="npz of path, vector: what is liked."
            ),
            click.option(
                "--features",
                multiple=True,
                callback=_named,
                metavar="NAME=FILE",
                help="More vectors to evaluate, as npz of path and NAME.",
            ),
            click.option(
                "--collaborative",
                type=click.Choice(["als", "bpr", "cornac-bpr"]),
                default="als",
                show_default=True,
            ),
            click.option("--kinds", default="ridge,nearest", show_default=True),
            click.option("--factors", default=32, show_default=True),
            click.option("--users", type=int, help="Other than those of the main world."),
            click.option(
                "--first", default=100, show_default=True, help="Seed of the first world."
            ),
            click.option("--worlds", default=3, show_default=True),
            click.option("--json", "as_json", is_flag=True),
        )
    ):
        command = option(command)
    return command


@main.command()
@tracks_options
@click.option("--plot", type=click.Path(path_type=Path), help="Draw recall against plays (PNG).")
def run(first: int, worlds: int, plot: Path | None, *, as_json: bool, **world: Any) -> None:
    """Simulate users of the main world and print tables."""
    from cold_start.experiment import Experiment
    from cold_start.handover import curves, draw
    from cold_start.report import handover_of, tables_of

    tracks, habits, setting = _prepared(**world)
    measured, handed = [], []
    for seed in range(first, first + worlds):
        experiment = Experiment(tracks, habits, setting, seed=seed)
        report(f"world {seed}: {len(tracks)} tracks, {experiment.world.describe()}")
        measured.append(list(experiment.tables()))
        report(f"world {seed}: tables")
        if plot is not None:
            handed.append(curves(experiment))
            report(f"world {seed}: curves")
    shown = tables_of(measured, first=experiment.first)
    if plot is not None:
        draw(
            np.stack(handed),
            plot,
            title=f"Simulated users, {setting.collaborative}, {worlds} worlds",
        )
        shown.append(handover_of(np.stack(handed)))
    _print(shown, as_json=as_json)


@main.command()
@tracks_options
def sensitivity(first: int, worlds: int, *, as_json: bool, **world: Any) -> None:
    """The ratios of the main world, of the first catalog, with one habit changed at a time."""
    from cold_start.experiment import Experiment
    from cold_start.report import sensitivity_of, variations

    tracks, habits, setting = _prepared(**world)
    found: dict[str, list[dict[str, float]]] = {}
    for name, other in variations(habits).items():
        found[name] = [
            Experiment(tracks, other, setting, seed=seed).ratios()
            for seed in range(first, first + worlds)
        ]
        report(name)
    _print([sensitivity_of(found, first=next(iter(tracks.embeddings)))], as_json=as_json)


@main.command()
@click.option("--users", default=1000, show_default=True)
@click.option("--items", default=100_000, show_default=True)
@click.option("--factors", default=50, show_default=True)
@click.option("--rounds", default=9, show_default=True)
def speed(users: int, items: int, factors: int, rounds: int) -> None:
    """Time a batch of recommendations and implicit's own call, in turn."""
    from cold_start.speed import compare
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        theirs, ours = compare(users=users, items=items, factors=factors, rounds=rounds)
    ratios = np.array(ours) / np.array(theirs)
    click.echo(f"implicit {np.median(theirs):.3f} s, ours {np.median(ours):.3f} s (medians)")
    click.echo(f"ratio {np.median(ratios):.2f}, from {ratios.min():.2f} to {ratios.max():.2f}")


@main.command()
@click.argument("catalog", type=existing)
@click.argument("file", type=existing)
@click.option("--rounds", default=9, show_default=True)
def upload(catalog: Path, file: Path, rounds: int) -> None:
    """Time a file from add_item to a recommend that returns it, in a warm process."""
    from cold_start.speed import upload as timed

    seconds = timed(catalog, file, rounds=rounds)
    click.echo(
        f"upload to servable: {np.median(seconds):.2f} s (median), {max(seconds):.2f} s at most"
    )


@main.command()
@click.argument("catalog", type=existing)
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--limit-mb", default=2000, show_default=True, help="Of address space, past loading.")
def memory(catalog: Path, out: Path, limit_mb: int) -> None:
    """Export a catalog under a limit of memory; the ending of OUT is the format."""
    from cold_start.memory import export_within

    count, peak = export_within(catalog, out, limit_mb=limit_mb)
    report(f"{count} tracks to {out.name}: {peak} MB resident at most")


def _prepared(
    *,
    catalogs: dict[str, Path],
    tables: tuple[Path, ...],
    taste: Path,
    features: dict[str, Path],
    users: int | None,
    collaborative: str,
    factors: int,
    kinds: str,
) -> tuple[Tracks, Habits, Setting]:
    from cold_start.experiment import Setting
    from cold_start.simulation import Habits
    from cold_start.sources import read_tracks

    try:
        tracks = read_tracks(catalogs, tables, taste, features)
    except SoundalikeError as error:
        raise click.ClickException(str(error)) from error
    habits = Habits() if users is None else Habits(users=users)
    return tracks, habits, Setting(collaborative, factors, tuple(kinds.split(",")))


def _print(tables: list[Table], *, as_json: bool) -> None:
    from evaluation.tables import as_json as plain
    from evaluation.tables import as_markdown

    if as_json:
        click.echo(json.dumps({"simulation": True, "tables": [plain(table) for table in tables]}))
        return
    click.echo("A simulation: real tracks, simulated users.\n")
    click.echo("\n".join(as_markdown(table) for table in tables))


if __name__ == "__main__":
    main()
