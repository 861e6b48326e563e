"""Make model files: convert | fit | genre."""

from __future__ import annotations

import time
from pathlib import Path

import click

_STARTED = time.monotonic()


def report(line: str) -> None:
    """Say a line about progress, with the seconds since the start."""
    click.echo(f"{time.monotonic() - _STARTED:7.0f} s  {line}", err=True)


@click.group(help=__doc__)
def main() -> None:
    """Entry point."""


@main.command()
@click.argument("checkpoints", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
def convert(checkpoints: Path, out: Path) -> None:
    """Write the published networks in the folder CHECKPOINTS as model files in the folder OUT.

    CHECKPOINTS holds the three checkpoints, their licences, the names of their tags
    (tags50.json, audioset_labels.csv).

    Example: train.py convert ../shared/teachers indexer/models/weights
    """
    from training.published_networks import PUBLISHED
    from training.published_networks import convert as write

    for published in PUBLISHED:
        info = write(published, checkpoints, out / f"{published.name}.safetensors")
        report(f"{info.name}: {info.path.stat().st_size / 1e6:.1f} MB, {info.fingerprint[:12]}")


@main.command()
@click.argument("music", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--corpus", type=click.Path(path_type=Path, exists=True), help="Debian's tracks.")
@click.option("--name", default="soundalike", show_default=True)
@click.option("--every", default=1, show_default=True, help="MusiCNN embeds every so many windows.")
@click.option("--pieces", default=1, show_default=True, help="mn04 embeds so many times 10 s.")
@click.option("--dim", default=192, show_default=True, help="Principal axes to keep.")
@click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to keep embeddings in: the next run goes on from there.",
)
def fit(
    music: Path,
    out: Path,
    *,
    corpus: Path | None,
    name: str,
    every: int,
    pieces: int,
    dim: int,
    cache: Path | None,
) -> None:
    """Fit the joint space of the three networks to the split `train` of MUSIC; write it to OUT.

    Example: train.py fit ../shared/music indexer/models/weights/soundalike.safetensors
    """
    from evaluation.candidates import NETWORKS, Recipe, embed_networks
    from evaluation.embeddings import Cache, one_thread
    from evaluation.music import read_training
    from training.joint_space import write_ensemble

    with one_thread():
        arrays = embed_networks(read_training(music, corpus), cache=Cache(cache), report=report)
    recipe = Recipe(every=every, pieces=pieces)
    info = write_ensemble(
        {network: arrays[recipe.array(network)] for network in NETWORKS},
        out,
        name=name,
        every={"musicnn": every},
        pieces={"mn04": pieces},
        dim=dim,
    )
    report(f"{info.name}: {out.stat().st_size / 1e6:.1f} MB, fingerprint {info.fingerprint[:12]}")


@main.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--table", type=click.Path(path_type=Path, exists=True), help="CSV: path, genre.")
@click.option("--where", multiple=True, metavar="COLUMN=VALUE", help="Rows of the table to take.")
@click.option("--by-tags", is_flag=True, help="Classes are the genre tags, not the folders.")
@click.option("--name", default="genre", show_default=True)
@click.option("--folds", default=3, show_default=True, help="No artist is in two of them.")
@click.option("--epochs", default=100, show_default=True)
@click.option("--windows", default=8, show_default=True, help="Windows of 3 s a song.")
@click.option("--seed", default=0, show_default=True)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--threads", default=2, show_default=True)
def genre(
    folder: Path,
    out: Path,
    *,
    table: Path | None,
    where: tuple[str, ...],
    by_tags: bool,
    name: str,
    folds: int,
    epochs: int,
    windows: int,
    seed: int,
    device: str,
    threads: int,
) -> None:
    """Train a genre classifier from nothing on the songs in FOLDER; results go to the folder OUT.

    One folder a class, unless --table or --by-tags. OUT gets the model NAME.safetensors, trained on
    all songs, and learning curves, confusion matrix and figures of the folds.

    Example: train.py genre songs/ runs/genre --name my-genres
    """
    import torch
    from training.genre_run import run_genre

    from indexer.errors import BadLabels
    from recommender.genres import labels

    torch.set_num_threads(threads)
    try:
        if table:
            songs = labels.from_table(table, folder, where=where)
        else:
            songs = labels.from_tags(folder) if by_tags else labels.from_folders(folder)
        run_genre(
            songs,
            out,
            name=name,
            folds=folds,
            epochs=epochs,
            windows=windows,
            seed=seed,
            device=device,
            report=report,
        )
    except BadLabels as error:
        raise click.UsageError(str(error)) from error


if __name__ == "__main__":
    main()
