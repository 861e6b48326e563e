"""What more windows of a track are worth: quality and CPU seconds against the number of windows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evaluation.embeddings import Excerpts, embed_all, embedder, load_models, one_thread
from evaluation.music import read_development
from evaluation.tables import Cell, Figure, Table
from indexer.analysis.track_analysis import ALL_WINDOWS
from recommender.evaluation.metrics import cosines

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from evaluation.embeddings import Cache, Report

COUNTS = (1, 2, 4, 6, 8, 12, 16, 24, ALL_WINDOWS)


def measure_windows(
    music: Path,
    corpus: Path | None,
    name: str,
    *,
    counts: Sequence[int],
    cache: Cache,
    report: Report,
) -> list[Table]:
    """Embed the development sets with each number of windows and measure each.

    Raises
    ------
    QueryError, ModelMissing, ModelCorrupt
    """
    paths, tasks = read_development(music, corpus)
    ((shown, model),) = load_models([name]).items()
    with one_thread():
        embedded = {
            str(excerpts): embed_all(
                f"{shown}, windows: {excerpts}",
                paths,
                embedder(model, excerpts, cache),
                report=report,
            )
            for excerpts in map(Excerpts, counts)
        }
    everywhere = np.logical_and.reduce([one.present for one in embedded.values()])
    last = list(embedded.values())[-1].vectors
    final = list(embedded)[-1]
    tables = []
    for task in (task.among(everywhere) for task in tasks):
        rows: list[tuple[str, tuple[Cell, ...]]] = []
        for count, one in embedded.items():
            vectors = one.vectors[task.rows]
            scores = task.scores(cosines(vectors)).mean(0)
            near = np.median(np.sum(vectors * last[task.rows], axis=1))
            cells = (
                Figure(round(float(one.windows[task.rows].mean()), 2)),
                Figure(round(float(one.cpu_s[task.rows].mean()), 3)),
                Figure(round(float(near), 4)),
                *(Figure(round(float(score), 4)) for score in scores),
            )
            rows.append((count, cells))
        columns = ("windows used (mean)", "CPU s a track (mean)", f"median cosine to {final}")
        notes = f"{len(task.rows)} tracks; a track gives no more windows than fit. One core."
        title = f"{shown}, windows asked for: {task.name}"
        tables.append(Table(title, (*columns, f"P@{task.k}", "mAP"), tuple(rows), notes))
    return tables
