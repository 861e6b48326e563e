"""A `Where`, compiled to the tracks that the vector index searches."""

from __future__ import annotations

import difflib
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from indexer.catalog.filter_queries import (
    TrackFilter,
    distinct_values,
    matching_ids,
    tag_activations,
)
from indexer.errors import InvalidOption
from indexer.features.key import parse_musical_key
from indexer.text_folding import fold
from recommender.retrieval.library_statistics import strongest
from recommender.retrieval.lookup import LARGEST_ID, is_id
from recommender.retrieval.names import tags_with_genres
from recommender.retrieval.where import EVERYTHING, Where

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from indexer.catalog.reader import Catalog
    from indexer.catalog.records import StoredModel
    from indexer.vectors.base import Subset, VectorIndex

COMPILED = 16
"""Compiled filters kept, the latest used ones; each takes up to 10 MB in a catalog of a million."""
EXCLUDED_APART = 256
"""Up to so many excluded tracks are left out of an answer rather than compiled into its filter, as
they differ from user to user."""


@dataclass(frozen=True, eq=False)
class Selection:
    """The tracks of an index that a filter keeps.

    Attributes
    ----------
    where : Where
    subset : Subset or None
        The tracks to search; None: all.
    excluded : int64, ascending
        Those of them to leave out of the answer.
    count : int
        How many tracks can be answers.
    """

    where: Where
    subset: Subset | None
    excluded: NDArray[np.int64]
    count: int

    @property
    def search_count(self) -> int:
        """How many tracks the index searches, those to leave out among them."""
        return self.count + len(self.excluded)


@dataclass(frozen=True, eq=False)
class CompiledFilters:
    """Filters compiled for one state of a catalog, of which the latest used are kept."""

    catalog: Catalog
    model: StoredModel
    index: VectorIndex
    _subsets: OrderedDict[Where, Subset] = field(default_factory=OrderedDict)

    def select(self, where: Where | None) -> Selection:
        """The tracks that a filter keeps; None keeps all.

        Raises
        ------
        InvalidOption
            It names a tag that the model does not have, or is no `Where`.
        """
        where = EVERYTHING if where is None else where
        if not isinstance(where, Where):
            raise InvalidOption(
                f"{where!r} is no filter: give a Where, such as Where(year=(1990, 1999))"
            )
        excluded = np.unique(_ids_of(where.exclude, self.catalog))
        if len(excluded) <= EXCLUDED_APART:
            compiled = replace(where, exclude=())
        else:
            compiled, excluded = where, excluded[:0]
        if compiled == EVERYTHING:
            excluded = _members(excluded, self.index.ids()) if len(excluded) else excluded
            return Selection(where, None, excluded, len(self.index) - len(excluded))
        subset = self._subset(compiled)
        excluded = _members(excluded, subset.ids)
        return Selection(where, subset, excluded, len(subset) - len(excluded))

    def _subset(self, where: Where) -> Subset:
        if where not in self._subsets:
            matching = _matching(where, self.catalog, self.model)
            self._subsets[where] = self.index.subset(matching)
            if len(self._subsets) > COMPILED:
                self._subsets.popitem(last=False)
        self._subsets.move_to_end(where)
        return self._subsets[where]


def _matching(where: Where, catalog: Catalog, model: StoredModel) -> NDArray[np.int64]:
    """Ids of the tracks that a filter keeps, in any order."""
    parts: list[NDArray[np.int64]] = []
    wanted = _track_filter(where, catalog)
    if where.tags:
        parts.append(_reaching(where.tags, catalog, model))
    if where.among is not None:
        parts.append(_ids_of(where.among, catalog))
    if wanted != TrackFilter() or not parts:
        parts.append(matching_ids(catalog, wanted))
    kept = reduce(np.intersect1d, parts)
    return np.setdiff1d(kept, _ids_of(where.exclude, catalog)) if where.exclude else kept


def _ids_of(tracks: Iterable[int | str], catalog: Catalog) -> NDArray[np.int64]:
    """Ids of ids and keys; what is neither is left out, as a filter may be wide."""
    given = list(tracks)
    keys = [track for track in given if isinstance(track, str)]
    of_key = catalog.ids_of_keys(keys) if keys else {}
    ids = [
        of_key.get(track, int(track) if is_id(track) else None) if isinstance(track, str) else track
        for track in given
    ]
    known = [track for track in ids if track is not None and 0 < track < LARGEST_ID]
    return np.array(known, dtype=np.int64)


def _members(ids: NDArray[np.int64], among: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those of the ids that are among others, which are ascending."""
    rows = np.searchsorted(among, ids)
    found = rows < len(among)
    found[found] = among[rows[found]] == ids[found]
    return ids[found]


def _track_filter(where: Where, catalog: Catalog) -> TrackFilter:
    """The part of a filter that the catalog answers, its texts as the catalog spells them."""
    musical_keys = {parse_musical_key(key) for key in where.musical_key}
    return TrackFilter(
        artist=_spellings(
            where.artist,
            [*distinct_values(catalog, "artist"), *distinct_values(catalog, "album_artist")],
        )
        if where.artist
        else None,
        album=_spellings(where.album, distinct_values(catalog, "album")) if where.album else None,
        genre=tags_with_genres(distinct_values(catalog, "genre"), where.genre)
        if where.genre
        else None,
        musical_key=[
            known
            for known in distinct_values(catalog, "musical_key")
            if parse_musical_key(known) in musical_keys
        ]
        if musical_keys
        else None,
        year=where.year,
        duration_s=where.duration_s,
        tempo=where.tempo,
        added_since=where.added_since,
    )


def _spellings(wanted: Sequence[str], known: Iterable[str]) -> list[str]:
    names = {fold(name) for name in wanted}
    return [value for value in known if fold(value) in names]


def _reaching(
    tags: Sequence[tuple[str, float | None]], catalog: Catalog, model: StoredModel
) -> NDArray[np.int64]:
    """Ids of the tracks whose activations reach all the levels."""
    columns = [tag_column(tag, model) for tag, _ in tags]
    ids, values = tag_activations(catalog, model, columns)
    reached = strongest(values)
    for column, (_, level) in enumerate(tags):
        if level is not None:
            # As the catalog keeps them: 0.4 reaches 0.4.
            reached[:, column] = values[:, column] >= np.float16(level)
    return ids[reached.all(axis=1)]


def tag_column(tag: str, model: StoredModel) -> int:
    """The column of a tag among those of the model.

    Raises
    ------
    InvalidOption
        The model has no such tag; the message names the closest.
    """
    names = [fold(name) for name in model.tag_names]
    if fold(tag) in names:
        return names.index(fold(tag))
    close = difflib.get_close_matches(fold(tag), names, n=3, cutoff=0.5)
    hint = " or ".join(model.tag_names[names.index(name)] for name in close)
    raise InvalidOption(
        f"the model {model.name} has no tag {tag!r}"
        + (f": did you mean {hint}?" if hint else ": `soundalike show QUERY` prints tags")
    )
