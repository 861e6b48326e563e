"""A genre classifier measured on folds of artists, then trained on all songs and stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from indexer import checkpoint
from indexer.checkpoint import ModelCard
from indexer.melspectrogram import FrontEnd
from training.files import save_json
from training.genre import (
    confusion,
    draw_confusion,
    draw_curves,
    network_config,
    probabilities,
    train_network,
)
from training.labelled import folds_by_artist, hear

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from training.labelled import Song


def run_genre(
    songs: list[Song],
    out: Path,
    *,
    name: str,
    folds: int,
    epochs: int,
    windows: int,
    seed: int,
    report: Callable[[str], None],
) -> dict[str, Any]:
    """Train, measure, store.

    Parameters
    ----------
    out : Path
        Folder for `name`.safetensors, curves.png, confusion.png and figures.json.

    Returns
    -------
    dict
        What figures.json says: accuracy, its mean over classes, the commonest class's share,
        confusion matrix.
    """
    out.mkdir(parents=True, exist_ok=True)
    songs, log_mels = hear(songs, windows=windows, report=report)
    names = sorted({song.genre for song in songs})
    numbers = np.array([names.index(song.genre) for song in songs], dtype=np.int64)
    fold_of = folds_by_artist(songs, folds=folds, seed=seed)
    found = np.zeros_like(numbers)
    curves = []
    for fold in range(folds):
        held_out = fold_of == fold
        report(f"fold {fold + 1} of {folds}: {held_out.sum()} songs of other artists")
        network, curve = train_network(
            log_mels[~held_out],
            numbers[~held_out],
            len(names),
            epochs=epochs,
            seed=seed,
            held_out=(log_mels[held_out], numbers[held_out]),
            report=report,
        )
        found[held_out] = probabilities(network, log_mels[held_out]).argmax(1)
        curves.append(curve)
    table = confusion(numbers, found, len(names))
    shares = table.diagonal() / np.maximum(table.sum(1), 1)
    figures = {
        "songs": len(songs),
        "classes": names,
        "accuracy": float((found == numbers).mean()),
        "mean accuracy of the classes": float(shares.mean()),
        "share of the commonest class": float(np.bincount(numbers).max() / len(numbers)),
        "confusion": table.tolist(),
    }
    save_json(out / "figures.json", figures)
    draw_confusion(table, names, out / "confusion.png")
    draw_curves(curves, out / "curves.png")
    report(f"accuracy on artists not heard in training: {figures['accuracy']:.3f}")

    network, _ = train_network(
        log_mels, numbers, len(names), epochs=epochs, seed=seed, report=report
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
