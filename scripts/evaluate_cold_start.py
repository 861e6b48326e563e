"""Measure recommendations of items that nobody has played yet: speed and memory."""

from __future__ import annotations

import time
from pathlib import Path

import click
import numpy as np

_STARTED = time.monotonic()


def report(line: str) -> None:
    """Say a line about progress, with the seconds since the start."""
    click.echo(f"{time.monotonic() - _STARTED:7.0f} s  {line}", err=True)


existing = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group(help=__doc__)
def main() -> None:
    """Entry point."""


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


if __name__ == "__main__":
    main()
