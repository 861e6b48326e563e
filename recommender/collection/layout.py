"""Coordinates of unit vectors in two dimensions, in which similar ones are near.

The vectors are reduced to 30 principal components and laid out by t-SNE (van der Maaten & Hinton
2008; Barnes-Hut, 2014) from scikit-learn, begun from the first two components, so that also far
distances mean something (Kobak & Berens 2019). Of many vectors `LANDMARKS` drawn at random are laid
out, and each other one lies among the landmarks nearest to it, so that any number takes as long as
`LANDMARKS` and a matrix product. What lies among landmarks can be added later, without moving
anything. The layout is turned so that it fills a rectangle wider than it is high.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recommender.collection.clusters import sample_rows
from recommender.collection.core_count import count_cores

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

LANDMARKS = 5_000
"""Vectors that t-SNE lays out."""

_COMPONENTS = 30
_PERPLEXITY = 30.0
_STEPS = 500
_NEAREST = 3
# Weights fall with this power of the distance: a point lies next to its nearest landmark, and not
# halfway between landmarks that are far apart.
_FALL = 16.0
_LEAST_DISTANCE = 1e-5
_BLOCK = 1_000
_READ = 10_000
_TURNS = np.radians(np.arange(0.0, 180.0, 3.0))


@dataclass(frozen=True, eq=False)
class Components:
    """Principal components of unit vectors.

    Attributes
    ----------
    mean : float32 (dim,)
    axes : float32 (components, dim)
    """

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]

    @classmethod
    def of(cls, vectors: NDArray[np.float32]) -> Components:
        """The first components of vectors (n, dim), n at least 2; up to 30."""
        from sklearn.decomposition import PCA

        count = min(_COMPONENTS, *vectors.shape)
        with np.errstate(invalid="ignore"):
            # Tracks that are all the same have no variance to divide by.
            found = PCA(count, svd_solver="full").fit(vectors)
        return cls(found.mean_.astype(np.float32), found.components_.astype(np.float32))

    def points(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Vectors (n, dim) in the components: float32 (n, components)."""
        return np.asarray(vectors @ self.axes.T - self.mean @ self.axes.T, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Layout:
    """Landmarks that were laid out; any other point lies among them.

    Attributes
    ----------
    points : float32 (landmarks, components)
    xy : float32 (landmarks, 2)
        From -1 to 1; the axes have no unit.
    """

    points: NDArray[np.float32]
    xy: NDArray[np.float32]

    @classmethod
    def of(cls, points: NDArray[np.float32], *, random_state: int = 0) -> Layout:
        """The layout of points (n, components), n at least 2, all of them landmarks."""
        xy = _turn(_tsne(points, random_state))
        xy -= (xy.max(axis=0) + xy.min(axis=0)) / 2
        return cls(points, np.asarray(xy / max(float(np.abs(xy).max()), 1e-12), dtype=np.float32))

    def place(self, points: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Where points (n, components) lie, and the nearest landmark of each.

        Returns
        -------
        xy : float32 (n, 2)
            The mean of the nearest landmarks', weighted by distance.
        landmarks : int64 (n,)
            Rows of the nearest landmarks.
        """
        xy = np.empty((len(points), 2), dtype=np.float32)
        nearest = np.empty(len(points), dtype=np.int64)
        for start in range(0, len(points), _BLOCK):
            rows = slice(start, start + _BLOCK)
            xy[rows], nearest[rows] = self._place_block(points[rows])
        return xy, nearest

    def _place_block(
        self, points: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        # |a - b|^2 without |a|^2, which is the same for all landmarks: good enough to find the
        # nearest ones, not for the distances of nearly equal points.
        lengths = np.einsum("md,md->m", self.points, self.points)
        count = min(_NEAREST, len(self.points))
        rows = np.argpartition(lengths - 2 * points @ self.points.T, count - 1, axis=1)[:, :count]
        apart = np.linalg.norm(points[:, np.newaxis] - self.points[rows], axis=2)
        apart = np.maximum(apart, _LEAST_DISTANCE)
        weights = (apart.min(axis=1, keepdims=True) / apart) ** _FALL
        weights /= weights.sum(axis=1, keepdims=True)
        xy = np.einsum("nk,nkd->nd", weights, self.xy[rows])
        return xy, rows[np.arange(len(points)), apart.argmin(axis=1)]


def lay_out(
    vectors_of: Callable[[NDArray[np.int64]], NDArray[np.float32]],
    count: int,
    *,
    landmarks: int = LANDMARKS,
    random_state: int = 0,
) -> NDArray[np.float32]:
    """Coordinates between -1 and 1 of unit vectors, in which similar vectors are near.

    Parameters
    ----------
    vectors_of : function of row numbers
        Unit vectors (rows, dim).
    count : int
        How many there are, at least 2.
    landmarks : int
        Vectors that t-SNE lays out; of more so many are drawn.

    Returns
    -------
    float32 (n, 2)
        The first axis, x, spans at least as much as the second.
    """
    drawn = sample_rows(count, landmarks, random_state=random_state)
    components = Components.of(vectors_of(drawn))
    rows = np.arange(count)
    points = np.concatenate(
        [
            components.points(vectors_of(rows[start : start + _READ]))
            for start in range(0, count, _READ)
        ]
    )
    layout = Layout.of(points[drawn], random_state=random_state)
    xy = layout.place(points)[0] if len(drawn) < len(points) else layout.xy
    # Landmarks that are alike lie where t-SNE has put them, and not between each other.
    xy[drawn] = layout.xy
    return xy


def _tsne(points: NDArray[np.float32], random_state: int) -> NDArray[np.float32]:
    """Coordinates (n, 2) of landmarks (n, components)."""
    from sklearn.manifold import TSNE

    start = np.zeros((len(points), 2))
    flat = points[:, :2]
    start[:, : flat.shape[1]] = flat / max(float(flat.std()), 1e-6)
    # Tracks that are the same would never come apart.
    noise = np.random.default_rng(random_state).standard_normal(start.shape)
    start = 1e-4 * (start + 0.01 * noise)
    if len(points) < 10:
        return start.astype(np.float32)
    count_cores()
    found: NDArray[np.float32] = TSNE(
        perplexity=min(_PERPLEXITY, (len(points) - 1) / 3),
        init=start.astype(np.float32),
        max_iter=_STEPS,
        random_state=random_state,
    ).fit_transform(points)
    return found


def _turn(xy: NDArray[np.float32]) -> NDArray[np.float32]:
    """The map turned so that the rectangle around it is smallest, and not higher than wide."""
    cosines, sines = np.cos(_TURNS), np.sin(_TURNS)
    x = np.outer(xy[:, 0], cosines) - np.outer(xy[:, 1], sines)
    y = np.outer(xy[:, 0], sines) + np.outer(xy[:, 1], cosines)
    wide, high = np.ptp(x, axis=0), np.ptp(y, axis=0)
    best = int(np.where(wide >= high, wide * high, np.inf).argmin())
    return np.stack([x[:, best], y[:, best]], axis=1).astype(np.float32)
