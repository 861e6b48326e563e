"""How cosines are distributed in a library: their percentiles, and how near its tracks lie.

A cosine of 0.9 can be rare with one model and common with another; its percentile among random
pairs, the score, means the same with every model and in every library.

Local scaling rescales distances so that hubs, tracks that are near to far more others than most
are, rank lower (Radovanovic et al., JMLR 2010). It divides a distance by how near others are to its
ends anyway: NICDM (Jegou et al., IEEE PAMI 2010; Schnitzer, Flexer, Schedl & Widmer, JMLR 2012,
equation 3),

    d'(x, y) = d(x, y) / sqrt(m(x) m(y)),

where m is the mean distance to the k nearest. For one seed m(x) is the same for all candidates, so
that only the candidates' own m changes their order. How skewed a library is, and how many of its
tracks are reached, `recommender.evaluation.metrics.hubness` measures.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

REFERENCE_RANDOM_COSINE = -0.04
"""The median cosine of random pairs where thresholds were measured; see `near_duplicates`."""
BACKGROUND_PAIRS = 100_000
"""Random pairs measured at most, so that a percentile of 0.9999 still means something."""
LEAST_PAIRS = 10
"""Of fewer pairs, those of five tracks, a percentile says nothing."""
NEAREST = 10
"""Nearest references whose mean distance is a track's own scale."""
ITSELF = 1e-4
"""A reference nearer than this is the track itself, or its copy."""
_BLOCK = 1024


@dataclass(frozen=True)
class Percentiles:
    """How the cosines of random pairs of a library are distributed.

    Attributes
    ----------
    cosines : float32 (pairs,), ascending
        Empty for a library of fewer than two tracks.
    """

    cosines: NDArray[np.float32]

    @classmethod
    def from_vectors(
        cls, vectors: ArrayLike, *, pairs: int = BACKGROUND_PAIRS, random_state: int = 0
    ) -> Percentiles:
        """Measure random pairs of different vectors, or all pairs where they are fewer.

        Parameters
        ----------
        vectors : float32 (n, dim)
            Unit length; some thousands drawn at random stand for a large library.
        """
        rows = np.asarray(vectors, dtype=np.float32)
        count = len(rows)
        if count * (count - 1) // 2 <= pairs:
            cosines = (rows @ rows.T)[np.triu_indices(count, 1)]
        else:
            # All pairs within groups of as many rows as it takes, drawn at random: some percent of
            # the time that as many pairs take whose rows are gathered one by one.
            size = -(-2 * pairs // count) + 1
            order = np.random.default_rng(random_state).permutation(count)
            groups = rows[order[: count // size * size]].reshape(-1, size, rows.shape[1])
            products = groups @ groups.transpose(0, 2, 1)
            cosines = products[:, *np.triu_indices(size, 1)].ravel()
        return cls(np.sort(cosines))

    @cached_property
    def median(self) -> float:
        """The median cosine; `REFERENCE_RANDOM_COSINE` where there are no pairs."""
        return float(np.median(self.cosines)) if len(self.cosines) else REFERENCE_RANDOM_COSINE

    def percentile(self, cosines: ArrayLike) -> NDArray[np.float64]:
        """The share of random pairs that are less alike, from 0 to 1, of the shape given.

        Interpolated between the pairs: 0 for the least of them or less, 1 for the largest or more;
        NaN where there are fewer than `LEAST_PAIRS`, or for NaN.
        """
        values = np.asarray(cosines, dtype=np.float64)
        if len(self.cosines) < LEAST_PAIRS:
            return np.full(values.shape, np.nan)
        shares: NDArray[np.float64] = np.interp(values, *self._curve, left=0.0, right=1.0)
        return shares

    @cached_property
    def _curve(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Cosines and their ranks, as `np.interp` takes them without a copy."""
        count = len(self.cosines)
        return self.cosines.astype(np.float64), np.linspace(0.0, 1.0, count)


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
