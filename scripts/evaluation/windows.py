"""What more windows of a track are worth: quality and CPU seconds against the number of windows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evaluation.embeddings import Embeddings, Excerpts, embed_all, embedder, load_models, one_thread
from evaluation.music import collections_of, questions_of, read_eval
from evaluation.tables import Cell, Figure, Table
from indexer.analysis.track_analysis import ALL_WINDOWS
from recommender.evaluation.metrics import cosines, interval, retrieval

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from training.corpus import Track

    from evaluation.embeddings import Cache, Report

COUNTS = (1, 2, 4, 6, 8, 12, 16, 24, ALL_WINDOWS)
MEASURES = ("P@5", "mAP")


def measure_windows(
    music: Path,
    corpus: Path | None,
    name: str,
    *,
    counts: Sequence[int],
    cache: Cache,
    seed: int,
    report: Report,
) -> list[Table]:
    """Embed the eval splits with each number of windows and measure each.

    Raises
    ------
    QueryError, ModelMissing, ModelCorrupt
    """
    tracks = read_eval(music, corpus)
    ((shown, model),) = load_models([name]).items()
    paths = [track.path for track in tracks]
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
    return [
        _table(shown, collection.name, collection.rows, tracks, embedded, seed=seed)
        for collection in collections_of(tracks)
    ]


def _table(
    model: str,
    title: str,
    rows: NDArray[np.int64],
    tracks: Sequence[Track],
    embedded: dict[str, Embeddings],
    *,
    seed: int,
) -> Table:
    everywhere = np.logical_and.reduce([one.present[rows] for one in embedded.values()])
    kept = rows[everywhere]
    questions = questions_of([tracks[row] for row in kept])
    # The filtered questions say what the artist's voice does not.
    asked = {
        question: one
        for question, one in questions.items()
        if one.without is not None or question == "same artist"
    }
    last = list(embedded.values())[-1].vectors[kept]
    lines: list[tuple[str, tuple[Cell, ...]]] = []
    for count, one in embedded.items():
        cells: list[Cell] = [
            Figure(round(float(one.windows[kept].mean()), 2)),
            Figure(round(float(one.cpu_s[kept].mean()), 3)),
            Figure(round(float(np.median(np.sum(one.vectors[kept] * last, axis=1))), 4)),
        ]
        for scores in retrieval(cosines(one.vectors[kept]), asked).values():
            columns = [scores.measures.index(measure) for measure in MEASURES]
            low, high = interval(scores.values[:, columns], random_state=seed)
            means = scores.means[columns]
            cells += [
                Figure(*(round(float(x), 4) for x in column))
                for column in zip(means, low, high, strict=True)
            ]
        lines.append((count, tuple(cells)))
    final = lines[-1][0]
    headings: tuple[str, ...] = (
        "windows used (mean)",
        "CPU s a track (mean)",
        f"median cosine to {final}",
        *(f"{question}: {measure}" for question in asked for measure in MEASURES),
    )
    notes = f"{len(kept)} tracks; a track gives no more windows than fit. One core."
    return Table(f"{model}, windows asked for: {title}", headings, tuple(lines), notes)
