"""A library as one question sees it: catalog, model, vector index and statistics of one state."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from indexer.errors import QueryError
from recommender.retrieval.library_statistics import LocalScale, Percentiles
from recommender.retrieval.words.word_fit import WordFit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from indexer.catalog.reader import Catalog
    from indexer.catalog.records import StoredModel
    from indexer.facets.facets import Facets
    from indexer.library import Library
    from indexer.vectors.base import VectorIndex
    from recommender.retrieval.filters import CompiledFilters, Selection
    from recommender.retrieval.where import Where

PERCENTILE_TRACKS = 4_096
"""Tracks sampled for the cosines of random pairs: 8 million pairs; 100,000 are measured."""
LOCAL_SCALE_TRACKS = 1_024
"""Tracks sampled as the references of local scaling."""

KEPT_SHARE = 0.01
"""Statistics of vectors are kept until more than this part of the library has changed: while files
are indexed, every commit would cost the next question 0.2 s, and scores would move by less than
they are told to."""


@dataclass(frozen=True, eq=False)
class VectorStatistics:
    """Statistics of a library's vectors, computed when first asked for, from one sample.

    Attributes
    ----------
    index : VectorIndex
    changed : int
        `Library.changed` when they were begun.
    """

    index: VectorIndex
    changed: int

    @cached_property
    def percentiles(self) -> Percentiles:
        """How the cosines of random pairs of tracks are distributed."""
        return Percentiles.from_vectors(self._sample(PERCENTILE_TRACKS))

    @cached_property
    def local_scale(self) -> LocalScale:
        """How near a track's nearest neighbours are."""
        return LocalScale.from_references(self._sample(LOCAL_SCALE_TRACKS))

    def hold(self, index: VectorIndex, changed: int) -> bool:
        """Whether they still describe an index in which `changed` vectors have changed by now."""
        return self.index is index and changed - self.changed <= KEPT_SHARE * len(index)

    def _sample(self, count: int) -> NDArray[np.float32]:
        return self.index.sample(count)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One state of a library that holds tracks; made by `take_snapshot`.

    Its index is the library's own, so it holds as long as the library's lock is held.

    Attributes
    ----------
    catalog : Catalog
    model : StoredModel
        The active model.
    index : VectorIndex
        Unit vectors by track id; not empty.
    version : int
        `Library.version` that the index is up to.
    facets : Facets
        What is known of the tracks beside their vectors.
    statistics : VectorStatistics
        Of this state, or of one in which hardly anything was different.
    """

    catalog: Catalog
    model: StoredModel
    index: VectorIndex
    version: int
    facets: Facets
    statistics: VectorStatistics

    @property
    def percentiles(self) -> Percentiles:
        """How the cosines of random pairs of tracks are distributed."""
        return self.statistics.percentiles

    @property
    def median_random_cosine(self) -> float:
        """The median cosine of random pairs of tracks."""
        return self.percentiles.median

    @property
    def local_scale(self) -> LocalScale:
        """How near a track's nearest neighbours are."""
        return self.statistics.local_scale

    @property
    def mean_activations(self) -> NDArray[np.float32]:
        """The mean activation of each tag of the model, (tags,)."""
        return self.facets.ask(lambda columns: columns.mean_activations)

    @cached_property
    def words(self) -> WordFit:
        """How well words fit each track."""
        return WordFit(self.facets, self.model, self.index)

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

        return CompiledFilters(self.facets, self.model, self.index)


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
    statistics = None if last is None else last.statistics
    if statistics is None or not statistics.hold(index, library.changed):
        statistics = VectorStatistics(index, library.changed)
    return Snapshot(library.catalog, model, index, library.version, library.facets, statistics)


def empty_catalog_message(catalog: Catalog) -> str:
    """The sentence about a catalog that holds no tracks."""
    return f"{catalog.name} holds no tracks yet: run `soundalike index FOLDER`"
