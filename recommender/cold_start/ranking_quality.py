"""nDCG and recall of scores, user by user: what settings of the cold start are chosen by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

DEPTH = 20


def ndcg(scores: NDArray[np.float32], relevant: csr_matrix, depth: int = DEPTH) -> NDArray[Any]:
    """NDCG of each user's first `depth` items.

    Parameters
    ----------
    scores : float32 (users, items)
        Minus infinity for items that are not ranked.
    relevant : csr (users, items)
        Entries are what is relevant, all to the same degree; there may be fewer columns.

    Returns
    -------
    float64 (users,), NaN for users without a relevant item
    """
    hits, number = _hits(scores, relevant, depth)
    gains = 1 / np.log2(np.arange(2, hits.shape[1] + 2))
    ideal = np.concatenate([[np.nan], np.cumsum(gains)])[np.minimum(number, len(gains))]
    return np.asarray((hits * gains).sum(1) / ideal)


def recall(scores: NDArray[np.float32], relevant: csr_matrix, depth: int = DEPTH) -> NDArray[Any]:
    """Hits among each user's first `depth` items, of as many as there could be; see `ndcg`."""
    hits, number = _hits(scores, relevant, depth)
    possible = np.minimum(number, hits.shape[1]).astype(np.float64)
    return np.asarray(hits.sum(1) / np.where(possible > 0, possible, np.nan))


def _hits(
    scores: NDArray[np.float32], relevant: csr_matrix, depth: int
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which of the first items are relevant, best first, and how many relevant ones there are."""
    truth = np.zeros(scores.shape, bool)
    truth[np.repeat(np.arange(len(scores)), np.diff(relevant.indptr)), relevant.indices] = True
    depth = min(depth, scores.shape[1])
    top = np.argpartition(-scores, depth - 1, axis=1)[:, :depth]
    order = np.argsort(-np.take_along_axis(scores, top, 1), axis=1, kind="stable")
    return np.take_along_axis(truth, np.take_along_axis(top, order, 1), 1), truth.sum(1)
