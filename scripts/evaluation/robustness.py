"""Copies as people have them in libraries: does a model embed them near the original?"""

from __future__ import annotations

import os
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evaluation.embeddings import Cache, embed_all, embedder, load_models, one_thread
from evaluation.music import SUFFIXES
from evaluation.tables import Cell, Figure, Table
from indexer.analysis.pools import decoding_pool
from indexer.audio.reading import read_facts
from indexer.errors import QueryError
from recommender.evaluation.degradations import KINDS, LONGEST_S, Kind, write_copies
from recommender.evaluation.metrics import interval

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from evaluation.embeddings import Arrays, Embeddings, Excerpts, Report
    from indexer.analysis.sandbox import Sandbox
    from indexer.models.registry import Model

COLUMNS = ("tries", "median cosine", "least", "nearest is its original")


def measure_copies(
    folder: Path,
    names: Sequence[str],
    *,
    tracks: int,
    excerpts: Excerpts,
    cache: Cache,
    seed: int,
    report: Report,
) -> list[Table]:
    """Embed a folder and copies of some of its tracks with each model, and look the copies up.

    Raises
    ------
    QueryError
        The folder has fewer than two tracks.
    ModelMissing, ModelCorrupt
    """
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if len(paths) < 2:
        raise QueryError(f"{folder} has {len(paths)} sound files: at least two are compared")
    models = load_models(names)
    tables = []
    with one_thread(), decoding_pool() as pool:
        for name, model in models.items():
            all_of_them = embed_all(name, paths, embedder(model, excerpts, cache), report=report)
            chosen = _choose(paths, all_of_them, tracks, seed=seed)
            rows = _rows(
                name, model, paths, all_of_them, chosen, excerpts, cache, pool, seed, report
            )
            tables.append(
                Table(
                    f"{name}: copies of tracks",
                    COLUMNS,
                    tuple(rows),
                    f"{len(chosen)} tracks, looked up among {int(all_of_them.present.sum())}.",
                )
            )
    return tables


def _choose(
    paths: Sequence[Path], embedded: Embeddings, tracks: int, *, seed: int
) -> NDArray[np.int64]:
    """Rows of tracks drawn at random among those short enough to be copied."""
    chosen: list[int] = []
    for row in np.random.default_rng(seed).permutation(np.flatnonzero(embedded.present)).tolist():
        if len(chosen) == tracks:
            break
        if read_facts(paths[row]).duration_s <= LONGEST_S:
            chosen.append(row)
    return np.array(sorted(chosen), dtype=np.int64)


def _rows(
    name: str,
    model: Model,
    paths: Sequence[Path],
    embedded: Embeddings,
    chosen: NDArray[np.int64],
    excerpts: Excerpts,
    cache: Cache,
    pool: Sandbox[None],
    seed: int,
    report: Report,
) -> list[tuple[str, tuple[Cell, ...]]]:
    present = np.flatnonzero(embedded.present)
    rows = []
    all_cosines, all_found = [], []
    for kind in KINDS:
        copies = embed_all(
            f"{name}, {kind.name}",
            [paths[row] for row in chosen],
            _copy_embedder(model, kind, excerpts, cache, pool),
            report=report,
        )
        kept = np.flatnonzero(copies.present)
        near = copies.vectors[kept] @ embedded.vectors[present].T
        own = np.searchsorted(present, chosen[kept])
        cosines = near[np.arange(len(kept)), own]
        found = near.argmax(1) == own
        rows.append((kind.name, _cells(cosines, found, seed=seed)))
        all_cosines.append(cosines)
        all_found.append(found)
    whole = _cells(np.concatenate(all_cosines), np.concatenate(all_found), seed=seed)
    return [*rows, ("all", whole)]


def _cells(
    cosines: NDArray[np.float32], found: NDArray[np.bool_], *, seed: int
) -> tuple[Cell, ...]:
    low, high = interval(found[:, np.newaxis].astype(np.float64), random_state=seed)
    return (
        len(found),
        Figure(round(float(np.median(cosines)), 4)),
        Figure(round(float(cosines.min()), 4)),
        Figure(round(float(found.mean()), 4), round(float(low[0]), 4), round(float(high[0]), 4)),
    )


def _copy_embedder(
    model: Model, kind: Kind, excerpts: Excerpts, cache: Cache, pool: Sandbox[None]
) -> Callable[[Path], Arrays]:
    """What `embed_all` takes: the embedding of a copy of a file."""
    embed = embedder(model, excerpts, Cache(None))
    maker = f"{model.info.name}-{model.info.fingerprint[:16]}-{excerpts}-{_plain(kind.name)}"

    def fresh(path: Path) -> Arrays:
        with tempfile.TemporaryDirectory(prefix="soundalike-") as folder:
            write = partial(write_copies, folder=Path(folder), kinds=(kind,))
            return embed(pool.run(write, os.fsencode(path))[kind.name])

    return lambda path: cache.get(maker, path, lambda: fresh(path))


def _plain(text: str) -> str:
    return "".join(char if char.isalnum() or char in "+-" else "_" for char in text)
