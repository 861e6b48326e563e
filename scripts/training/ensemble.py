"""The ensemble of teachers as one space: what the student's embedding is to be like.

Each teacher's embedding is standardised over the training music and brought to unit length; side
by side they are the ensemble's vector. A projection by principal components (uncentred, so that
inner products are kept as well as may be) makes it as long as the student's embedding.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import save_file

from indexer.models.ensemble import PARTS
from indexer.vectors.unit_vectors import unit_rows
from training.targets import TEACHERS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[np.float32]


@dataclass(frozen=True)
class Ensemble:
    """The space, fitted to training music.

    Attributes
    ----------
    means, deviations : dict of ndarray
        Of each teacher's embedding.
    weights : dict of float
        Share of each teacher in the squared length of the ensemble's vector; they sum to 1.
    axes : ndarray, shape (sum of the teachers' lengths, dim)
        Orthonormal columns.
    """

    means: dict[str, Array]
    deviations: dict[str, Array]
    weights: dict[str, float]
    axes: Array

    def target(self, embeddings: Mapping[str, Array]) -> Array:
        """The ensemble's vectors in the student's space (n, dim), length at most 1."""
        return np.asarray(self._joined(embeddings) @ self.axes, dtype=np.float32)

    def _joined(self, embeddings: Mapping[str, Array]) -> Array:
        parts = [
            unit_rows((embeddings[name] - self.means[name]) / self.deviations[name])
            * np.sqrt(weight)
            for name, weight in self.weights.items()
        ]
        return np.concatenate(parts, 1)

    def affine_of(self, name: str, embeddings: Array) -> tuple[Array, Array]:
        """One teacher's part of the target as an affine map of its embedding.

        Unit length is not affine: the mean length over `embeddings` stands for each length.

        Returns
        -------
        weight : ndarray, shape (dim, teacher's length)
        bias : ndarray, shape (dim,)
        """
        start = 0
        for other in self.weights:
            if other == name:
                break
            start += len(self.means[other])
        rows = self.axes[start : start + len(self.means[name])]
        standard = (embeddings - self.means[name]) / self.deviations[name]
        length = float(np.linalg.norm(standard, axis=1).mean())
        weight = (rows / self.deviations[name][:, None]).T * np.sqrt(self.weights[name]) / length
        return weight.astype(np.float32), (-weight @ self.means[name]).astype(np.float32)


def fit(
    embeddings: Mapping[str, Array], *, dim: int, weights: Mapping[str, float] | None = None
) -> Ensemble:
    """Fit the space to embeddings of training music, by teacher.

    Parameters
    ----------
    dim : int
        Length of the student's embedding.
    weights : mapping, optional
        Share of each teacher; equal if not given.
    """
    shares = dict(weights or dict.fromkeys(TEACHERS, 1.0))
    total = sum(shares.values())
    means = {name: embeddings[name].mean(0) for name in shares}
    deviations = {name: np.maximum(embeddings[name].std(0), 1e-6) for name in shares}
    length = sum(len(mean) for mean in means.values())
    whole = Ensemble(
        means,
        deviations,
        {name: share / total for name, share in shares.items()},
        np.eye(length, dtype=np.float32),
    )
    vectors = whole.target(embeddings)
    # Of fewer pieces than axes, the rest of the axes is any orthonormal one.
    _, _, axes = np.linalg.svd(vectors, full_matrices=len(vectors) < dim)
    return Ensemble(means, deviations, whole.weights, axes[:dim].T.astype(np.float32))


def write_constants(embeddings: Mapping[str, Array], path: Path, *, dim: int) -> None:
    """Write what `indexer.models.ensemble` needs to bring its parts into one space.

    Parameters
    ----------
    embeddings : mapping of str to ndarray
        Of training music, by teacher.
    path : Path
        The safetensors file: mean and deviation of each part, and for each combination of two or
        more its axes, in half precision.
    dim : int
        Length of the ensemble's embedding.
    """
    tensors: dict[str, NDArray[np.floating]] = {}
    for count in range(2, len(PARTS) + 1):
        for parts in combinations(PARTS, count):
            space = fit(embeddings, dim=dim, weights=dict.fromkeys(parts, 1.0))
            tensors[f"axes.{'+'.join(parts)}"] = space.axes.astype(np.float16)
            tensors |= {f"{part}.mean": mean for part, mean in space.means.items()}
            tensors |= {f"{part}.deviation": d for part, d in space.deviations.items()}
    save_file({name: np.ascontiguousarray(t) for name, t in tensors.items()}, path)
