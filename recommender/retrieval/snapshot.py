"""A library as one question sees it: catalog, model, vector index and statistics of one state."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from indexer.errors import QueryError
from recommender.retrieval.library_statistics import LocalScale, Percentiles, sample_ids
from recommender.retrieval.words.word_fit import WordFit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from indexer.catalog.reader import Catalog
    from indexer.catalog.records import StoredModel
    from indexer.library import Library
    from indexer.vectors.base import VectorIndex
    from recommender.retrieval.filters import CompiledFilters, Selection
    from recommender.retrieval.where import Where

PERCENTILE_TRACKS = 4_096
"""Tracks sampled for the cosines of random pairs: 8 million pairs; 100,000 are measured."""
TAG_TRACKS = 1_024
"""Tracks sampled for the mean activations."""
LOCAL_SCALE_TRACKS = 1_024
"""Tracks sampled as the references of local scaling."""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One state of a library that holds tracks; made by `take_snapshot`.

    Its index is the library's own, so it holds as long as the library's lock is held. Statistics
    are computed when first asked for, from the same sample every time.

    Attributes
    ----------
    catalog : Catalog
    model : StoredModel
        The active model.
    index : VectorIndex
        Unit vectors by track id; not empty.
    version : int
        The catalog's `data_version` that the index is up to.
    """

    catalog: Catalog
    model: StoredModel
    index: VectorIndex
    version: int

    @cached_property
    def percentiles(self) -> Percentiles:
        """How the cosines of random pairs of tracks are distributed."""
        return Percentiles.from_vectors(self._sample_vectors(PERCENTILE_TRACKS))

    @property
    def median_random_cosine(self) -> float:
        """The median cosine of random pairs of tracks."""
        return self.percentiles.median

    @cached_property
    def local_scale(self) -> LocalScale:
        """How near a track's nearest neighbours are."""
        return LocalScale.from_references(self._sample_vectors(LOCAL_SCALE_TRACKS))

    @cached_property
    def mean_activations(self) -> NDArray[np.float32]:
        """The mean activation of each tag of the model, (tags,)."""
        drawn = sample_ids(self.index.ids(), TAG_TRACKS)
        means: NDArray[np.float32] = self.catalog.activations_of(drawn.tolist(), self.model).mean(
            axis=0
        )
        return means

    @cached_property
    def words(self) -> WordFit:
        """How well words fit each track."""
        return WordFit(self.catalog, self.model, self.index)

    def select(self, where: Where | None) -> Selection:
        """The tracks that a filter keeps; None keeps all.

        Raises
        ------
        InvalidOption
            It names a tag that the model does not have, or is no `Where`.
        """
        return self._filters.select(where)

    @cached_property
    def _filters(self) -> CompiledFilters:
        # SQLAlchemy comes with the first catalog, not with the import.
        from recommender.retrieval.filters import CompiledFilters

        return CompiledFilters(self.catalog, self.model, self.index)

    def _sample_vectors(self, count: int) -> NDArray[np.float32]:
        return self.index.reconstruct(sample_ids(self.index.ids(), count))


def take_snapshot(library: Library, last: Snapshot | None = None) -> Snapshot:
    """The present state of a library, whose lock the caller holds.

    Parameters
    ----------
    last : Snapshot, optional
        Returned again, with what it has computed, if the library has not changed since.

    Raises
    ------
    QueryError
        The catalog holds no tracks yet.
    """
    library.refresh()
    index, model = library.index, library.model
    if index is None or model is None or len(index) == 0:
        raise QueryError(empty_catalog_message(library.catalog))
    if last is not None and (last.version, last.index, last.model) == (
        library.version,
        index,
        model,
    ):
        return last
    return Snapshot(library.catalog, model, index, library.version)


def empty_catalog_message(catalog: Catalog) -> str:
    """The sentence about a catalog that holds no tracks."""
    return f"{catalog.path} holds no tracks yet: run `soundalike index FOLDER`"
