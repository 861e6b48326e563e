"""What is usual in a library: the cosines of random pairs, the mean of each tag.

Sampled with a fixed seed when first asked for, and again when the catalog has changed, so that the
same catalog always gives the same figures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recommender.retrieval.local_scaling import LocalScale
from recommender.retrieval.rerank import Percentiles

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from indexer.library import Library

SAMPLE = 4_096
"""Tracks drawn for the cosines: 8 million pairs, of which `rerank` measures 100,000."""
TAGGED = 1_024
"""Tracks drawn for the means of tags."""
REFERENCES = 1_024
"""Tracks drawn to tell how near others are to a track."""


class LibraryStatistics:
    """What is usual in a library. To be used by whoever holds its lock and has refreshed it."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._state: tuple[object, ...] = ()
        self._percentiles: Percentiles | None = None
        self._tags: NDArray[np.float32] | None = None
        self._local_scale: LocalScale | None = None

    def percentiles(self) -> Percentiles:
        """How the cosines of random pairs are distributed."""
        self._forget_if_changed()
        if self._percentiles is None:
            index = self._library.index
            vectors = np.empty((0, 1)) if index is None else index.reconstruct(self._drawn(SAMPLE))
            self._percentiles = Percentiles.from_vectors(vectors)
        return self._percentiles

    def local_scale(self) -> LocalScale:
        """How near others are to a track."""
        self._forget_if_changed()
        if self._local_scale is None:
            index = self._library.index
            drawn = (
                np.empty((0, 1)) if index is None else index.reconstruct(self._drawn(REFERENCES))
            )
            self._local_scale = LocalScale.from_references(drawn)
        return self._local_scale

    def tags(self) -> NDArray[np.float32]:
        """The mean activation of each tag of the model, (tags,)."""
        self._forget_if_changed()
        if self._tags is None:
            model = self._library.model
            assert model is not None  # noqa: S101 - for the type checker: asked after an answer
            drawn = self._library.catalog.activations_of(self._drawn(TAGGED).tolist(), model)
            self._tags = drawn.mean(axis=0)
        return self._tags

    def _drawn(self, count: int) -> NDArray[np.int64]:
        index = self._library.index
        ids = np.empty(0, np.int64) if index is None else index.ids()
        if len(ids) <= count:
            return ids
        return ids[np.unique(np.random.default_rng(0).integers(0, len(ids), count))]

    def _forget_if_changed(self) -> None:
        state = self._library.version, self._library.model, id(self._library.index)
        if state != self._state:
            self._state, self._percentiles, self._tags = state, None, None
            self._local_scale = None
