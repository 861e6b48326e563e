"""Train the networks: grooves | prepare | distill | ablate | export | ensemble | genre."""

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
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--music", type=click.Path(path_type=Path, exists=True), help="Folder with clips.csv."
)
@click.option("--corpus", type=click.Path(path_type=Path, exists=True), help="Debian's tracks.")
@click.option("--folder", type=click.Path(path_type=Path, exists=True), help="Any music, no table.")
@click.option("--split", type=click.Choice(["train", "eval"]), default="train", show_default=True)
@click.option("--teachers", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--musicnn", default="musicnn", show_default=True, help="Name or file of MusiCNN.")
@click.option("--pieces", default=4, show_default=True, help="At most so many of 30 s a track.")
@click.option("--copies", default=1, show_default=True, help="Alterations of each piece.")
@click.option("--seed", default=0, show_default=True)
@click.option("--threads", default=2, show_default=True)
def prepare(
    out: Path,
    *,
    music: Path | None,
    corpus: Path | None,
    folder: Path | None,
    split: str,
    teachers: Path,
    musicnn: str,
    pieces: int,
    copies: int,
    seed: int,
    threads: int,
) -> None:
    """Turn music into arrays in OUT; run it again to resume.

    Example: train.py prepare data/train --music ../shared/music --teachers ../shared/teachers
    """
    from training.corpus import read_folder, read_tables
    from training.prepare import prepare as run
    from training.targets import Teachers

    tracks = read_tables(music, corpus, split=split) if music else []
    tracks += read_folder(folder) if folder else []
    if not tracks:
        raise click.UsageError("no music: name --music or --folder")
    run(
        tracks,
        out,
        Teachers(teachers, musicnn=musicnn),
        at_most=pieces,
        copies=copies,
        seed=seed,
        threads=threads,
        report=report,
    )


@main.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--count", default=200, show_default=True, help="Pieces of half a minute.")
@click.option(
    "--library",
    type=click.Path(path_type=Path, exists=True),
    default="/usr/share/mma/lib/stdlib",
    show_default=True,
    help="mma's grooves.",
)
@click.option(
    "--soundfonts",
    type=click.Path(path_type=Path, exists=True),
    default="/usr/share/sounds",
    show_default=True,
    help="Folder with sf2 and sf3.",
)
@click.option("--seed", default=0, show_default=True)
@click.option("--threads", default=2, show_default=True)
def grooves(
    out: Path, *, count: int, library: Path, soundfonts: Path, seed: int, threads: int
) -> None:
    """Render music in styles that a corpus may lack into the folder OUT; run it again to resume.

    Needs Debian's mma, fluidsynth, espeak-ng and a soundfont.

    Example: train.py grooves data/grooves && train.py prepare data/more --folder data/grooves ...
    """
    from training.grooves import find_band, render

    band = find_band(library, soundfonts)
    render(out, band, count=count, seed=seed, threads=threads, report=report)


@main.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True), nargs=-1, required=True)
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--labels", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--musicnn", default="musicnn", show_default=True, help="Name or file of MusiCNN.")
@click.option("--hold", default=8.0, show_default=True, help="Less shrinks more; inf: nothing.")
@click.option("--threads", default=2, show_default=True)
def distill(
    data: tuple[Path, ...], run: Path, *, labels: Path, musicnn: str, hold: float, threads: int
) -> None:
    """Distil the teachers on the folders DATA into a network in the folder RUN.

    What an earlier run in the same folder has listened to is kept. --labels is AudioSet's list of
    classes, in the folder of the teachers.

    Example: train.py distill data/train runs/own --labels teachers/audioset_labels.csv
    """
    import torch
    from training.classes import class_numbers
    from training.distill import distill as run_distillation
    from training.distill import save
    from training.prepare import open_prepared

    from indexer.models.registry import load_model

    torch.set_num_threads(threads)
    network, config = run_distillation(
        load_model(musicnn),
        open_prepared(*data),
        classes=class_numbers(labels),
        folder=run / "heard",
        report=report,
        hold=hold,
    )
    save(network, config, run)


@main.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True), nargs=-1, required=True)
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--evaluation",
    type=click.Path(path_type=Path, exists=True),
    required=True,
    help="Folder that `prepare --split eval` has filled.",
)
@click.option("--labels", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--musicnn", default="musicnn", show_default=True, help="Name or file of MusiCNN.")
@click.option("--threads", default=2, show_default=True)
def ablate(
    data: tuple[Path, ...],
    run: Path,
    *,
    evaluation: Path,
    labels: Path,
    musicnn: str,
    threads: int,
) -> None:
    """Distil without each part in turn, measure that, and print a table.

    Example: train.py ablate data/train runs/own --evaluation data/eval --labels LABELS.csv
    """
    import torch
    from training.ablation import ablate as run_ablation
    from training.classes import class_numbers
    from training.prepare import open_prepared

    from indexer.models.registry import load_model

    torch.set_num_threads(threads)
    rows = run_ablation(
        load_model(musicnn),
        open_prepared(*data),
        open_prepared(evaluation),
        classes=class_numbers(labels),
        folder=run,
        report=report,
    )
    click.echo("| P@5 / mAP | " + " | ".join(rows[0][1]) + " |")
    click.echo("|---" * (1 + len(rows[0][1])) + "|")
    for name, scores in rows:
        cells = " | ".join("{:.3f} / {:.3f}".format(*score.means) for score in scores.values())
        click.echo(f"| {name} | {cells} |")


@main.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--name", default="soundalike", show_default=True)
@click.option("--musicnn", default="musicnn", show_default=True, help="Name or file of MusiCNN.")
def export(run: Path, out: Path, *, name: str, musicnn: str) -> None:
    """Write what was distilled in RUN as the model file OUT, its card in the header.

    Example: train.py export runs/own indexer/weights/soundalike.safetensors
    """
    from training.distill import open_saved
    from training.export import export as write

    from indexer.models.registry import model_info

    network, config = open_saved(run)
    info = write(network, config, out, name=name, musicnn=model_info(musicnn))
    report(f"{info.name}: {out.stat().st_size / 1e6:.1f} MB, fingerprint {info.fingerprint[:12]}")


@main.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--dim", default=192, show_default=True, help="Length of the ensemble's embedding.")
def ensemble(data: Path, out: Path, *, dim: int) -> None:
    """Fit the space that the ensemble's parts come together in to DATA, and write it to OUT.

    Example: train.py ensemble data/train indexer/ensemble.safetensors
    """
    from training.ensemble import write_constants
    from training.prepare import open_prepared
    from training.targets import TEACHERS

    prepared = open_prepared(data)
    embeddings = {teacher: prepared.gather(teacher) for teacher in TEACHERS}
    write_constants(embeddings, out, dim=dim)
    pieces = len(prepared.pieces())
    report(f"{out.stat().st_size / 1e6:.1f} MB from {pieces} half minutes of music")


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
