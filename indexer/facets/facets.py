"""The facets of a catalog, kept in step with it: a mapped file, and what has changed since.

The catalog is the truth; the file beside it (`catalog.db` -> `catalog.facets`) is a cache. One that
is behind is caught up by the numbers of changes; one that is missing, damaged, of another catalog
or newer than the catalog is made again from it. Catalogs of a few thousand tracks have none: their
facets are made in memory in less than a tenth of a second.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from indexer.catalog.facet_queries import changed_facets, facet_rows, has_more_tracks
from indexer.errors import IndexFileError
from indexer.facets.columns import Columns, search
from indexer.facets.files import (
    FacetStamp,
    build_facets,
    facets_path,
    open_facets,
    write_merged,
)
from indexer.facets.merging import Merged
from indexer.facets.part import encode
from indexer.filesystem import file_version

if TYPE_CHECKING:
    from collections.abc import Callable

    from indexer.catalog.reader import Catalog
    from indexer.catalog.records import StoredModel
    from indexer.facets.part import Part
    from indexer.filesystem import FileVersion
    from indexer.mapped_arrays import MappedArrays

Result = TypeVar("Result")

IN_MEMORY = 4_000
"""Up to so many tracks no file is kept: making them in memory takes 0.1 s."""
LARGE_DELTA = 0.05
"""A new file is written when more than this part of the tracks has changed ..."""
DELTA_AT_CLOSE = 2_000
"""... or so many, when a writer has done."""
log = logging.getLogger(__name__)


class Facets:
    """Facets of an open catalog. Several threads may use one.

    Attributes
    ----------
    catalog : Catalog
    path : Path
        Of the file.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.path = facets_path(catalog.path)
        self._lock = threading.RLock()
        self._columns: Columns | None = None
        self._model: StoredModel | None = None
        self._mapped: MappedArrays | None = None
        self._base_change = -1
        self._damaged: FileVersion | None = None
        self._warned = False

    def ask(self, question: Callable[[Columns], Result]) -> Result:
        """What a function makes of the columns as the catalog is now.

        A damaged file is noticed here: it is made again, and the function called once more.
        """
        columns = self.columns()
        try:
            return question(columns)
        except IndexFileError as error:
            with self._lock:
                if self._columns is columns:
                    self._warn(f"{error}, which happens now")
                    self._damaged = file_version(os.fsencode(self.path))
                    self._columns = None
                columns = self.columns()
            return question(columns)
        finally:
            # They stay in the system's cache, and no process counts them as its own.
            if (mapped := self._mapped) is not None:
                mapped.forget_pages()

    def columns(self) -> Columns:
        """The columns of the catalog's present state; see `ask`."""
        change = self.catalog.changes().facets
        columns = self._columns
        if columns is not None and columns.change == change:
            return columns
        with self._lock:
            return self._brought_up_to(change)

    @property
    def is_due(self) -> bool:
        """Whether so much has changed since the file was made that a new one is to be written."""
        columns = self._columns
        if columns is None or self._mapped is None:
            return False
        return len(columns.delta) + len(columns.gone) > LARGE_DELTA * len(columns)

    def rebuild(self) -> None:
        """Make the file again from the catalog, if the catalog is of a size that has one."""
        with self._lock:
            self._columns = None
            if self._is_large():
                self._is_written(self._build)

    def save(self, *, closing: bool) -> None:
        """Write a new file if much has changed since the last; a full disk costs the file only.

        Parameters
        ----------
        closing : bool
            Whether the writer has done: whoever opens the catalog catches up on what has changed.
        """
        with self._lock:
            if self.catalog.active_model() is None or not self._is_large():
                return
            if self._columns is None and not self.path.exists():
                self._is_written(self._build)
                return
            columns = self.columns()
            changed = len(columns.delta) + len(columns.gone)
            if self._mapped is None:
                self._is_written(self._build)
            elif changed > LARGE_DELTA * len(columns) or (closing and changed > DELTA_AT_CLOSE):
                self._is_written(lambda: self._write_merged(columns))

    def fault(self) -> str | None:
        """What is wrong with the file, all of it read; None where it is sound or none is due."""
        model = self.catalog.active_model()
        if model is None or not (self._is_large() or self.path.exists()):
            return None
        try:
            self._open(model)[2].require_all_intact()
        except IndexFileError as error:
            return str(error)
        return None

    def _brought_up_to(self, change: int) -> Columns:
        """The columns after a change, or a later one."""
        model = self.catalog.active_model()
        columns = self._columns
        if columns is None or model is None or model != self._model:
            columns = self._load(model)
        self._model = model
        if model is not None and columns.change < change:
            columns = self._caught_up(columns, model, change)
        self._columns = columns
        return columns

    def _caught_up(self, columns: Columns, model: StoredModel, change: int) -> Columns:
        with self.catalog.reading() as connection:
            changed = changed_facets(connection, columns.change)
            rows = facet_rows(self.catalog, connection, model, since=columns.change)
            fresh = encode(rows, len(model.tag_names))
        base, delta, gone = columns.base, columns.delta, columns.gone
        if self._mapped is None and len(base) <= IN_MEMORY:
            base = Merged(base, ~np.isin(base.column("ids"), changed), fresh).part()
            return _alone(base, columns.tag_names, change)
        old = search(base.column("ids"), changed)
        gone = np.union1d(gone, old[old >= 0])
        delta = Merged(delta, ~np.isin(delta.column("ids"), changed), fresh).part()
        columns = Columns(base, delta, gone, tag_names=columns.tag_names, change=change)
        if len(delta) + len(gone) > LARGE_DELTA * len(columns):
            return self._on_newer_file(columns, model)
        return columns

    def _on_newer_file(self, columns: Columns, model: StoredModel) -> Columns:
        """The same on the file that somebody has made meanwhile, if there is one."""
        try:
            newer = self._map(model, after=self._base_change)
        except IndexFileError:
            return columns
        return self._caught_up(newer, model, columns.change)

    def _load(self, model: StoredModel | None) -> Columns:
        """The columns of the file; where it is of no use, of the catalog."""
        self._mapped = None
        if model is None:
            return _alone(encode([], 0), (), self.catalog.changes().facets)
        try:
            return self._map(model)
        except IndexFileError as error:
            is_large = self._is_large()
            # Of a model that took over just now, and of a catalog on a server that is new to this
            # machine, there is no file yet.
            is_due = is_large and not self.catalog.seen_from
            if self._model is None and (is_due or self.path.exists()):
                self._warn(f"{error}, which happens now")
        if is_large and self._is_written(self._build):
            return self._map(model)
        change = self.catalog.changes().facets
        with self.catalog.reading() as connection:
            part = encode(facet_rows(self.catalog, connection, model), len(model.tag_names))
        return _alone(part, model.tag_names, change)

    def _map(self, model: StoredModel, *, after: int = -1) -> Columns:
        part, stamp, mapped = self._open(model)
        if stamp.change <= after:
            raise IndexFileError(f"{self.path} is the one that is open: make it again")
        self._mapped, self._base_change = mapped, stamp.change
        return _alone(part, model.tag_names, stamp.change)

    def _open(self, model: StoredModel) -> tuple[Part, FacetStamp, MappedArrays]:
        version = file_version(os.fsencode(self.path))
        part, stamp, mapped = open_facets(self.path, model)
        if (stamp.catalog, stamp.model) != (self.catalog.uuid, model.fingerprint):
            what = "belongs to another catalog or model"
        elif stamp.change > self.catalog.changes().facets:
            what = "is newer than the catalog"
        elif version == self._damaged:
            what = "is damaged"
        else:
            return part, stamp, mapped
        raise IndexFileError(f"{self.path} {what}: make it again from the catalog")

    def _build(self) -> None:
        build_facets(self.catalog, self.path)

    def _write_merged(self, columns: Columns) -> None:
        assert self._model is not None  # noqa: S101 - the columns are those of one
        stamp = FacetStamp(self.catalog.uuid, self._model.fingerprint, columns.change)
        write_merged(_merged(columns), self.path, stamp)

    def _is_written(self, write: Callable[[], None]) -> bool:
        try:
            write()
        except IndexFileError as error:
            self._warn(str(error))
            return False
        return True

    def _is_large(self) -> bool:
        with self.catalog.reading() as connection:
            return has_more_tracks(connection, IN_MEMORY)

    def _warn(self, why: str) -> None:
        if not self._warned:
            log.warning("%s", why)
        self._warned = True


def _alone(part: Part, tag_names: tuple[str, ...], change: int) -> Columns:
    nothing = encode([], len(tag_names))
    return Columns(part, nothing, np.empty(0, np.int64), tag_names=tag_names, change=change)


def _merged(columns: Columns) -> Merged:
    kept = np.ones(len(columns.base), np.bool_)
    kept[columns.gone] = False
    return Merged(columns.base, kept, columns.delta)
