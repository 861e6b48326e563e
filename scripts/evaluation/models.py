"""Models side by side on the same tracks: songs, soundtracks and a rare look at other genres."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluation import mfcc
from evaluation.comparison import compare, shuffled
from evaluation.embeddings import embed_all, embedder, load_models, one_thread
from evaluation.music import collections_of, questions_of, read_eval
from evaluation.tables import Cell, Figure, Table, figures_of
from indexer.features.melspectrogram import FrontEnd
from indexer.vectors.unit_vectors import unit_rows
from recommender.evaluation.metrics import Question, cosines, retrieval

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from evaluation.embeddings import Cache, Embeddings, Excerpts, Report
    from indexer.models.registry import Model

DEV_K = 4
"""Each genre of `genre_dev.npz` has five clips: four are to be found."""


def measure_models(
    music: Path,
    corpus: Path | None,
    names: Sequence[str],
    *,
    excerpts: Excerpts,
    cache: Cache,
    seed: int,
    with_mfcc: bool,
    differences: bool,
    report: Report,
) -> list[Table]:
    """Embed the eval splits with each model and compare them.

    Raises
    ------
    QueryError, ModelMissing, ModelCorrupt
    """
    tracks = read_eval(music, corpus)
    models = load_models(names)
    paths = [track.path for track in tracks]
    with one_thread():
        embedded = {
            name: embed_all(name, paths, embedder(model, excerpts, cache), report=report)
            for name, model in models.items()
        }
        if with_mfcc:
            embed = mfcc.mfcc_embedder(excerpts, cache)
            embedded[mfcc.NAME] = embed_all(mfcc.NAME, paths, embed, report=report)
        dev = music / "genre_dev.npz"
        looks = [_genre_dev(models, dev, seed=seed)] if dev.exists() else []
    everywhere = np.logical_and.reduce([one.present for one in embedded.values()])
    tables = []
    for collection in collections_of(tracks):
        rows = collection.rows[everywhere[collection.rows]]
        some = [tracks[row] for row in rows]
        ways = {
            name: (mfcc.divergence if name == mfcc.NAME else cosines)(one.vectors[rows])
            for name, one in embedded.items()
        }
        first = next(iter(models))
        ways[f"{first}, shuffled"] = shuffled(embedded[first].vectors[rows], seed=seed)
        tables += compare(
            collection.name,
            ways,
            questions_of(some),
            seed=seed,
            differences_to=first if differences else None,
        )
    return [*tables, *looks, _costs(embedded)]


def _costs(embedded: dict[str, Embeddings]) -> Table:
    rows: list[tuple[str, tuple[Cell, ...]]] = [
        (
            name,
            (
                one.vectors.shape[1],
                Figure(round(float(np.nanmean(one.windows)), 2)),
                Figure(round(float(np.nanmedian(one.cpu_s)), 3)),
                Figure(round(float(np.nanmean(one.cpu_s)), 3)),
            ),
        )
        for name, one in embedded.items()
    ]
    columns = ("numbers kept", "windows (mean)", "CPU s (median)", "CPU s (mean)")
    notes = "Opening, decoding, network; one core, as it was when the embedding was made."
    return Table("What a track costs", columns, tuple(rows), notes)


def _genre_dev(models: dict[str, Model], path: Path, *, seed: int) -> Table:
    with np.load(path) as stored:
        content: dict[str, NDArray[Any]] = dict(stored)
    question = {"genre": Question([str(genre) for genre in content["genre"]])}
    rows: list[tuple[str, tuple[Cell, ...]]] = []

    def add(name: str, vectors: NDArray[np.float32] | None) -> None:
        if vectors is None:
            rows.append((f"{name}: other log-mels", (None, None)))
            return
        scores = retrieval(cosines(vectors), question, ks=(DEV_K,))["genre"]
        rows.append((name, figures_of(scores, seed=seed)))

    for name, model in models.items():
        add(f"{name}, 15 s", embed_log_mels(model, content["log_mel"].astype(np.float32)))
    given = [key for key in ("musicnn", "mn04", "fcn") if key in content]
    for key in given:
        add(f"[given] {key}, 30 s, standardised", _standardise(content[key]))
    if len(given) > 1:
        joined = np.concatenate([_standardise(content[key]) for key in given], axis=1)
        add(f"[given] {' + '.join(given)}, 30 s", joined)
    notes = (
        f"{len(content['genre'])} clips of {len(set(content['genre']))} genres, from their "
        "log-mels. [given]: embeddings that came with the file."
    )
    return Table("Other genres (genre_dev)", (f"P@{DEV_K}", "mAP"), tuple(rows), notes)


def _standardise(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Columns with mean 0 and deviation 1 over these rows, then rows at unit length."""
    from sklearn.preprocessing import StandardScaler

    return unit_rows(StandardScaler().fit_transform(vectors))


def embed_log_mels(model: Model, log_mels: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Embeddings (clips, dim) of clips' log-mels (clips, frames, bands), windows end to end.

    None if the model's front end makes other log-mels.
    """
    import torch

    own = model.info.front_end
    median_random_cosine = FrontEnd()
    same_bands = replace(
        own,
        window_frames=median_random_cosine.window_frames,
        window_samples=median_random_cosine.window_samples,
    )
    # Its input is the only door for log-mels without their sound; ensembles have none.
    network = getattr(model, "_network", None)
    if (
        network is None
        or same_bands != median_random_cosine
        or log_mels.shape[1] < own.window_frames
    ):
        return None
    count = log_mels.shape[1] // own.window_frames
    vectors = []
    for clip in log_mels:
        cut = torch.from_numpy(clip[: count * own.window_frames])
        with torch.inference_mode():
            embeddings, _ = network(cut.reshape(count, own.window_frames, -1))
        vectors.append(embeddings.numpy().mean(0))
    return unit_rows(np.stack(vectors))
