"""Local scaling: distances rescaled so that hubs, neighbours of very many tracks, rank lower.

In many dimensions some tracks are near to far more others than most are (Radovanovic et al., JMLR
2010). Local scaling divides a distance by how near others are to its ends anyway: NICDM (Jegou et
al., IEEE PAMI 2010; Schnitzer, Flexer, Schedl & Widmer, JMLR 2012, equation 3),

    d'(x, y) = d(x, y) / sqrt(m(x) m(y)),

where m is the mean distance to the k nearest. For one seed m(x) is the same for all candidates, so
that only the candidates' own m changes their order. How skewed a library is, and how many of its
tracks are reached, `recommender.evaluation.metrics.hubness` measures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

NEAREST = 10
"""Nearest references whose mean distance is a track's own scale."""
ITSELF = 1e-4
"""A reference nearer than this is the track itself, or its copy."""
_BLOCK = 1024


@dataclass(frozen=True, eq=False)
class LocalScale:
    """Mean distance of a track to its nearest references; made by `from_references`.

    Attributes
    ----------
    references : float32 (m, dim)
        Unit vectors of tracks of the catalog: some thousands drawn at random, or all of them.
    median_scale : float
        Of the references.
    """

    references: NDArray[np.float32]
    median_scale: float

    @classmethod
    def from_references(cls, vectors: ArrayLike) -> LocalScale:
        """Measure the scales of references (m, dim) among each other."""
        rows = np.asarray(vectors, dtype=np.float32)
        scales = _scales(rows, rows)
        known = scales[~np.isnan(scales)]
        return cls(rows, float(np.median(known)) if len(known) else 1.0)

    def scales(self, vectors: ArrayLike) -> NDArray[np.float32]:
        """Mean distance (1 - cosine) of each vector (c, dim) to its nearest references, (c,).

        The median scale where there is no reference but itself.
        """
        scales = _scales(np.asarray(vectors, dtype=np.float32), self.references)
        scales[np.isnan(scales)] = self.median_scale
        return scales

    def relevance(self, cosines: ArrayLike, vectors: ArrayLike) -> NDArray[np.float32]:
        """Cosines of a seed with candidates, rescaled so that hubs lose their advantage.

        Parameters
        ----------
        cosines : float32 (c,)
            Of a pool of candidates: some six times as many as are wanted, as only these can rise.
        vectors : float32 (c, dim)
            Theirs.

        Returns
        -------
        float32 (c,)
            1 - (1 - cosine) sqrt(median_scale / scale): one of the median scale keeps its cosine.
        """
        close = np.asarray(cosines, dtype=np.float32)
        factor = np.sqrt(self.median_scale / self.scales(vectors))
        return np.asarray(1.0 - (1.0 - close) * factor, dtype=np.float32)


def _scales(vectors: NDArray[np.float32], references: NDArray[np.float32]) -> NDArray[np.float32]:
    scales = np.full(len(vectors), np.nan, dtype=np.float32)
    most = min(NEAREST + 1, len(references))
    if most == 0:
        return scales
    for start in range(0, len(vectors), _BLOCK):
        distances = 1.0 - vectors[start : start + _BLOCK] @ references.T
        distances[distances < ITSELF] = np.inf
        nearest = np.sort(np.partition(distances, most - 1, axis=1)[:, :most], axis=1)[:, :NEAREST]
        there = np.isfinite(nearest)
        total = np.where(there, nearest, 0.0).sum(axis=1)
        count = there.sum(axis=1)
        part = slice(start, start + len(distances))
        np.divide(total, count, out=scales[part], where=count > 0)
    return scales
