"""Weighted least squares on plays: factors of users and items, and maps from features to factors.

A play counts as 1 with the confidence c = a r, everything else as 0 with the confidence 1, and

    sum_ui c_ui (p_ui - x_u . y_i)^2 + l (sum_u |x_u|^2 + sum_i |y_i|^2)

is made least (Hu, Koren & Volinsky, "Collaborative filtering for implicit feedback datasets", ICDM
2008). Every step is solved by conjugate gradients, which need products only: the zeros cost one
Gram matrix (Takacs, Pilaszy & Tikk, "Applications of the conjugate gradient method for implicit
feedback collaborative filtering", RecSys 2011).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS = 2048
"""Rows that are solved at once."""
ITERATIONS, STEPS, MAP_STEPS = 8, 3, 20
"""Rounds of alternating least squares; conjugate gradient steps in each, and of a map."""


def confidence_matrix(plays: csr_matrix, confidence: float) -> csr_matrix:
    """Confidence of each play: the logarithm of 1 + plays, divided by its mean, times a number."""
    levels = np.log1p(plays.data.astype(np.float64))
    data = (confidence * levels / max(float(levels.mean()), 1e-12)).astype(np.float32)
    return csr_matrix((data, plays.indices, plays.indptr), plays.shape)


def solve_factors(
    other: NDArray[np.float32],
    confidence: csr_matrix,
    penalty: float,
    *,
    start: NDArray[np.float32] | None = None,
    steps: int = STEPS,
) -> NDArray[np.float32]:
    """Factors (rows, f) of the rows of a confidence matrix, given those of its columns.

    Parameters
    ----------
    other : float32 (columns, f)
    confidence : csr (rows, columns)
    penalty : float
        l above.
    start : float32 (rows, f), optional
        Where conjugate gradients start from.
    """
    count, width = confidence.shape[0], other.shape[1]
    gram = (other.T @ other + penalty * np.eye(width)).astype(np.float32)
    found = np.zeros((count, width), np.float32) if start is None else start.copy()
    for first in range(0, count, ROWS):
        block = confidence[first : first + ROWS]
        own = np.repeat(np.arange(block.shape[0]), np.diff(block.indptr))
        played, excess = other[block.indices], block.data - 1
        x = found[first : first + ROWS]
        residual = block @ other - _apply(x, gram, block, own, played, excess, other)
        direction, norm = residual.copy(), (residual**2).sum(1)
        for _ in range(steps):
            image = _apply(direction, gram, block, own, played, excess, other)
            length = norm / np.maximum((direction * image).sum(1), 1e-20)
            x += length[:, None] * direction
            residual -= length[:, None] * image
            before, norm = norm, (residual**2).sum(1)
            direction = residual + (norm / np.maximum(before, 1e-20))[:, None] * direction
    return found


def _apply(
    x: NDArray[np.float32],
    gram: NDArray[np.float32],
    block: csr_matrix,
    own: NDArray[np.int64],
    played: NDArray[np.float32],
    excess: NDArray[np.float32],
    other: NDArray[np.float32],
) -> NDArray[np.float32]:
    """X (G + l) plus, for plays, (c - 1) (x_u . y_i) y_i."""
    weights = excess * np.einsum("ij,ij->i", x[own], played)
    plays = csr_matrix((weights, block.indices, block.indptr), block.shape)
    return np.asarray(x @ gram + plays @ other, np.float32)


def alternate(
    confidence: csr_matrix, width: int, penalty: float, *, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Factors of users and of items by alternating least squares."""
    by_item = confidence.T.tocsr()
    rng = np.random.default_rng(seed)
    users, items = (
        (0.01 * rng.standard_normal((count, width))).astype(np.float32)
        for count in confidence.shape
    )
    for _ in range(ITERATIONS):
        users = solve_factors(items, confidence, penalty, start=users)
        items = solve_factors(users, by_item, penalty, start=items)
    return users, items


def fit_map(
    features: NDArray[np.float32],
    users: NDArray[np.float32],
    by_item: csr_matrix,
    penalty: float,
) -> NDArray[np.float32]:
    """W (features, f) that makes sum_ui c_ui (p_ui - x_u . W'f_i)^2 + l |W|^2 least.

    Parameters
    ----------
    features : float32 (items, features)
    users : float32 (users, f)
    by_item : csr (items, users)
        Confidence of plays.
    """
    gram = users.T @ users
    own = np.repeat(np.arange(by_item.shape[0]), np.diff(by_item.indptr))
    target: NDArray[np.float32] = features.T @ (by_item @ users)
    found = np.zeros_like(target)
    residual, direction = target.copy(), target.copy()
    norm = first = float((residual**2).sum())
    for _ in range(MAP_STEPS):
        if norm <= 1e-8 * first:
            break
        items = features @ direction
        image = features.T @ _weigh_scores(items, users, gram, by_item, own) + penalty * direction
        length = norm / float((direction * image).sum())
        found += length * direction
        residual -= length * image
        before, norm = norm, float((residual**2).sum())
        direction = residual + (norm / before) * direction
    return found


def _weigh_scores(
    items: NDArray[np.float32],
    users: NDArray[np.float32],
    gram: NDArray[np.float32],
    by_item: csr_matrix,
    own: NDArray[np.int64],
) -> NDArray[np.float32]:
    """sum_u c_ui (x_u . y_i) x_u for each item, in blocks of plays."""
    weights = np.empty(len(own), np.float32)
    for first in range(0, len(own), ROWS * 64):
        part = slice(first, first + ROWS * 64)
        weights[part] = np.einsum("ij,ij->i", items[own[part]], users[by_item.indices[part]])
    weights *= by_item.data - 1
    plays = csr_matrix((weights, by_item.indices, by_item.indptr), by_item.shape)
    return np.asarray(items @ gram + plays @ users, np.float32)
