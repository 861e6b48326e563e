"""Blend of an item's predicted and learned factors, by its number of plays.

An item that c users have played has the factor

    f = g^(1 - b) (b y + (1 - b) p),    b = c / (c + k)

of y, the collaborative model's factor, and p, the one predicted from content; k is the shrinkage
constant; g rescales what a regression has shrunk, so that new items rank among old ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from recommender.cold_start.factors import CollaborativeModel

K_CHOICES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
"""Values of k to choose from."""
BIAS_K = 1.0
"""k of a bias, the logarithm of an item's popularity: c plays estimate it with a variance of 1 / c,
and it varies by about 1 between items, which content does not predict."""
KEPT_USERS = (1, 2, 5, 10, 20, 50)
"""Users left to an item while k is chosen."""
ITEMS, ASKED, FEWEST = 200, 50, 10
"""Most items that are thinned, most users asked for each; fewest items needed."""
TOLERANCE = 0.005
"""Of the values of k whose gain is within this share of the best, the largest is taken."""
BLOCK = 4096


def weight_of_plays(user_counts: NDArray[np.float32], k: float) -> NDArray[np.float32]:
    """Weight (items,) of the learned factors of items that c users have played: b = c / (c + k)."""
    return (user_counts / (user_counts + k)).astype(np.float32)


def blend_factors(
    learned: NDArray[np.float32],
    mean: NDArray[np.float32],
    expected: NDArray[np.float32],
    user_counts: NDArray[np.float32],
    k: float,
    spread: NDArray[np.float32],
    *,
    bias_column: int | None = None,
) -> NDArray[np.float32]:
    """Factors (items, factors) of items that have both plays and an embedding.

    Parameters
    ----------
    learned : float32 (items, factors)
    mean : float32 (factors,)
        The mean factor, which is not rescaled.
    expected : float32 (items, factors)
        Predicted differences from it.
    user_counts : float32 (items,)
        Number of users who have played each item.
    spread : float32 (factors,)
        Factor by which predicted differences are rescaled.
    bias_column : int, optional
        Blended with at most `BIAS_K` for k.
    """
    b = np.repeat(weight_of_plays(user_counts, k)[:, None], learned.shape[1], axis=1)
    if bias_column is not None:
        b[:, bias_column] = weight_of_plays(user_counts, min(k, BIAS_K))
    rescaled = spread ** (1 - b)
    mixed = rescaled * b * learned + (1 - b) * (mean + rescaled * expected)
    return np.asarray(mixed, np.float32)


def choose_k(
    model: CollaborativeModel,
    user_items: csr_matrix,
    rows: NDArray[np.int64],
    predicted: NDArray[np.float32],
    *,
    seed: int,
) -> tuple[float, dict[float, float]]:
    """K that ranks thinned items best for users whose plays were left out, and each k's gain.

    Items are thinned: only c of their users are left. What the model would have learned of them is
    found by two steps of alternating least squares (Hu, Koren & Volinsky, ICDM 2008, eq. 4 and 5):
    the users' factors without the thinned items, then those of the items from the users left. The
    gain is 1 / log2(1 + rank) of the item in the ranking of each user left out, among all thinned
    items.

    Parameters
    ----------
    model : Collaborative
    user_items : csr (users, items)
        The plays that the model was fitted on.
    rows : int64 (m,)
        Items with plays and an embedding.
    predicted : float32 (m, factors)
        Their factors, by maps fitted without them.

    Returns
    -------
    k : float
    gains : dict of k to gain
        Shares of the best at each number of users, added up; empty where there are too few items
        to choose by.
    """
    rng = np.random.default_rng(seed)
    item_users = user_items.T.tocsr()[rows]
    counts = np.diff(item_users.indptr)
    # The better played half has users to spare.
    rich = np.flatnonzero((counts >= np.median(counts)) & (counts >= 4))
    rich = rng.permutation(rich)[:ITEMS]
    if len(rich) < FEWEST:
        return K_CHOICES[len(K_CHOICES) // 2], {}
    played_by = [_shuffled_row(item_users, item, rng) for item in rich.tolist()]
    asked_at_all = [one[0][: max(KEPT_USERS) + ASKED] for one in played_by]
    users = _users_without(model, user_items, np.unique(np.concatenate(asked_at_all)), rows[rich])
    gram = model.users.T @ model.users
    full = np.stack(
        [_solve_factors(model, users, gram, one[:100], w[:100]) for one, w in played_by]
    )
    # A model of another loss has factors of another length than the step finds.
    scale = _length(model.items[rows[rich]]) / max(_length(full), 1e-12)
    gains = dict.fromkeys(K_CHOICES, 0.0)
    for left in KEPT_USERS:
        usable = np.flatnonzero(counts[rich] >= 2 * left)
        if len(usable) < FEWEST:
            continue
        few = [(played_by[one][0][:left], played_by[one][1][:left]) for one in usable]
        asked = [played_by[one][0][left : left + ASKED] for one in usable]
        known = scale * np.stack([_solve_factors(model, users, gram, *one) for one in few])
        expected = predicted[rich[usable]]
        found = {}
        for k in K_CHOICES:
            b = left / (left + k)
            found[k] = _gain(users, b * known + (1 - b) * expected, asked)
        for k, gain in found.items():
            gains[k] += gain / max(found.values())
    # The other items' factors were fitted on the plays left out, which favours plays: so the
    # largest k.
    enough = max(gains.values()) * (1 - TOLERANCE)
    return max(k for k, gain in gains.items() if gain >= enough), gains


def _shuffled_row(
    item_users: csr_matrix, item: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Users of an item and how often each played it, shuffled."""
    start, stop = item_users.indptr[item], item_users.indptr[item + 1]
    order = start + rng.permutation(stop - start)
    return item_users.indices[order], item_users.data[order]


def _users_without(
    model: CollaborativeModel,
    user_items: csr_matrix,
    rows: NDArray[np.int64],
    hidden: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Factors of all users, those of some rows solved again without the hidden items."""
    users = model.users.copy()
    gram = model.items.T @ model.items
    secret = np.zeros(len(model.items), bool)
    secret[hidden] = True
    for row in rows:
        part = slice(user_items.indptr[row], user_items.indptr[row + 1])
        seen = ~secret[user_items.indices[part]]
        played, plays = user_items.indices[part][seen], user_items.data[part][seen]
        users[row] = _solve_factors(model, model.items, gram, played, plays)
    return users


def _length(factors: NDArray[np.float32]) -> float:
    return float(np.sqrt((factors**2).sum(1).mean()))


def _solve_factors(
    model: CollaborativeModel,
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
    """Mean of 1 / log2(1 + rank) of each item for the users asked about it."""
    distinct, row = np.unique(np.concatenate(asked), return_inverse=True)
    scores = users[distinct] @ items.T
    column = np.repeat(np.arange(len(items)), [len(one) for one in asked])
    own = scores[row, column]
    ranks = np.empty(len(row))
    for start in range(0, len(row), BLOCK):
        part = slice(start, start + BLOCK)
        ranks[part] = (scores[row[part]] > own[part, None]).sum(1) + 1
    return float((1 / np.log2(1 + ranks)).mean())
