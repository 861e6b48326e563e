"""A genre classifier measured on folds of artists, then trained on all songs and stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.errors import BadLabels
from indexer.features.melspectrogram import FrontEnd
from indexer.models import checkpoint
from indexer.models.checkpoint import ModelCard
from recommender.genres.confusion import Confusion
from recommender.genres.held_out import calibration_error
from recommender.plots.confusion import draw_confusion
from training.files import save_json
from training.genre import (
    draw_curves,
    network_config,
    probabilities,
    train_network,
)
from training.labelled import folds_by_artist, hear

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from recommender.genres.labels import Song


def run_genre(
    songs: list[Song],
    out: Path,
    *,
    name: str,
    folds: int,
    epochs: int,
    windows: int,
    seed: int,
    device: str = "cpu",
    report: Callable[[str], None],
) -> dict[str, Any]:
    """Train, measure, store.

    Parameters
    ----------
    out : Path
        Folder for `name`.safetensors, curves.png, confusion.png and figures.json.
    device : str
        "cpu", or "cuda" for mixed precision on a GPU.

    Raises
    ------
    BadLabels
        Too few classes, or too few artists of one.

    Returns
    -------
    dict
        What figures.json says: accuracy, its mean over classes, the commonest class's share,
        calibration error, confusion matrix.
    """
    if len({song.genres[0] for song in songs}) < 2:
        raise BadLabels(f"{len(songs)} songs of fewer than 2 classes: label more of them")
    out.mkdir(parents=True, exist_ok=True)
    songs, log_mels = hear(songs, windows=windows, report=report)
    names = sorted({song.genres[0] for song in songs})
    numbers = np.array([names.index(song.genres[0]) for song in songs], dtype=np.int64)
    fold_of = folds_by_artist(songs, folds=folds, seed=seed)
    if fold_of.max() < 0:
        raise BadLabels("no folds can be made: each class takes songs of at least 2 artists")
    found = np.zeros((len(songs), len(names)), dtype=np.float32)
    curves = []
    for fold in range(fold_of.max() + 1):
        held_out = fold_of == fold
        report(f"fold {fold + 1} of {fold_of.max() + 1}: {held_out.sum()} songs of other artists")
        network, curve = train_network(
            log_mels[~held_out],
            numbers[~held_out],
            len(names),
            epochs=epochs,
            seed=seed,
            held_out=(log_mels[held_out], numbers[held_out]),
            device=device,
            report=report,
        )
        found[held_out] = probabilities(network, log_mels[held_out])
        curves.append(curve)
    measured = fold_of >= 0
    heard = found[measured].argmax(1)
    table = Confusion.of(names, numbers[measured], heard)
    figures = {
        "songs": len(songs),
        "accuracy": table.accuracy,
        "balanced_accuracy": table.balanced_accuracy,
        "commonest_class": table.commonest,
        "calibration_error": calibration_error(
            found[measured].max(1).astype(np.float64), heard == numbers[measured]
        ),
        "confusion": table.to_json(),
    }
    save_json(out / "figures.json", figures)
    draw_confusion(
        table,
        out / "confusion.png",
        title=f"{len(songs)} songs of artists left out: {table.accuracy:.0%} right",
    )
    draw_curves(curves, out / "curves.png")
    report(f"accuracy on artists not in training: {table.accuracy:.3f}")

    network, _ = train_network(
        log_mels, numbers, len(names), epochs=epochs, seed=seed, device=device, report=report
    )
    config = network_config(len(names))
    card = ModelCard(
        name=name,
        dim=int(config.sizes["dim"]),
        tag_names=tuple(names),
        network=config,
        front_end=FrontEnd(),
        pooling="mean",
        licence="the user's own; trained from nothing",
        source=f"scripts/train.py genre, {len(songs)} songs, {epochs} epochs, seed {seed}",
    )
    tensors = {k: t.numpy().astype(np.float16) for k, t in network.state_dict().items()}
    checkpoint.write(out / f"{name}.safetensors", tensors, card)
    return figures
