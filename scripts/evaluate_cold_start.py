"""Measure recommendations of tracks that nobody has played yet, by a simulation.

The tracks, their labels and their sound are real; the listeners are made up: what they play is
drawn by chance from tastes that follow labels and the sound as another model than the evaluated one
hears it. So the tables compare ways with each other; they do not say what a real service would get.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from indexer.errors import SoundalikeError

if TYPE_CHECKING:
    from cold_start.simulation import Split
    from evaluation.tables import Table
    from numpy.typing import NDArray

_STARTED = time.monotonic()
KINDS = ("ridge", "nearest", "mlp")


def report(line: str) -> None:
    """Say a line about progress, with the seconds since the start."""
    click.echo(f"{time.monotonic() - _STARTED:7.0f} s  {line}", err=True)


def _named(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> object:
    pairs = [value.partition("=") for value in values]
    if any(not name or not place for name, _, place in pairs):
        raise click.BadParameter("write NAME=FILE")
    return {name: Path(place) for name, _, place in pairs}


existing = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group(help=__doc__)
def main() -> None:
    """Entry point."""


@main.command()
@click.option("--catalog", required=True, type=existing)
@click.argument("out", type=click.Path(path_type=Path))
def mfcc(catalog: Path, out: Path) -> None:
    """Hear 20 MFCCs of every track of a catalog and write them to OUT (npz), for --features."""
    from cold_start.sources import hear_mfcc

    report(f"{hear_mfcc(catalog, out)} tracks")


@main.command()
@click.option(
    "--catalog",
    "catalogs",
    multiple=True,
    required=True,
    callback=_named,
    metavar="NAME=FILE",
    help="A catalog of the tracks; again for another model's.",
)
@click.option("--labels", "tables", multiple=True, required=True, type=existing)
@click.option("--taste", required=True, type=existing, help="npz of path, vector: what is liked.")
@click.option(
    "--features",
    multiple=True,
    callback=_named,
    metavar="NAME=FILE",
    help="More vectors to evaluate, as npz of path and vector (MFCC).",
)
@click.option("--collaborative", type=click.Choice(["als", "bpr", "cornac-bpr"]), default="als")
@click.option("--kinds", default=",".join(KINDS), show_default=True)
@click.option("--factors", default=32, show_default=True)
@click.option("--listeners", default=3000, show_default=True)
@click.option("--seeds", default=3, show_default=True, help="Worlds of listeners; 0, 1, 2, ...")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw recall against plays (PNG).")
@click.option("--json", "as_json", is_flag=True)
def run(
    catalogs: dict[str, Path],
    tables: tuple[Path, ...],
    taste: Path,
    features: dict[str, Path],
    collaborative: str,
    kinds: str,
    factors: int,
    listeners: int,
    seeds: int,
    plot: Path | None,
    as_json: bool,  # noqa: FBT001 - click hands flags over by name
) -> None:
    """Simulate listeners and print tables."""
    from cold_start.handover import PLAYS, WAYS, curves, draw
    from cold_start.simulation import Habits, listen
    from cold_start.sources import read_tracks
    from evaluation.tables import Figure, Table, as_markdown
    from evaluation.tables import as_json as plain

    try:
        tracks = read_tracks(catalogs, tables, taste, features)
    except SoundalikeError as error:
        raise click.ClickException(str(error)) from error
    habits = Habits(listeners=listeners)
    chosen = tuple(kinds.split(","))
    first = next(iter(catalogs))
    gathered: dict[str, dict[str, list[NDArray[np.float64]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    handed = []
    for seed in range(seeds):
        plays = listen(tracks, habits, seed=seed)
        report(f"seed {seed}: {len(tracks)} tracks, {plays.shape[0]} listeners, {plays.nnz} plays")
        for title, name, means in _measured(tracks, plays, collaborative, chosen, factors, seed):
            gathered[title][name].append(means)
        report(f"seed {seed}: tables")
        if plot is not None:
            handed.append(
                curves(
                    plays, tracks.embeddings[first], collaborative=collaborative,
                    kind=chosen[0], factors=factors, seed=seed,
                )
            )  # fmt: skip
            report(f"seed {seed}: curves")
    shown = [_table(title, rows, seeds) for title, rows in gathered.items()]
    if plot is not None:
        every = np.stack(handed)
        draw(every, plot, title=f"Simulated listeners, {collaborative}, {first}")
        rows = tuple(
            (f"{number} plays", tuple(Figure(round(float(x), 4)) for x in every.mean(0)[place]))
            for place, number in enumerate(PLAYS)
        )
        shown.append(Table("Recall@20 against plays", WAYS, rows, f"Mean of {seeds} seeds."))
    if as_json:
        click.echo(json.dumps({"simulation": True, "tables": [plain(table) for table in shown]}))
    else:
        click.echo("A simulation: real tracks, made-up listeners.\n")
        click.echo("\n".join(as_markdown(table) for table in shown))


@main.command()
@click.option("--listeners", default=1000, show_default=True)
@click.option("--items", default=100_000, show_default=True)
@click.option("--factors", default=50, show_default=True)
@click.option("--rounds", default=9, show_default=True)
def speed(listeners: int, items: int, factors: int, rounds: int) -> None:
    """Time a batch of recommendations and implicit's own call, in turn."""
    from cold_start.speed import compare
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        theirs, ours = compare(listeners=listeners, items=items, factors=factors, rounds=rounds)
    ratios = np.array(ours) / np.array(theirs)
    click.echo(f"implicit {np.median(theirs):.3f} s, ours {np.median(ours):.3f} s (medians)")
    click.echo(f"ratio {np.median(ratios):.2f}, from {ratios.min():.2f} to {ratios.max():.2f}")


