"""Several ways to say which tracks are near, measured on the same questions, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evaluation.tables import HUB_COLUMNS, Cell, Table, figures_of, figures_of_hubs
from recommender.evaluation.metrics import (
    FIRST,
    KS,
    cosines,
    hubness,
    nearest,
    paired_difference,
    retrieval,
)
from recommender.retrieval.library_statistics import LocalScale

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from recommender.evaluation.metrics import Question, Scores, Similarity

COLUMNS = ("seeds", "chance", *(f"P@{k}" for k in KS), "mAP")


def shuffled(vectors: NDArray[np.float32], *, seed: int) -> Similarity:
    """The control: each track has another one's embedding, all else is the same."""
    return cosines(np.random.default_rng(seed).permutation(vectors))


def tamed(vectors: NDArray[np.float32]) -> Similarity:
    """Cosines of unit vectors, rescaled so that hubs lose their advantage."""
    scale = LocalScale.from_references(vectors)
    similarity = cosines(vectors)
    return lambda seeds: scale.relevance(similarity(seeds), vectors)


def at_random(count: int, *, seed: int) -> Similarity:
    """Directions drawn at random."""
    return cosines(np.random.default_rng(seed).standard_normal((count, 64), dtype=np.float32))


def compare(
    title: str,
    ways: Mapping[str, Similarity],
    questions: Mapping[str, Question],
    *,
    seed: int,
    differences_to: str | None = None,
) -> list[Table]:
    """A table a question, one of hubs, and one a question of differences if they are wanted.

    Parameters
    ----------
    ways : mapping of row names to Similarity
    questions : mapping of table names to Question
        A question without any seed is left out.
    differences_to : str, optional
        The row that all others are compared with, seed by seed.
    """
    results = {name: retrieval(way, questions) for name, way in ways.items()}
    count = len(next(iter(questions.values())).labels)
    tables = []
    for question in questions:
        scores = {name: result[question] for name, result in results.items()}
        if len(next(iter(scores.values()))) == 0:
            continue
        tables.append(_scores_table(f"{title}: {question}", scores, count, seed=seed))
        if differences_to is not None:
            tables.append(
                _difference_table(f"{title}: {question}", scores, differences_to, seed=seed)
            )
    hubs = {name: hubness(nearest(way, count), count) for name, way in ways.items()}
    tables.append(
        Table(
            f"{title}: hubs",
            HUB_COLUMNS,
            tuple((name, figures_of_hubs(found, seed=seed)) for name, found in hubs.items()),
            f"Reach: share of the {count} tracks that are in anybody's first {FIRST} (coverage). "
            "Skewness of the number of tracks that have a track among their first; largest: of "
            "the greatest hub.",
        )
    )
    return tables


def _scores_table(title: str, scores: Mapping[str, Scores], count: int, *, seed: int) -> Table:
    rows: list[tuple[str, tuple[Cell, ...]]] = []
    for name, measured in scores.items():
        chance = f"{measured.chance.mean():.3f}"
        rows.append((name, (len(measured), chance, *figures_of(measured, seed=seed))))
    notes = (
        f"{count} tracks. In brackets the bootstrap interval (95 %) over the seeds; chance: the "
        "P@k of an order drawn at random."
    )
    return Table(title, COLUMNS, tuple(rows), notes)


def _difference_table(title: str, scores: Mapping[str, Scores], first: str, *, seed: int) -> Table:
    rows: list[tuple[str, tuple[Cell, ...]]] = []
    for name, measured in scores.items():
        if name != first:
            better = paired_difference(scores[first], measured)
            rows.append((name, (len(better), *figures_of(better, seed=seed))))
    columns = (COLUMNS[0], *COLUMNS[2:])
    notes = "Paired bootstrap, seed by seed: an interval without 0 in it is a real difference."
    return Table(f"{title}: better than {first} by", columns, tuple(rows), notes)
