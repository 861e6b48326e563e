"""From sound to plays: how soon an item's own plays outweigh what its sound lets expect.

An item with c listeners has the factor

    f = g^(1 - b) (b y + (1 - b) p),    b = c / (c + k)

of y, what the collaborative model learned, and p, what is predicted; g widens what a regression
has shrunk, so that new items are seen among old ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from recommender.cold_start.factors import Collaborative

HANDOVERS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
"""Values of k to choose from."""
BIAS_HANDOVER = 1.0
"""k of a bias, the logarithm of how popular an item is: c plays tell it to within a variance of
1 / c, and it varies by about 1 between items, which no sound says."""
THINNED = (1, 2, 5, 10, 20, 50)
"""Listeners left to an item while choosing."""
ITEMS, ASKED, FEWEST = 200, 50, 10
"""Items that are thinned and listeners asked for each, at most; items needed at least."""
TOLERANCE = 0.005
"""Of values of k that do as well as the best, to this part, the largest is taken."""
BLOCK = 4096


def share_of_plays(listeners: NDArray[np.float32], k: float) -> NDArray[np.float32]:
    """How far items of c listeners go by their plays: b = c / (c + k)."""
    return (listeners / (listeners + k)).astype(np.float32)


def blend_factors(
    learned: NDArray[np.float32],
    mean: NDArray[np.float32],
    expected: NDArray[np.float32],
    listeners: NDArray[np.float32],
    k: float,
    spread: NDArray[np.float32],
    *,
    bias_column: int | None = None,
) -> NDArray[np.float32]:
    """Factors of items that have plays and a sound.

    Parameters
    ----------
    learned : float32 (items, factors)
    mean : float32 (factors,)
        The mean factor, which is not widened where it is predicted.
    expected : float32 (items, factors)
        Predicted differences from it.
    listeners : float32 (items,)
    spread : float32 (factors,)
        How much wider a prediction by sound alone is made.
    bias_column : int, optional
        Goes over to the plays after one of them, see `BIAS_HANDOVER`.
    """
    b = np.repeat(share_of_plays(listeners, k)[:, None], learned.shape[1], axis=1)
    if bias_column is not None:
        b[:, bias_column] = share_of_plays(listeners, min(k, BIAS_HANDOVER))
    widened = spread ** (1 - b)
    mixed = widened * b * learned + (1 - b) * (mean + widened * expected)
    return np.asarray(mixed, np.float32)


def learned_handover(
    model: Collaborative,
    user_items: csr_matrix,
    rows: NDArray[np.int64],
    predicted: NDArray[np.float32],
    *,
    seed: int,
) -> tuple[float, dict[float, float]]:
    """Choose k by leaving items only a few of their listeners and looking for the others.

    What the model would have made of an item of c listeners is found by two steps of alternating
    least squares (Hu, Koren & Volinsky, ICDM 2008, eq. 4 and 5): the listeners' factors without the
    thinned items, then those of the items from the listeners that are left. What counts is the
    discounted gain 1 / log2(1 + rank) of the item in the ranking of each listener that was left
    out, among all thinned items.

    Parameters
    ----------
    model : Collaborative
    user_items : csr (listeners, items)
        What the model was fitted on.
    rows : int64 (m,)
        Items with plays and a sound.
    predicted : float32 (m, factors)
        Their factors, by maps that had not seen them.

    Returns
    -------
    k : float
    gains : dict of k to gain
        In parts of the best at each number of listeners, added up; empty where there are too few
        items to choose by.
    """
    rng = np.random.default_rng(seed)
    item_users = user_items.T.tocsr()[rows]
    counts = np.diff(item_users.indptr)
    # The better played half has listeners to spare.
    rich = np.flatnonzero((counts >= np.median(counts)) & (counts >= 4))
    rich = rng.permutation(rich)[:ITEMS]
    if len(rich) < FEWEST:
        return HANDOVERS[len(HANDOVERS) // 2], {}
    played_by = [_shuffled_row(item_users, item, rng) for item in rich.tolist()]
    asked_at_all = [one[0][: max(THINNED) + ASKED] for one in played_by]
    users = _without(model, user_items, np.unique(np.concatenate(asked_at_all)), rows[rich])
    gram = model.users.T @ model.users
    full = np.stack([_solved(model, users, gram, one[:100], w[:100]) for one, w in played_by])
    # A model of another loss has factors of another length than the step finds.
    scale = _length(model.items[rows[rich]]) / max(_length(full), 1e-12)
    gains = dict.fromkeys(HANDOVERS, 0.0)
    for left in THINNED:
        usable = np.flatnonzero(counts[rich] >= 2 * left)
        if len(usable) < FEWEST:
            continue
        few = [(played_by[one][0][:left], played_by[one][1][:left]) for one in usable]
        asked = [played_by[one][0][left : left + ASKED] for one in usable]
        known = scale * np.stack([_solved(model, users, gram, *one) for one in few])
        expected = predicted[rich[usable]]
        found = {}
        for k in HANDOVERS:
            b = left / (left + k)
            found[k] = _gain(users, b * known + (1 - b) * expected, asked)
        for k, gain in found.items():
            gains[k] += gain / max(found.values())
    # The other items' factors know something of the plays left out, which speaks for plays.
    enough = max(gains.values()) * (1 - TOLERANCE)
    return max(k for k, gain in gains.items() if gain >= enough), gains


def _shuffled_row(
    item_users: csr_matrix, item: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Listeners of an item and how much each played it, in any order."""
    start, stop = item_users.indptr[item], item_users.indptr[item + 1]
    order = start + rng.permutation(stop - start)
    return item_users.indices[order], item_users.data[order]


