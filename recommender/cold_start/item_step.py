"""Factors of an item that has its first plays, around what its content predicts.

With q the prediction, V the vectors of the users who have played the item, C their confidence and t
the score of a play, the factors are

    q + (V'CV + l)^-1 V'C (t - V q)

the item step of collaborative topic regression (Wang & Blei, "Collaborative topic modeling for
recommending scientific articles", KDD 2011) without its zeros: that somebody has not played an
upload of yesterday says nothing of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    Array = NDArray[np.float32]

PLAYERS = 200
"""Most users of an item that count: with so many plays, the content hardly matters."""


def step_items(
    predicted: Array,
    by_item: csr_matrix,
    users: Array,
    targets: Array,
    penalty: float,
    *,
    seed: int = 0,
) -> Array:
    """Factors (items, f) by the item step.

    Parameters
    ----------
    predicted : float32 (items, f)
    by_item : csr (items, users)
        Confidence of plays, above 0.
    users : float32 (users, f)
    targets : float32 (users,)
        The score of a play; nobody's play lowers a score that is already above.
    penalty : float
        l above.
    """
    found = predicted.copy()
    rng = np.random.default_rng(seed)
    for row in range(len(found)):
        part = np.arange(by_item.indptr[row], by_item.indptr[row + 1])
        if not len(part):
            continue
        part = rng.permutation(part)[:PLAYERS]
        who, confidence = by_item.indices[part], by_item.data[part]
        played = users[who]
        missed = np.maximum(targets[who] - played @ predicted[row], 0)
        # (V'CV + l)^-1 V'C = V' (V V' + l C^-1)^-1: as many equations as plays.
        matrix = played @ played.T + np.diag(penalty / confidence)
        found[row] += played.T @ np.linalg.solve(matrix, missed)
    return found
