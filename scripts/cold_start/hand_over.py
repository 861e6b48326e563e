"""Recall of cold items against how many plays they are left: by plays, by content, and by both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from evaluation.tables import Figure, Table
from scipy.sparse import csr_matrix

from cold_start.methods import split, train
from recommender.cold_start import HybridRecommender
from recommender.cold_start.factors import read_factors
from recommender.cold_start.ranking_quality import recall
from recommender.evaluation.metrics import interval

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from cold_start.datasets import Dataset

PLAYS = (0, 1, 2, 5, 10, 20, 50)
FEWEST, OTHERS = 40, 10
"""Fewest items of a curve, and fewest plays of each that are looked for."""
WAYS = ("plays alone", "content alone", "both, exposure 0", "both, exposure 1")
KINDS = ("such items", "all items")


def curves(
    data: Dataset,
    kind: str,
    *,
    seeds: int,
    factors: int,
    alpha: float,
    report: Callable[[str], None],
) -> NDArray[np.float64]:
    """Recall@20 (seeds, users, numbers of plays, WAYS, KINDS); NaN for users not asked.

    The cold items with enough plays are left 0 to 50 of them, and a model is trained on these and
    all plays of warm items. The users are those who have played one of the items beyond the last
    number of plays, which is the same at every number.
    """
    found = []
    for seed in range(seeds):
        cold = split(data, by_artist=False, factors=factors, alpha=alpha, seed=seed).cold
        counts = np.bincount(data.plays.indices, minlength=data.plays.shape[1])
        steps = [n for n in PLAYS if (counts[cold] >= n + OTHERS).sum() >= FEWEST]
        thin = cold[counts[cold] >= steps[-1] + OTHERS]
        pairs = data.plays.tocoo()
        order = np.lexsort((np.random.default_rng(seed).random(pairs.nnz), pairs.col))
        number = np.empty(pairs.nnz, np.int64)
        number[order] = np.arange(pairs.nnz) - np.repeat(np.cumsum(counts) - counts, counts)
        left_out = np.isin(pairs.col, thin)
        relevant = _part(pairs, left_out & (number >= steps[-1]))
        values = np.full((data.plays.shape[0], len(PLAYS), len(WAYS), len(KINDS)), np.nan)
        route = None
        for step in steps:
            plays = _part(pairs, ~left_out | (number < step))
            model = train(kind, plays, factors=factors, alpha=alpha, seed=seed)
            hybrids = []
            for exposure in (0.0, 1.0):
                exposed = np.ones(plays.shape[1])
                exposed[thin] = exposure
                made = HybridRecommender(
                    model, plays, data.vectors, exposure=exposed, route=route, random_state=seed
                )
                route = made.learned.choice.settings
                hybrids.append(made)
            values[:, PLAYS.index(step)] = _recall(model, hybrids, data, plays, relevant, thin)
            means = np.nanmean(values[:, PLAYS.index(step)], axis=0)
            report(f"seed {seed}, {step} plays: {np.round(means, 3).tolist()}")
        found.append(values)
    return np.stack(found)


def _recall(
    model: object,
    hybrids: list[HybridRecommender],
    data: Dataset,
    plays: csr_matrix,
    relevant: csr_matrix,
    thin: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Recall@20 (users, WAYS, KINDS)."""
    new, old = hybrids
    served = old.learned.sources >= 0
    users = new.user_factors(range(plays.shape[0]))
    both = [made.all_factors() for made in hybrids]
    content, alone = both[1].copy(), np.zeros_like(both[1])
    content[thin], _ = new.learned.new_items(data.vectors[thin])
    own = read_factors(model).items
    alone[:, : own.shape[1]] = own
    found = []
    for items in (alone, content, *both):
        scores = np.asarray(users @ items.T, np.float32)
        scores[plays.nonzero()] = -np.inf
        scores[:, ~served] = -np.inf
        found.append(
            np.stack(
                [recall(scores[:, thin], relevant[:, thin].tocsr()), recall(scores, relevant)], 1
            )
        )
    return np.stack(found, axis=1)


def tables(data: Dataset, kind: str, found: NDArray[np.float64]) -> list[Table]:
    """Recall of each way, and of both less the better of the two others, with intervals."""
    shown = []
    for column, among in enumerate(KINDS):
        rows = []
        for row, number in enumerate(PLAYS):
            values = found[:, :, row, :, column]
            asked = ~np.isnan(values).all((0, 2))
            if not asked.any():
                continue
            by_user = np.nanmean(values[:, asked], axis=0)
            means = by_user.mean(0)
            better = int(means[1] > means[0])
            difference = by_user[:, 2:3] - by_user[:, better : better + 1]
            low, high = interval(difference)
            figures = [Figure(round(float(value), 4)) for value in means]
            gain = Figure(*(round(float(v), 4) for v in (difference.mean(), low[0], high[0])))
            rows.append((str(number), (*figures, gain)))
        title = f"{data.name}, {kind}: recall@20 among {among}, by plays that an item is left"
        columns = (*WAYS, "both, exposure 0, less the better")
        shown.append(Table(title, columns, tuple(rows)))
    return shown


def draw(found: NDArray[np.float64], path: Path, *, title: str) -> None:
    """Plot the curves, among such items and among all."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    measured = ~np.isnan(found).all(axis=(0, 1, 3, 4))
    means = np.nanmean(found[:, :, measured], axis=(0, 1))
    numbers = [str(number) for number, there in zip(PLAYS, measured, strict=True) if there]
    for column, (among, axis) in enumerate(zip(KINDS, axes, strict=True)):
        for way, mark in zip(range(len(WAYS)), "so^v", strict=True):
            axis.plot(range(len(numbers)), means[:, way, column], marker=mark, label=WAYS[way])
        axis.set_xticks(range(len(numbers)), numbers)
        axis.set_xlabel("plays that an item is left")
        axis.set_ylabel(f"recall@20 among {among}")
        axis.set_ylim(bottom=0)
    axes[0].legend()
    figure.suptitle(title)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _part(pairs: csr_matrix, which: NDArray[np.bool_]) -> csr_matrix:
    return csr_matrix((pairs.data[which], (pairs.row[which], pairs.col[which])), pairs.shape)
