"""A library: the catalog and its vector index, opened together and kept in step.

The catalog is the truth; the index file beside it (`catalog.db` -> `catalog.faiss`) is a cache.
Its stamp says which catalog, which model and which change it has seen. One that is behind is caught
up from the catalog; one that does not fit, is damaged or missing is made again, with a warning.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.catalog.reader import Catalog
from indexer.catalog.title_index import make_titles_again
from indexer.errors import IndexFileError
from indexer.facets.facets import Facets
from indexer.facets.files import facets_path
from indexer.facets.files import remove_drafts as remove_facet_drafts
from indexer.vectors.base import Stamp, VectorIndex
from indexer.vectors.index_file import remove_drafts

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from indexer.catalog.records import StoredModel

log = logging.getLogger(__name__)


def index_path(catalog: Path) -> Path:
    """Path of a catalog's vector index."""
    if catalog.suffix == ".db":
        return catalog.with_suffix(".faiss")
    return catalog.with_name(catalog.name + ".faiss")


@dataclass(frozen=True)
class VerifyReport:
    """Faults of a catalog and the files beside it, found by `verify`; empty where none are."""

    damage: tuple[str, ...]
    titles: tuple[str, ...]
    facets_file: str | None
    index_file: str | None
    not_in_index: tuple[int, ...]
    not_in_catalog: tuple[int, ...]
    other_vector: tuple[int, ...]

    @property
    def sound(self) -> bool:
        """Whether there is no fault."""
        return not (
            self.damage
            or self.titles
            or self.facets_file
            or self.index_file
            or self.not_in_index
            or self.not_in_catalog
            or self.other_vector
        )


