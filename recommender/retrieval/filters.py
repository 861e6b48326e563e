"""A `Where`, compiled to the tracks that the vector index searches."""

from __future__ import annotations

import difflib
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from indexer.errors import InvalidOption
from indexer.facets.part import rank_of
from indexer.features.key import parse_musical_key
from indexer.text_folding import fold
from recommender.retrieval.lookup import LARGEST_ID, is_id
from recommender.retrieval.names import tags_with_genres
from recommender.retrieval.where import EVERYTHING, Where

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from indexer.catalog.reader import Catalog
    from indexer.catalog.records import StoredModel
    from indexer.facets.columns import Columns
    from indexer.facets.facets import Facets
    from indexer.facets.part import Part
    from indexer.vectors.base import Subset, VectorIndex

COMPILED = 16
"""Compiled filters kept, the latest used ones; each takes up to 10 MB in a catalog of a million."""
_RANGES = ("year", "duration_s", "tempo")
_COLUMN_OF = {"tempo": "tempo_bpm"}
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

    facets: Facets
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
        excluded = np.unique(_ids_of(where.exclude, self.facets.catalog))
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
            matching = self.facets.ask(partial(_matching, where, self.facets.catalog, self.model))
            self._subsets[where] = self.index.subset(matching)
            if len(self._subsets) > COMPILED:
                self._subsets.popitem(last=False)
        self._subsets.move_to_end(where)
        return self._subsets[where]


def where_mask(
    where: Where, catalog: Catalog, model: StoredModel, columns: Columns
) -> NDArray[np.bool_]:
    """Which rows (columns.size,) a filter keeps.

    Parameters
    ----------
    catalog : Catalog
        Gives the ids of keys.

    Raises
    ------
    InvalidOption
        It names a tag that the model does not have.
    """
    levels = [
        (column, columns.strongest(column) if level is None else rank_of(level))
        for column, level in ((tag_column(tag, model), level) for tag, level in where.tags)
    ]
    mask = columns.mask(partial(_part_mask, where, levels))
    if where.among is not None:
        among = np.zeros(columns.size, np.bool_)
        among[_rows(columns, _ids_of(where.among, catalog))] = True
        mask = mask & among
    if where.exclude:
        mask[_rows(columns, _ids_of(where.exclude, catalog))] = False
    return mask


def _matching(
    where: Where, catalog: Catalog, model: StoredModel, columns: Columns
) -> NDArray[np.int64]:
    return columns.ids(where_mask(where, catalog, model, columns))


def _rows(columns: Columns, ids: NDArray[np.int64]) -> NDArray[np.int64]:
    rows = columns.rows_of(ids)
    return rows[rows >= 0]


def _part_mask(where: Where, levels: Sequence[tuple[int, int]], part: Part) -> NDArray[np.bool_]:
    """Which tracks (n,) of a part fit, but for ids; `levels` are tags and least activations."""
    mask = np.ones(len(part), np.bool_)
    for name in _RANGES:
        bounds = getattr(where, name)
        if bounds is not None:
            mask &= _within(part.column(_COLUMN_OF.get(name, name)), *bounds)
    if where.added_since is not None:
        mask &= part.column("added_at") >= where.added_since
    for tag, least in levels:
        mask &= part.activations(tag) >= least
    if where.musical_key:
        keys = {parse_musical_key(key) for key in where.musical_key}
        known = [parse_musical_key(text) in keys for text in part.musical_keys]
        mask &= _table(known)[part.column("musical_key")]
    if where.album:
        mask &= np.isin(part.column("album"), _numbers(part, "album", where.album))
    if where.artist:
        hit = np.isin(part.column("artists"), _numbers(part, "artists", where.artist))
        fits = np.zeros(len(part), np.bool_)
        fits[part.column("artists_row")[hit]] = True
        mask &= fits
    if where.genre:
        fitting = set(tags_with_genres(part.genres, where.genre))
        table = _table([text in fitting for text in part.genres])
        fits = table[part.column("genre")]
        fits[part.column("genres_row")[table[part.column("genres")]]] = True
        mask &= fits
    return mask


def _within(
    values: NDArray[np.float64], low: float | None, high: float | None
) -> NDArray[np.bool_]:
    if low is None and high is None:
        return ~np.isnan(values)
    mask = np.ones(len(values), np.bool_)
    if low is not None:
        mask &= values >= low
    if high is not None:
        mask &= values <= high
    return mask


def _numbers(part: Part, column: str, names: Iterable[str]) -> NDArray[np.int32]:
    """The numbers that a column has for folded names."""
    texts = part.texts(column)
    found = (texts.insertion(fold(name)) for name in names)
    return np.array([number for number, is_there in found if is_there], np.int32)


def _table(known: Sequence[bool]) -> NDArray[np.bool_]:
    """For each text whether it fits; last, for none, that it does not."""
    return np.array([*known, False], np.bool_)


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
