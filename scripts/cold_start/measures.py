"""How well a table of scores finds what users have really played."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

K = 20
MEASURES = ("AUC", "mAP", "recall@20", "nDCG@20", "long tail")


@dataclass(frozen=True)
class Found:
    """Measures of each user who has something to be found.

    Attributes
    ----------
    values : float64 (users, len(MEASURES))
        The last is the share of the first 20 that is among the least played 80 %.
    """

    values: NDArray[np.float64]

    @property
    def means(self) -> NDArray[np.float64]:
        """Over users."""
        return self.values.mean(0)


def measure(
    scores: NDArray[np.float32],
    relevant: csr_matrix,
    known: csr_matrix,
    candidates: NDArray[np.bool_],
    tail: NDArray[np.bool_],
) -> Found:
    """Rank the candidates of each user, less what the user is known to have played.

    Parameters
    ----------
    scores : float32 (users, tracks)
    relevant, known : csr (users, tracks)
    candidates, tail : bool (tracks,)
    """
    truth = relevant.toarray()[:, candidates] > 0
    shown = np.where(known.toarray() > 0, -np.inf, scores)[:, candidates]
    asked = truth.any(1)
    truth, shown = truth[asked], shown[asked]
    # Ties, as of a baseline that knows nothing, are broken at random and not by column.
    columns = np.tile(np.arange(shown.shape[1]), (len(shown), 1))
    dealt = np.random.default_rng(0).permuted(columns, axis=1)
    order = np.argsort(-np.take_along_axis(shown, dealt, 1), axis=1, kind="stable")
    order = np.take_along_axis(dealt, order, 1)
    hits = np.take_along_axis(truth, order, 1)
    possible = np.isfinite(shown).sum(1)
    number = hits.sum(1)
    ranks = np.arange(1, hits.shape[1] + 1)
    positions = (hits * ranks).sum(1)
    negatives = np.maximum(possible - number, 1)
    auc = 1 - (positions - number * (number + 1) / 2) / (number * negatives)
    precision = np.cumsum(hits, 1) / ranks
    average = (precision * hits).sum(1) / number
    recall = hits[:, :K].sum(1) / np.minimum(number, K)
    gains = 1 / np.log2(ranks[:K] + 1)
    ideal = np.cumsum(gains)[np.minimum(number, K) - 1]
    ndcg = (hits[:, :K] * gains).sum(1) / ideal
    in_tail = tail[candidates][order[:, :K]].mean(1)
    return Found(np.stack([auc, average, recall, ndcg, in_tail], 1))


def long_tail(plays: csr_matrix) -> NDArray[np.bool_]:
    """The least played 80 % of tracks."""
    counts = np.asarray(plays.sum(0)).ravel()
    order = np.argsort(counts, kind="stable")
    tail = np.zeros(len(counts), bool)
    tail[order[: int(0.8 * len(counts))]] = True
    return tail
