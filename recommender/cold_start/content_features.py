"""Features of items that scores are linear in: the unit embedding, alone or with a kernel's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.vectors.unit_vectors import unit_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

LINEAR, KERNEL = "linear", "kernel"
LANDMARKS = 1000
"""Items that the kernel is approximated by."""


@dataclass(frozen=True)
class ContentFeatures:
    """Unit embeddings, preceded by Nystrom features of the kernel exp(-g |a - b|^2) if it has any.

    These are k(x, z) K^(-1/2) for m landmarks z, items drawn at random, and their own kernel matrix
    K: their inner products approximate the kernel (Williams & Seeger, "Using the Nystrom method to
    speed up kernel machines", NIPS 2000).

    Attributes
    ----------
    landmarks : float32 (m, dim)
        None for the linear kind.
    root : float32 (m, directions)
        K^(-1/2), without its directions of nearly no length.
    width : float
        g: one divided by the median squared distance between landmarks.
    """

    landmarks: NDArray[np.float32]
    root: NDArray[np.float32]
    width: float

    def __call__(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Features (n, directions + dim) of embeddings (n, dim)."""
        unit = unit_rows(embeddings)
        if not len(self.landmarks):
            return unit
        kernel = _kernel(unit, self.landmarks, self.width)
        return np.hstack([np.asarray(kernel @ self.root, np.float32), unit])


def fit_features(
    kind: str, embeddings: NDArray[np.float32], *, seed: int, landmarks: int = LANDMARKS
) -> ContentFeatures:
    """Features of one kind, "linear" or "kernel", whose landmarks are some of the embeddings."""
    if kind == LINEAR:
        none = np.zeros((0, embeddings.shape[1]), np.float32)
        return ContentFeatures(none, none, 1.0)
    unit = unit_rows(embeddings)
    chosen = unit[np.random.default_rng(seed).permutation(len(unit))[:landmarks]]
    median = float(np.median(2 - 2 * chosen @ chosen.T))
    width = 1 / median if median > 1e-6 else 1.0
    values, vectors = np.linalg.eigh(_kernel(chosen, chosen, width).astype(np.float64))
    kept = values > 1e-6 * values.max()
    root = (vectors[:, kept] / np.sqrt(values[kept])).astype(np.float32)
    return ContentFeatures(chosen, root, width)


def _kernel(a: NDArray[np.float32], b: NDArray[np.float32], width: float) -> NDArray[np.float32]:
    return np.asarray(np.exp(-width * np.maximum(2 - 2 * a @ b.T, 0)), np.float32)
