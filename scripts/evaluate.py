"""Measure models: models, candidates, labelled, windows, copies, words, steering, and more.

All of them print Markdown tables, or JSON with --json; bootstrap intervals are in brackets.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from indexer.errors import SoundalikeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from evaluation.embeddings import Excerpts
    from evaluation.tables import Table

_STARTED = time.monotonic()


class Sentences(click.Group):
    """A group whose commands end with one sentence where they cannot go on."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; print what it raises on purpose without a traceback."""
        try:
            return super().invoke(ctx)
        except SoundalikeError as error:
            raise click.ClickException(str(error)) from error


def report(line: str) -> None:
    """Say a line about progress, with the seconds since the start."""
    click.echo(f"{time.monotonic() - _STARTED:7.0f} s  {line}", err=True)


def _tell(tables: Sequence[Table], *, as_json: bool, **setting: object) -> None:
    from evaluation.tables import as_json as plain
    from evaluation.tables import as_markdown

    if as_json:
        whole = {**setting, "tables": [plain(table) for table in tables]}
        click.echo(json.dumps(whole, indent=1, default=str))
    else:
        click.echo("\n".join(as_markdown(table) for table in tables))


def _shared(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON instead of Markdown."),
        click.option("--seed", default=0, show_default=True, help="Of all that is drawn."),
        click.option(
            "--cache",
            type=click.Path(path_type=Path, file_okay=False),
            help="Folder to keep embeddings in: the next run goes on from there.",
        ),
    ):
        command = option(command)
    return command


folder = click.Path(path_type=Path, exists=True, file_okay=False)
model_option = click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME",
    help="Name or file of a model; again for more. [default: the default model]",
)
windows_option = click.option(
    "--windows",
    type=click.IntRange(min=0),
    help="Windows of a track; 0 takes all. [default: as many as `soundalike index` takes]",
)


def _excerpts(windows: int | None) -> Excerpts:
    from evaluation.embeddings import Excerpts

    return Excerpts() if windows is None else Excerpts(windows)


def _models(names: tuple[str, ...]) -> tuple[str, ...]:
    from indexer.models.registry import DEFAULT_MODEL

    return names or (DEFAULT_MODEL,)


@click.group(cls=Sentences, help=__doc__)
def main() -> None:
    """Entry point."""


@main.command()
@click.option(
    "--catalog",
    "catalogs",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="A catalog; again for the same library in another one, with another model.",
)
@click.option(
    "--labels",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="CSV with a column path, the end of a track's path, and some of genre, artist, album, "
    "group, plays. Only what it names is measured. [default: the catalog's tags]",
)
@click.option("--where", multiple=True, metavar="COLUMN=VALUE", help="Rows of the table to take.")
@click.option("--without-mfcc", is_flag=True, help="Leave out the baseline: it decodes all files.")
@_shared
def labelled(
    *,
    catalogs: tuple[Path, ...],
    labels: tuple[Path, ...],
    where: tuple[str, ...],
    without_mfcc: bool,
    cache: Path | None,
    seed: int,
    as_json: bool,
) -> None:
    """Measure catalogs whose tracks have labels: genre, artist, album.

    Beside them: 20 MFCCs, the first catalog's embeddings shuffled, an order drawn at random, one by
    popularity.

    Example: evaluate.py labelled --catalog catalog.db --labels tracks.csv --cache cache
    """
    from evaluation.embeddings import Cache, Excerpts
    from evaluation.labelled import measure_labelled

    tables = measure_labelled(
        catalogs,
        tables=labels,
        where=[(each.partition("=")[0], each.partition("=")[2]) for each in where],
        excerpts=None if without_mfcc else Excerpts(),
        cache=Cache(cache),
        seed=seed,
        report=report,
    )
    _tell(tables, as_json=as_json, catalogs=catalogs, labels=labels, where=where, seed=seed)


@main.command()
@click.argument("music", type=folder)
@click.option("--corpus", type=folder, help="Where the tracks of debian_tracks.csv are.")
@model_option
@windows_option
@_shared
def models(
    music: Path,
    *,
    corpus: Path | None,
    models: tuple[str, ...],
    windows: int | None,
    cache: Path | None,
    seed: int,
    as_json: bool,
) -> None:
    """Compare models on the development sets in MUSIC, by the rule of choice.

    Beside them: bliss (if bliss-audio is installed), 20 MFCCs from the same windows, and the first
    model's embeddings shuffled.

    Example: evaluate.py models ../shared/music --corpus corpus --model soundalike --model musicnn
    """
    from evaluation.embeddings import Cache
    from evaluation.models import measure_models

    excerpts = _excerpts(windows)
    tables = measure_models(
        music,
        corpus,
        _models(models),
        excerpts=excerpts,
        cache=Cache(cache),
        seed=seed,
        report=report,
    )
    _tell(tables, as_json=as_json, excerpts=str(excerpts), seed=seed)


@main.command()
@click.argument("music", type=folder)
@click.option("--corpus", type=folder, help="Where the tracks of debian_tracks.csv are.")
@_shared
def candidates(
    music: Path, *, corpus: Path | None, cache: Path | None, seed: int, as_json: bool
) -> None:
    """Apply the rule of choice to the candidates for the default model, stage by stage.

    MUSIC is the folder with the development sets and the split `train`.

    Example: evaluate.py candidates ../shared/music --cache cache
    """
    from evaluation.embeddings import Cache
    from evaluation.models import measure_candidates

    tables = measure_candidates(music, corpus, cache=Cache(cache), seed=seed, report=report)
    _tell(tables, as_json=as_json, seed=seed)


