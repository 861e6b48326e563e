"""Recall of tracks against how many plays they have: by plays alone, by sound alone, by both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix

from cold_start.contenders import train
from cold_start.measures import measure
from recommender.cold_start import FactorRegressor, HybridRecommender
from recommender.cold_start.factors import read_factors

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from cold_start.experiment import Experiment

PLAYS = (0, 1, 2, 5, 10, 50)
WAYS = ("plays alone", "sound alone", "both")
RECALL = 2


def curves(experiment: Experiment) -> NDArray[np.float64]:
    """Recall@20 (len(PLAYS), len(WAYS)) over tracks that are left only so many plays.

    Half of the tracks that have at least 60 plays are thinned; the users left out are looked
    for, among thinned tracks only.
    """
    plays, setting, seed = experiment.world.plays, experiment.setting, experiment.seed
    vectors = experiment.tracks.embeddings[experiment.first]
    rng = np.random.default_rng(seed)
    counts = np.asarray(plays.sum(0)).ravel()
    often = np.flatnonzero(counts >= PLAYS[-1] + 10)
    thinned = np.zeros(len(counts), bool)
    thinned[rng.permutation(often)[: max(25, len(often) // 2)]] = True
    pairs = plays.tocoo()
    order = np.lexsort((rng.random(pairs.nnz), pairs.col))
    order_of_play = np.empty(pairs.nnz, np.int64)
    starts = np.concatenate([[0], np.cumsum(np.bincount(pairs.col, minlength=len(counts)))[:-1]])
    order_of_play[order] = np.arange(pairs.nnz) - starts[pairs.col[order]]

    def part(which: NDArray[np.bool_]) -> csr_matrix:
        where = (pairs.row[which], pairs.col[which])
        return csr_matrix((pairs.data[which], where), shape=plays.shape)

    found = np.empty((len(PLAYS), len(WAYS)))
    # Always the same users are looked for.
    held_out = part(thinned[pairs.col] & (order_of_play >= PLAYS[-1]))
    for row, left in enumerate(PLAYS):
        known = part(~thinned[pairs.col] | (order_of_play < left))
        model = train(setting.collaborative, known, factors=setting.factors, seed=seed)
        read = read_factors(model)
        hybrid = HybridRecommender(
            model,
            known,
            vectors,
            regressor=FactorRegressor(setting.kinds[0], random_state=seed),
        )
        content = hybrid.content.predict(vectors)[0]
        for column, items in enumerate((read.items, content, hybrid.all_factors())):
            scores = np.asarray(read.users @ items.T, np.float32)
            rows = experiment.asked
            measured = measure(scores[rows], held_out[rows], known[rows], thinned, experiment.tail)
            found[row, column] = measured.means[RECALL]
    return found


def draw(found: NDArray[np.float64], path: Path, *, title: str) -> None:
    """Plot curves of several seeds (seeds, len(PLAYS), len(WAYS)) with their spread."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    positions = np.arange(len(PLAYS))
    for column, (way, mark) in enumerate(zip(WAYS, "so^", strict=True)):
        mean, spread = found[:, :, column].mean(0), found[:, :, column].std(0)
        axes.errorbar(positions, mean, spread, marker=mark, capsize=3, label=way)
    axes.set_xticks(positions, [str(number) for number in PLAYS])
    axes.set_xlabel("plays that a track has")
    axes.set_ylabel("recall@20 among such tracks")
    axes.set_ylim(bottom=0)
    axes.set_title(title)
    axes.legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)