class Library:
    """An open catalog with the index of its active model.

    Attributes
    ----------
    catalog : Catalog
    model : StoredModel or None
        The active model; None in a catalog that holds nothing yet.
    index : VectorIndex or None
        Unit vectors by track id; None as long as there is no model.
    version : int
        The catalog's `data_version` when the index was last brought up to it.
    changed : int
        How many vectors have come, changed or gone since it was opened.
    facets : Facets
        What is known of the tracks beside their vectors.
    lock : RLock
        To be held by a thread that searches while others may `refresh`.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.facets = Facets(catalog)
        self.lock = threading.RLock()
        self.model: StoredModel | None = None
        self.index: VectorIndex | None = None
        self._seen = 0
        self.version = -1
        self.changed = 0
        self._on_disk: Stamp | None = None
        self.refresh()

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Library:
        """Open for reading.

        Raises
        ------
        CatalogMissing, NotACatalog, CatalogTooNew
        """
        return cls(Catalog.open_for_reading(path))

    @classmethod
    def open_for_writing(cls, path: str | os.PathLike[str], *, create: bool = False) -> Library:
        """Open as the only writer.

        Raises
        ------
        CatalogMissing, CatalogLocked, NotACatalog, CatalogTooNew, CatalogFull
        """
        catalog = Catalog.open_for_writing(path, create=create)
        remove_drafts(index_path(catalog.path))
        remove_facet_drafts(facets_path(catalog.path))
        return cls(catalog)

    @property
    def path(self) -> Path:
        """Path of the vector index."""
        return index_path(self.catalog.path)

    @property
    def stamp(self) -> Stamp | None:
        """The state of the catalog that the index is up to; None as long as there is no model."""
        if self.model is None:
            return None
        return Stamp(self.catalog.uuid, self.model.fingerprint, self._seen)

    def close(self) -> None:
        """Close the catalog; a writer's index is written to its file first."""
        try:
            if self.catalog.writable:
                self.save_index()
                self.facets.save(closing=True)
        finally:
            self.catalog.close()

    def refresh(self) -> int:
        """Bring the index up to the catalog's last change.

        Returns
        -------
        int
            How many vectors came, changed or went.
        """
        with self.lock:
            version = self.catalog.data_version()
            if version == self.version:
                return 0
            count = 0
            model = self.catalog.active_model()
            if model is not None:
                if self.index is None or self.model is None or self.model.id != model.id:
                    self.index, self._seen = self._open_index(model)
                self.model = model
                count = self._catch_up(self.index, model)
            self.version = version
            self.changed += count
            return count

    def rebuild(self) -> int:
        """Make the index again from the catalog, and all else that is; returns its vectors."""
        with self.catalog.writing() as connection:
            make_titles_again(connection)
        self.facets.rebuild()
        model = self.catalog.active_model()
        if model is None:
            return 0
        self.model, self.index = model, self._empty_index(model)
        self._seen, self._on_disk = 0, None
        self._catch_up(self.index, model)
        self.save_index()
        return len(self.index)

    def save_index(self) -> None:
        """Write the index beside the catalog unless the file there is as new.

        A disk that is full costs the file only: it is made again from the catalog next time.
        """
        stamp = self.stamp
        if self.index is None or stamp is None or stamp == self._on_disk:
            return
        try:
            self.index.save(self.path, stamp)
        except IndexFileError as error:
            log.warning("%s; the catalog is safe, the index will be made again from it", error)
        else:
            self._on_disk = stamp

    def verify(self) -> VerifyReport:
        """Compare the catalog, the index in memory and the index file with each other."""
        damage = tuple(self.catalog.damage())
        model = None if damage else self.catalog.active_model()
        titles = () if damage else tuple(self.catalog.title_faults())
        facets = None if damage else self.facets.fault()
        if model is None or self.index is None:
            return VerifyReport(damage, titles, facets, self._index_file_fault(), (), (), ())
        missing: list[int] = []
        differing: list[int] = []
        in_catalog: list[int] = []
        in_index = self.index.ids()
        for changes in self.catalog.changes_since(0, model):
            in_catalog += changes.ids.tolist()
            there = np.isin(changes.ids, in_index)
            missing += changes.ids[~there].tolist()
            held = self.index.reconstruct(changes.ids[there])
            same = np.isclose(held, changes.vectors[there], atol=1e-3).all(axis=1)
            differing += changes.ids[there][~same].tolist()
        extra = np.setdiff1d(in_index, np.array(in_catalog, dtype=np.int64)).tolist()
        return VerifyReport(
            damage,
            titles,
            facets,
            self._index_file_fault(),
            tuple(missing),
            tuple(extra),
            tuple(differing),
        )

    def _open_index(self, model: StoredModel) -> tuple[VectorIndex, int]:
        from indexer.vectors.faiss_index import FaissIndex

        if not self.path.exists():
            if self.catalog.change() > 0:
                self._warn_made_again(f"{self.path} is missing")
            return self._empty_index(model), 0
        try:
            index, stamp = FaissIndex.open(self.path, dim=model.dim)
        except IndexFileError as error:
            self._warn_made_again(str(error))
            return self._empty_index(model), 0
        fits = (stamp.catalog, stamp.model) == (self.catalog.uuid, model.fingerprint)
        if not fits or stamp.change > self.catalog.change():
            self._warn_made_again(f"{self.path} belongs to another catalog or model")
            return self._empty_index(model), 0
        self._on_disk = stamp
        return index, stamp.change

    def _warn_made_again(self, why: str) -> None:
        if self.model is not None:
            return  # Another model took over: its vectors are not in the file yet.
        kept = "" if self.catalog.writable else " for now (`soundalike rebuild` keeps it)"
        log.warning("%s; made again from the catalog%s", why, kept)

    def _empty_index(self, model: StoredModel) -> VectorIndex:
        from indexer.vectors.faiss_index import FaissIndex

        return FaissIndex(model.dim)

    def _catch_up(self, index: VectorIndex, model: StoredModel) -> int:
        # The number is read first: what is written meanwhile is seen twice rather than never.
        change = self.catalog.change()
        if change == self._seen:
            return 0
        count = 0
        for changes in self.catalog.changes_since(self._seen, model):
            index.remove(changes.gone)
            index.add(changes.ids, changes.vectors)
            count += len(changes.ids) + len(changes.gone)
        self._seen = change
        return count

    def _index_file_fault(self) -> str | None:
        from indexer.vectors.faiss_index import FaissIndex

        if self.model is None:
            return None
        try:
            FaissIndex.open(self.path, dim=self.model.dim)
        except IndexFileError as error:
            return str(error)
        return None
