"""Measure recommendations of items that nobody has played yet: quality, speed and memory."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from indexer.errors import SoundalikeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cold_start.datasets import Dataset
    from evaluation.tables import Table

_STARTED = time.monotonic()


def report(line: str) -> None:
    """Say a line about progress, with the seconds since the start."""
    click.echo(f"{time.monotonic() - _STARTED:7.0f} s  {line}", err=True)


existing = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group(help=__doc__)
def main() -> None:
    """Entry point."""


def data_options(command: Callable[..., None]) -> Callable[..., None]:
    """Which plays, and how items are made cold."""
    for option in reversed(
        (
            click.argument("data", type=click.Path(path_type=Path, exists=True)),
            click.option("--vectors", type=existing, help="For a CSV: npz of item and vector."),
            click.option("--catalog", type=existing, help="For a CSV: catalog with those keys."),
            click.option("--seeds", default=5, show_default=True),
            click.option("--factors", default=64, show_default=True),
            click.option(
                "--alpha", default=5.0, show_default=True, help="Of alternating least squares."
            ),
            click.option("--json", "as_json", is_flag=True),
        )
    ):
        command = option(command)
    return command


@main.command()
@data_options
@click.option("--by-artist", is_flag=True, help="Make whole artists cold.")
@click.option("--without", multiple=True, help="A row to leave out, by its name.")
@click.option("--cache", type=click.Path(path_type=Path), help="A folder to go on from.")
def real(
    data: Path,
    vectors: Path | None,
    catalog: Path | None,
    seeds: int,
    factors: int,
    alpha: float,
    *,
    as_json: bool,
    by_artist: bool,
    without: tuple[str, ...],
    cache: Path | None,
) -> None:
    """Rank cold items for real users by content, by the default, and by its peers.

    DATA is an npz (indptr, indices, data, shape, item_vectors), a folder of MovieLens, or a CSV
    with the columns user, item and count.
    """
    from cold_start.methods import installed_methods
    from cold_start.real_plays import run, tables

    plays = _read(data, vectors, catalog)
    names = [name for name in installed_methods() if name not in without]
    found = run(
        plays,
        names,
        seeds=seeds,
        by_artist=by_artist,
        factors=factors,
        alpha=alpha,
        cache=cache,
        report=report,
    )
    _print(tables(plays, found), as_json=as_json)


@main.command()
@data_options
@click.option("--model", type=click.Choice(["als", "bpr"]), default="als", show_default=True)
@click.option("--plot", type=click.Path(path_type=Path), help="Draw recall against plays (PNG).")
def handover(
    data: Path,
    vectors: Path | None,
    catalog: Path | None,
    seeds: int,
    factors: int,
    alpha: float,
    *,
    as_json: bool,
    model: str,
    plot: Path | None,
) -> None:
    """Rank items that are left 0 to 50 plays, by plays, by content and by both."""
    from cold_start.hand_over import curves, draw, tables

    plays = _read(data, vectors, catalog)
    found = curves(plays, model, seeds=seeds, factors=factors, alpha=alpha, report=report)
    if plot is not None:
        draw(found, plot, title=f"{plays.name}, {model}")
    _print(tables(plays, model, found), as_json=as_json)


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


def _read(data: Path, vectors: Path | None, catalog: Path | None) -> Dataset:
    from cold_start.datasets import read_dataset

    try:
        found = read_dataset(data, vectors=vectors, catalog=catalog)
    except SoundalikeError as error:
        raise click.ClickException(str(error)) from error
    report(f"{found.name}: {found.plays.shape[0]} users, {found.plays.shape[1]} items")
    return found


def _print(tables: list[Table], *, as_json: bool) -> None:
    from evaluation.tables import as_json as plain
    from evaluation.tables import as_markdown

    if as_json:
        click.echo(json.dumps({"tables": [plain(table) for table in tables]}))
    else:
        click.echo("\n".join(as_markdown(table) for table in tables))


if __name__ == "__main__":
    main()