def _without(
    model: Collaborative,
    user_items: csr_matrix,
    listeners: NDArray[np.int64],
    hidden: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Factors of the listeners had they not played some items; the others' as they are."""
    users = model.users.copy()
    gram = model.items.T @ model.items
    secret = np.zeros(len(model.items), bool)
    secret[hidden] = True
    for listener in listeners:
        row = slice(user_items.indptr[listener], user_items.indptr[listener + 1])
        seen = ~secret[user_items.indices[row]]
        played, plays = user_items.indices[row][seen], user_items.data[row][seen]
        users[listener] = _solved(model, model.items, gram, played, plays)
    return users


def _length(factors: NDArray[np.float32]) -> float:
    return float(np.sqrt((factors**2).sum(1).mean()))


def _solved(
    model: Collaborative,
    factors: NDArray[np.float32],
    gram: NDArray[np.float32],
    rows: NDArray[np.int64],
    plays: NDArray[np.float32],
) -> NDArray[np.float32]:
    """(X'X + X'(C - 1)X + lambda)^-1 X'C 1, over some rows of X; C holds alpha times plays."""
    x, confidence = factors[rows], model.alpha * plays
    matrix = gram + (x.T * (confidence - 1)) @ x + model.regularization * np.eye(len(gram))
    return np.linalg.solve(matrix, confidence @ x).astype(np.float32)


def _gain(
    users: NDArray[np.float32], items: NDArray[np.float32], asked: list[NDArray[np.int64]]
) -> float:
    """Mean of 1 / log2(1 + rank) of an item for each listener that is asked for it."""
    listeners, row = np.unique(np.concatenate(asked), return_inverse=True)
    scores = users[listeners] @ items.T
    column = np.repeat(np.arange(len(items)), [len(one) for one in asked])
    own = scores[row, column]
    ranks = np.empty(len(row))
    for start in range(0, len(row), BLOCK):
        part = slice(start, start + BLOCK)
        ranks[part] = (scores[row[part]] > own[part, None]).sum(1) + 1
    return float((1 / np.log2(1 + ranks)).mean())