@main.command()
@click.argument("catalog", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--tracks", "count", default=100, show_default=True, help="How many to copy.")
@click.option("--longest", default=600.0, show_default=True, help="Seconds of a track to copy.")
@click.option("--workers", default=0, show_default=True, help="Processes; 0: one a processor.")
@click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to keep copies and embeddings in: the next run with this seed goes on from there.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of Markdown.")
@click.option("--seed", default=0, show_default=True, help="Of all that is drawn.")
def duplicates(
    catalog: Path,
    *,
    count: int,
    longest: float,
    workers: int,
    cache: Path | None,
    as_json: bool,
    seed: int,
) -> None:
    """Copy tracks of CATALOG and see whether the copies are found; list the pairs it has itself.

    Example: evaluate.py duplicates catalog.db --tracks 100
    """
    from evaluation.duplicates import measure_duplicates

    tables = measure_duplicates(
        catalog,
        count=count,
        longest_s=longest,
        workers=workers,
        cache=cache,
        seed=seed,
        report=report,
    )
    _tell(tables, as_json=as_json, seed=seed)


@main.command()
@click.argument("music", type=folder)
@click.option("--corpus", type=folder, help="Where the tracks of debian_tracks.csv are.")
@click.option("--model", default=None, metavar="NAME", help="Name or file. [default: the default]")
@click.option(
    "--count",
    "counts",
    multiple=True,
    type=click.IntRange(min=0),
    help="Windows; again for more; 0 takes all. [default: 1 2 4 6 8 12 16 24 0]",
)
@_shared
def windows(
    music: Path,
    *,
    corpus: Path | None,
    model: str | None,
    counts: tuple[int, ...],
    cache: Path | None,
    seed: int,
    as_json: bool,
) -> None:
    """Measure quality against the number of windows, with the CPU seconds they take.

    Example: evaluate.py windows ../shared/music --corpus corpus --cache cache
    """
    from evaluation.embeddings import Cache
    from evaluation.windows import COUNTS, measure_windows

    (name,) = _models((model,) if model else ())
    tables = measure_windows(
        music, corpus, name, counts=counts or COUNTS, cache=Cache(cache), report=report
    )
    _tell(tables, as_json=as_json, model=name, seed=seed)


@main.command()
@click.argument("music", type=folder)
@model_option
@click.option("--tracks", type=click.IntRange(min=1), default=50, show_default=True)
@windows_option
@_shared
def copies(
    music: Path,
    *,
    models: tuple[str, ...],
    tracks: int,
    windows: int | None,
    cache: Path | None,
    seed: int,
    as_json: bool,
) -> None:
    """Look up copies of tracks among all of the folder MUSIC: encoded, louder, cut, and so on.

    Example: evaluate.py copies ../shared/music/clips --tracks 50 --cache cache
    """
    from evaluation.embeddings import Cache
    from evaluation.robustness import measure_copies

    excerpts = _excerpts(windows)
    tables = measure_copies(
        music,
        _models(models),
        tracks=tracks,
        excerpts=excerpts,
        cache=Cache(cache),
        seed=seed,
        report=report,
    )
    _tell(tables, as_json=as_json, tracks=tracks, excerpts=str(excerpts), seed=seed)


@main.command()
@click.argument("catalog", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("labels", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of Markdown.")
def words(catalog: Path, labels: Path, *, as_json: bool) -> None:
    """Ask CATALOG for genres and moods by word; compare the answers with LABELS, mood4q.csv.

    Example: evaluate.py words mood4q.db ../shared/music/mood4q.csv
    """
    from evaluation.words import measure_words

    _tell([measure_words(catalog, labels)], as_json=as_json)


@main.command()
@click.argument("catalog", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("labels", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of Markdown.")
@click.option("--seed", default=0, show_default=True, help="Of the halves and the bootstrap.")
def steering(catalog: Path, labels: Path, *, as_json: bool, seed: int) -> None:
    """Ask CATALOG for songs like one of LABELS, mood4q.csv, but sadder: genre kept, mood reached.

    Example: evaluate.py steering mood4q.db ../shared/music/mood4q.csv
    """
    from evaluation.steering import measure_steering

    _tell(measure_steering(catalog, labels, seed=seed), as_json=as_json, seed=seed)


@main.command()
@click.argument("plays", type=click.Path(path_type=Path, exists=True, dir_okay=True))
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of Markdown.")
@click.option("--seed", default=0, show_default=True, help="Of the halves and the bootstrap.")
def stars(plays: Path, *, as_json: bool, seed: int) -> None:
    """Start radios from what listeners of PLAYS play, with stars: do they hold more that they play?

    PLAYS is an npz of plays and item vectors, or a folder of MovieLens, as for
    `evaluate_cold_start.py real`.

    Example: evaluate.py stars ../shared/plays/hetrec_lastfm.npz
    """
    from cold_start.datasets import read_dataset
    from evaluation.stars import measure_stars

    data = read_dataset(plays, vectors=None, catalog=None)
    _tell(measure_stars(data, seed=seed), as_json=as_json, seed=seed)


@main.command()
@click.argument("library", type=folder)
@click.argument("truth", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of Markdown.")
@click.option("--seed", default=0, show_default=True, help="Of the click tracks.")
def descriptors(library: Path, truth: Path, *, as_json: bool, seed: int) -> None:
    """Compare tempo and key with those of TRUTH, with click tracks and with librosa.

    Example: evaluate.py descriptors demo/library demo/truth.csv
    """
    from evaluation.descriptors import measure_descriptors

    _tell(measure_descriptors(library, truth, seed=seed, report=report), as_json=as_json, seed=seed)


if __name__ == "__main__":
    main()
