"""Train the project's own network: prepare | distill | genre | export."""

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
@click.argument("data", type=click.Path(path_type=Path, exists=True))
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--labels", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--musicnn", default="musicnn", show_default=True, help="Name or file of MusiCNN.")
@click.option("--follow-steps", default=0, show_default=True, help="Descent on the first branch.")
@click.option("--steps", default=450, show_default=True, help="Descent on the second branch.")
@click.option("--batch", default=32, show_default=True, help="Pieces in a step.")
@click.option("--windows", default=2, show_default=True, help="Windows of each.")
@click.option("--rate", default=0.002, show_default=True, help="Learning rate.")
@click.option("--direction", default=1.0, show_default=True, help="Weight of the cosine.")
@click.option("--structure", default=5.0, show_default=True, help="Weight of the batch's cosines.")
@click.option("--tags", default=0.5, show_default=True, help="Weight of the tags.")
@click.option("--contrast", default=0.1, show_default=True, help="Weight of artists and albums.")
@click.option("--seed", default=0, show_default=True)
@click.option("--threads", default=2, show_default=True)
def distill(
    data: Path,
    run: Path,
    *,
    labels: Path,
    musicnn: str,
    follow_steps: int,
    steps: int,
    batch: int,
    windows: int,
    rate: float,
    direction: float,
    structure: float,
    tags: float,
    contrast: float,
    seed: int,
    threads: int,
) -> None:
    """Train a student on DATA, with checkpoints in RUN; run it again to resume.

    --labels is AudioSet's list of classes, in the folder of the teachers.

    Example: train.py distill data/train runs/duet --labels teachers/audioset_labels.csv
    """
    import torch
    from training.classes import CLASSES, class_numbers
    from training.course import Course, distill_student
    from training.distill import Objective
    from training.prepare import open_prepared

    from indexer.model import load_model

    torch.set_num_threads(threads)
    course = Course(
        Objective(direction, structure, tags, contrast),
        steps=steps,
        follow_steps=follow_steps,
        batch=batch,
        windows=windows,
        rate=rate,
        seed=seed,
    )
    distill_student(
        load_model(musicnn),
        open_prepared(data),
        course,
        n_tags=50 + len(CLASSES),
        classes=class_numbers(labels),
        run=run,
        report=report,
    )


@main.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--name", default="duet", show_default=True)
@click.option("--musicnn", default="musicnn", show_default=True, help="Name or file of MusiCNN.")
def export(run: Path, out: Path, *, name: str, musicnn: str) -> None:
    """Write the student trained in RUN as the model file OUT.

    Example: train.py export runs/duet indexer/weights/duet.safetensors
    """
    from training.course import open_student
    from training.export import export as write

    from indexer.model import load_model

    teacher = load_model(musicnn)
    student, config = open_student(teacher, run)
    info = write(student, config, out, name=name, musicnn=teacher.info)
    report(f"{info.name}: {out.stat().st_size / 1e6:.1f} MB, fingerprint {info.fingerprint[:12]}")


@main.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--table", type=click.Path(path_type=Path, exists=True), help="CSV: path, genre.")
@click.option("--where", multiple=True, metavar="COLUMN=VALUE", help="Rows of the table to take.")
@click.option("--by-tags", is_flag=True, help="Classes are the genre tags, not the folders.")
@click.option("--name", default="genre", show_default=True)
@click.option("--folds", default=3, show_default=True, help="No artist is in two of them.")
@click.option("--epochs", default=30, show_default=True)
@click.option("--windows", default=8, show_default=True, help="Windows of 3 s a song.")
@click.option("--seed", default=0, show_default=True)
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
    threads: int,
) -> None:
    """Train a genre classifier from nothing on the songs in FOLDER; results go to the folder OUT.

    One folder a class, unless --table or --by-tags. OUT gets the model NAME.safetensors, trained on
    all songs, and learning curves, confusion matrix and figures of the folds.

    Example: train.py genre songs/ runs/genre --name my-genres
    """
    import torch
    from training import labelled
    from training.genre_run import run_genre

    torch.set_num_threads(threads)
    if table:
        pairs = tuple((w.partition("=")[0], w.partition("=")[2]) for w in where)
        songs = labelled.from_table(table, folder, where=pairs)
    else:
        songs = labelled.from_tags(folder) if by_tags else labelled.from_folders(folder)
    if len({song.genre for song in songs}) < 2:
        raise click.UsageError(f"{folder} has songs of fewer than two classes")
    run_genre(
        songs,
        out,
        name=name,
        folds=folds,
        epochs=epochs,
        windows=windows,
        seed=seed,
        report=report,
    )


if __name__ == "__main__":
    main()
