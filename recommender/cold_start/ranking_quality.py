"""nDCG of scores, user by user: what settings of the cold start are chosen by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

DEPTH = 20


def ndcg(scores: NDArray[np.float32], relevant: csr_matrix, depth: int = DEPTH) -> NDArray[Any]:
    """NDCG of each user's first `depth` items, for users with something relevant.

    Parameters
    ----------
    scores : float32 (users, items)
        Minus infinity for items that are not ranked.
    relevant : csr (users, items)
        Entries are what is relevant, all to the same degree.

    Returns
    -------
    float64 (users,), NaN for users without a relevant item
    """
    truth = np.zeros(scores.shape, bool)
    truth[np.repeat(np.arange(len(scores)), np.diff(relevant.indptr)), relevant.indices] = True
    depth = min(depth, scores.shape[1])
    top = np.argpartition(-scores, depth - 1, axis=1)[:, :depth]
    order = np.argsort(-np.take_along_axis(scores, top, 1), axis=1, kind="stable")
    hits = np.take_along_axis(truth, np.take_along_axis(top, order, 1), 1)
    gains = 1 / np.log2(np.arange(2, depth + 2))
    number = np.minimum(truth.sum(1), depth)
    ideal = np.concatenate([[np.nan], np.cumsum(gains)])[number]
    return np.asarray((hits * gains).sum(1) / ideal)
