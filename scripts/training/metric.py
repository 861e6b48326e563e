"""The last step from the teachers' vectors to the student's embedding, solved and not learned.

Pieces of one track should be close to each other, and a piece to itself played louder or softer.
Their scatter around their mean says along which directions that moves the vector; these are shrunk,
the others stretched (within-class covariance normalisation: Hatch, Kajarekar & Stolcke 2006).
Principal components make it short.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.head import Affine
from training.targets import TEACHERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

SHARES = {"musicnn": 1.0, "mn04": 1.0, "fcn": 1.0}
"""Of the teachers in the squared length of the vector."""
HOLD = 8.0
"""Added to the scatter along every direction, in units of the mean within tracks: more changes
less."""


COPIES = 0.3
"""Weight of the scatter by level beside that within tracks."""


def fit_metric(
    vectors: NDArray[np.float32],
    tracks: NDArray[np.int64],
    *,
    dim: int,
    hold: float = HOLD,
    copies: NDArray[np.float32] | None = None,
    shares: Mapping[str, float] = SHARES,
) -> Affine:
    """Fit the map to the student's own prediction of the teachers.

    Parameters
    ----------
    vectors : ndarray, shape (pieces, numbers of all teachers)
    tracks : ndarray, shape (pieces,)
        The track each piece comes from.
    copies : ndarray, shape (pieces, copies, numbers of all teachers), optional
        Some pieces at several levels.
    hold : float
        Infinity leaves all directions as they are.
    shares : mapping, optional
        Of each teacher in the squared length.
    """
    scale = _scale(vectors, shares)
    scaled = vectors.astype(np.float64) * scale
    mean = scaled.mean(0)
    scatter = _scatter(scaled, tracks)
    held = hold * max(float(np.trace(scatter)) / len(scatter), 1e-12)
    if copies is not None:
        flat = copies.reshape(-1, len(scale)).astype(np.float64) * scale
        scatter += COPIES * _scatter(flat, np.repeat(np.arange(len(copies)), copies.shape[1]))
    shrink = np.eye(len(scale)) if np.isinf(hold) else _shrink(scatter, held)
    _, _, axes = np.linalg.svd((scaled - mean) @ shrink, full_matrices=len(scaled) < dim)
    matrix = axes[:dim] @ shrink
    length = np.linalg.norm((scaled - mean) @ matrix.T, axis=1).mean()
    matrix /= length
    return Affine((matrix * scale).astype(np.float32), (-matrix @ mean).astype(np.float32))


def _scale(vectors: NDArray[np.float32], shares: Mapping[str, float]) -> Array:
    """Brings each teacher's part to a mean length by its share."""
    scale, start = np.empty(vectors.shape[1]), 0
    for name, size in TEACHERS.items():
        part = vectors[:, start : start + size]
        scale[start : start + size] = np.sqrt(shares[name]) / np.linalg.norm(part, axis=1).mean()
        start += size
    return scale


def _scatter(vectors: Array, labels: NDArray[np.int64]) -> Array:
    """Covariance around the mean of each label."""
    _, place, count = np.unique(labels, return_inverse=True, return_counts=True)
    means = np.zeros((len(count), vectors.shape[1]))
    np.add.at(means, place, vectors)
    around = (vectors - (means / count[:, None])[place])[count[place] > 1]
    return np.asarray(around.T @ around / max(len(around), 1))


def _shrink(scatter: Array, held: float) -> Array:
    """(Scatter + held) to the power of -1/2."""
    sizes, directions = np.linalg.eigh(scatter)
    return np.asarray((directions * (np.maximum(sizes, 0) + held) ** -0.5) @ directions.T)