def _measured(
    tracks: object,
    plays: object,
    collaborative: str,
    kinds: tuple[str, ...],
    factors: int,
    seed: int,
) -> object:
    """Title, name and mean of each measure."""
    from cold_start.contenders import Mapped, baselines, ceiling
    from cold_start.measures import long_tail, measure
    from cold_start.simulation import split

    rng = np.random.default_rng(seed)
    tail = long_tail(plays)
    shuffled = rng.permutation(len(tracks))
    for whole, title in ((True, "Cold artists"), (False, "New tracks of known artists")):
        parts = split(
            plays, tracks.makers, cold_share=0.25, held_share=0.2, whole_artists=whole, seed=seed
        )
        mapped = Mapped(collaborative, tracks, parts, factors=factors, seed=seed)
        everything = np.ones(len(tracks), bool)

        def means(
            scores: NDArray[np.float32], candidates: NDArray[np.bool_], parts: Split = parts
        ) -> NDArray[np.float64]:
            return measure(scores, parts.held_out, parts.train, candidates, tail).means

        ways = dict(baselines(tracks, parts, rng))
        for name, vectors in tracks.embeddings.items():
            for kind in kinds:
                ways[f"{name}, {kind}"] = mapped.scores(vectors, kind)
        vectors = next(iter(tracks.embeddings.values()))
        first = next(iter(tracks.embeddings))
        for kind in kinds:
            ways[f"{first} shuffled, {kind}"] = mapped.scores(vectors[shuffled], kind)
        if not whole:
            ways[f"{first} and artist, {kinds[0]}"] = mapped.scores(vectors, kinds[0], artists=True)
        top = ceiling(collaborative, parts, factors=factors, seed=seed)
        for name, scores in {**ways, "ceiling": top}.items():
            yield f"{title}: cold tracks", name, means(scores, parts.cold)
        if whole:
            both = mapped.hybrid(vectors, kinds[0])
            alone = mapped.scores(vectors, kinds[0])
            alone[:, parts.cold] = -1e9
            rows = {"CF alone": alone, "hybrid": both, "ceiling": top}
            for name, scores in rows.items():
                yield "Warm tracks", name, means(scores, ~parts.cold)
                yield "All tracks, old and new", name, means(scores, everything)


def _table(title: str, rows: dict[str, list[NDArray[np.float64]]], seeds: int) -> Table:
    from cold_start.measures import MEASURES
    from evaluation.tables import Figure, Table

    shown = []
    for name, found in rows.items():
        mean = np.mean(found, axis=0)
        # A 95 % interval over worlds, by Student's t.
        t = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78}.get(seeds, 2.26)
        half = t * np.std(found, axis=0, ddof=1) / seeds**0.5 if seeds > 1 else None
        cells = tuple(
            Figure(round(float(value), 4))
            if half is None
            else Figure(
                round(float(value), 4),
                round(float(value - half[place]), 4),
                round(float(value + half[place]), 4),
            )
            for place, value in enumerate(mean)
        )
        shown.append((name, cells))
    notes = f"Simulated listeners, {seeds} seeds; in brackets the 95 % interval over seeds."
    return Table(title, MEASURES, tuple(shown), notes)


if __name__ == "__main__":
    main()
