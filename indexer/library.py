"""A library: the catalog and its vector index, opened together and kept in step.

The catalog is the truth; the file of vectors beside it (`catalog.db` -> `catalog.vectors`) is a
cache. Its stamp says which catalog, which model and which change it has seen. One that is behind is
caught up from the catalog; where there is none that fits, or it turns out to be damaged, all
vectors are read from the catalog and searched one by one, with a warning, until it has been made
again.

A file is written again when a twentieth of the library is not as it is in the file: by the writer
when it has done, and by a process in the background while readers ask.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.catalog.opinions import Opinions
from indexer.catalog.reader import Catalog
from indexer.errors import IndexFileError
from indexer.facets.facets import Facets
from indexer.facets.files import facets_path
from indexer.facets.files import remove_drafts as remove_facet_drafts
from indexer.filesystem import file_version
from indexer.mapped_arrays import draft_path
from indexer.vectors.base import Stamp
from indexer.vectors.half_precision import to_half
from indexer.vectors.policy import DEFAULT_POLICY, IndexPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from indexer.catalog.records import CatalogChanges, StoredModel
    from indexer.filesystem import FileVersion
    from indexer.vectors.base import VectorIndex
    from indexer.vectors.layered_index import LayeredIndex

log = logging.getLogger(__name__)

_PAUSE_S = 60.0
"""Seconds between two starts of the process that writes the file, where it did not help."""


def index_path(catalog: Path) -> Path:
    """Path of a catalog's vectors."""
    if catalog.suffix == ".db":
        return catalog.with_suffix(".vectors")
    return catalog.with_name(catalog.name + ".vectors")


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
    policy : IndexPolicy
        When vectors are searched exactly, and when their file is written again.
    model : StoredModel or None
        The active model; None in a catalog that holds nothing yet.
    changed : int
        How many vectors have come, changed or gone since it was opened.
    facets : Facets
        What is known of the tracks beside their vectors.
    opinions : Opinions
        What listeners said.
    lock : RLock
        To be held by a thread that searches while others may `refresh`.
    """

    def __init__(self, catalog: Catalog, *, policy: IndexPolicy = DEFAULT_POLICY) -> None:
        self.catalog = catalog
        self.policy = policy
        self.facets = Facets(catalog)
        self.opinions = Opinions(catalog)
        self.lock = threading.RLock()
        self.model: StoredModel | None = None
        self.changed = 0
        self._index: VectorIndex | None = None
        self._seen = 0
        self._state: CatalogChanges | None = None
        self._file: FileVersion | None = None
        self._damaged: FileVersion | None = None
        self._writing: subprocess.Popen[bytes] | None = None
        self._wrote_at = -_PAUSE_S

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, policy: IndexPolicy = DEFAULT_POLICY) -> Library:
        """Open for reading.

        Raises
        ------
        CatalogMissing, NotACatalog, CatalogTooNew
        """
        library = cls(Catalog.open_for_reading(path), policy=policy)
        library.refresh()
        return library

    @classmethod
    def open_for_writing(
        cls,
        path: str | os.PathLike[str],
        *,
        create: bool = False,
        policy: IndexPolicy = DEFAULT_POLICY,
    ) -> Library:
        """Open as the only writer, who reads no vectors until they are asked for.

        Raises
        ------
        CatalogMissing, CatalogLocked, NotACatalog, CatalogTooNew, CatalogFull
        """
        library = cls(Catalog.open_for_writing(path, create=create), policy=policy)
        with _alone(library.path) as is_alone:
            if is_alone:  # what a killed process left
                with suppress(OSError):
                    draft_path(library.path).unlink(missing_ok=True)
        remove_facet_drafts(facets_path(library.catalog.path))
        return library

    @property
    def path(self) -> Path:
        """Path of the file of vectors."""
        return index_path(self.catalog.path)

    @property
    def index(self) -> VectorIndex | None:
        """Unit vectors by track id, as of the last `refresh`; None as long as there is no model.

        A writer's are brought up to date, or read at all, when they are asked for.
        """
        if self._index is None or self.catalog.writable:
            self.refresh()
        return self._index

    @property
    def version(self) -> int:
        """A number that grows with every change to what answers are made of."""
        return -1 if self._state is None else self._state.vectors + self._state.facets

    @property
    def stamp(self) -> Stamp | None:
        """The state of the catalog that the index is up to; None as long as there is no model."""
        if self.model is None:
            return None
        return Stamp(self.catalog.uuid, self.model.fingerprint, self._seen)

    def close(self) -> None:
        """Close the catalog; a writer writes the file of vectors first, if it is due."""
        try:
            if self._writing is not None:
                self._writing.terminate()
                self._writing.wait()
                self._writing = None
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
            state = self.catalog.changes()
            if state == self._state:
                self._renew_if_due()
                return 0
            count = 0
            model = self.catalog.active_model()
            if model is not None:
                if self._index is None or self.model is None or self.model.id != model.id:
                    self._index, self._seen = self._open_or_read(model)
                    self.model = model
                count = self._catch_up(self._index, model)
            self._state = state
            self.changed += count
            self._renew_if_due()
            return count

    def rebuild(self) -> int:
        """Make the index again from the catalog, and all else that is; returns its vectors."""
        with self.catalog.alone(), self.catalog.writing() as connection:
            self.catalog.database.make_titles_again(connection)
        self.facets.rebuild()
        model = self.catalog.active_model()
        if model is None:
            return 0
        with self.lock:
            self._write_from_catalog(model)
            self._index, self._seen = self._open_or_read(model)
            self.model = model
            self._catch_up(self._index, model)
            return len(self._index)

    def save_index(self, *, check: bool = False) -> None:
        """Write the file of vectors if so much has changed that it is due.

        A disk that is full costs the file only: it is made again from the catalog next time.

        Parameters
        ----------
        check : bool
            Whether to read all of the file that is there, and write it again if it is damaged.
        """
        model = self.catalog.active_model()
        if model is None:
            return
        with _alone(self.path) as is_alone:
            if not is_alone:
                return  # Somebody is writing it.
            try:
                self._write_if_due(model, check=check)
            except IndexFileError as error:
                log.warning("%s; the catalog is safe, the index will be made again from it", error)

    def verify(self) -> VerifyReport:
        """Compare the catalog, the index in memory and the file of vectors with each other."""
        damage = tuple(self.catalog.damage())
        model = None if damage else self.catalog.active_model()
        titles = () if damage else tuple(self.catalog.title_faults())
        facets = None if damage else self.facets.fault()
        index = None if damage else self.index
        if model is None or index is None:
            return VerifyReport(damage, titles, facets, self._index_file_fault(), (), (), ())
        missing: list[int] = []
        differing: list[int] = []
        in_catalog = [np.empty(0, dtype=np.int64)]
        for changes in self.catalog.changes_since(0, model):
            in_catalog.append(changes.ids)
            there = index.holds(changes.ids)
            missing += changes.ids[~there].tolist()
            held = index.reconstruct(changes.ids[there])
            same = np.isclose(held, changes.vectors[there], atol=1e-3).all(axis=1)
            differing += changes.ids[there][~same].tolist()
        extra = np.setdiff1d(index.ids(), np.concatenate(in_catalog)).tolist()
        return VerifyReport(
            damage,
            titles,
            facets,
            self._index_file_fault(),
            tuple(missing),
            tuple(extra),
            tuple(differing),
        )

    def _open_or_read(self, model: StoredModel) -> tuple[VectorIndex, int]:
        """The index of the file, and the change it has seen; else an empty one that has seen none.

        The caller catches it up from the catalog.
        """
        from indexer.vectors.layered_index import LayeredIndex

        try:
            return self._open_file(model)
        except IndexFileError as error:
            # Of a model that took over, of an empty catalog, or of one on a server that is new to
            # this machine, there is no file yet.
            if self.model is None and (self.path.exists() or self._is_due_here()):
                self._warn_made_again(error)
            self._damaged = file_version(os.fsencode(self.path))
            return LayeredIndex(model.dim, policy=self.policy), 0

    def _is_due_here(self) -> bool:
        """Whether the file of vectors should be beside the catalog."""
        return not self.catalog.seen_from and self.catalog.change() > 0

    def _open_file(self, model: StoredModel) -> tuple[LayeredIndex, int]:
        """The index of the file, and the change it has seen.

        Raises
        ------
        IndexFileError
            There is none, or none of this catalog and model, or it is damaged.
        """
        from indexer.vectors.layered_index import LayeredIndex

        version = file_version(os.fsencode(self.path))
        if version is not None and version == self._damaged:
            raise IndexFileError(f"{self.path} is damaged: make it again from the catalog")
        index, stamp = LayeredIndex.open(
            self.path, dim=model.dim, policy=self.policy, recover=self._recovered
        )
        if (stamp.catalog, stamp.model) != (self.catalog.uuid, model.fingerprint):
            raise IndexFileError(f"{self.path} belongs to another catalog or model")
        if stamp.change > self.catalog.change():
            raise IndexFileError(f"{self.path} is newer than the catalog")
        self._file = version
        return index, stamp.change

    def _recovered(self, error: IndexFileError) -> LayeredIndex:
        """The index without a file that turned out to be damaged."""
        from indexer.vectors.layered_index import LayeredIndex

        model = self.model
        assert model is not None  # noqa: S101 - the file was opened for it
        self._warn_made_again(error)
        self._damaged = self._file
        index, self._seen = LayeredIndex(model.dim, policy=self.policy), 0
        self._catch_up(index, model)
        return index

    def _warn_made_again(self, error: IndexFileError) -> None:
        why = str(error).split(":")[0]
        kept = "" if self.catalog.writable else " for now (`soundalike rebuild` keeps it)"
        log.warning("%s; made again from the catalog%s", why, kept)

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

    def _renew_if_due(self) -> None:
        """Go on with newer files where there are some; else let a process write what is due."""
        index, model = self._index, self.model
        if index is None or model is None:
            return
        due = self._is_due(index, model)
        if not (due or self.facets.is_due) or self.catalog.writable:
            return
        if self._writing is not None and self._writing.poll() is not None:
            self._writing = None
        if self._writing is None and time.monotonic() > self._wrote_at + _PAUSE_S:
            self._wrote_at = time.monotonic()
            self._writing = subprocess.Popen(  # noqa: S603 - this program's own module
                [sys.executable, "-m", "indexer.write_caches", json.dumps(asdict(self.policy))],
                stdin=subprocess.PIPE,
            )
            with suppress(OSError), self._writing.stdin as address:  # type: ignore[union-attr]  # a pipe
                address.write(self.catalog.address.encode() + b"\n")

    def _is_due(self, index: VectorIndex, model: StoredModel) -> bool:
        """Whether the file of vectors is to be written; a newer one is taken over first."""
        if index.is_due:
            self._go_over(index, model)
        return index.is_makeshift or (index.is_due and index.facts().kind == "lists")

    def _go_over(self, index: VectorIndex, model: StoredModel) -> None:
        """Go on with a newer file of vectors, if there is one."""
        from indexer.vectors.layered_index import LayeredIndex

        version = file_version(os.fsencode(self.path))
        if version in (None, self._file, self._damaged):
            return
        try:
            newer, self._seen = self._open_file(model)
        except IndexFileError as error:
            log.warning("%s; it is not used", error)
            self._damaged = version
            return
        assert isinstance(index, LayeredIndex)  # noqa: S101 - it was made by this library
        index.take_over(newer)
        self._catch_up(index, model)

    def _write_if_due(self, model: StoredModel, *, check: bool) -> None:
        """Write the file of vectors from the one that is there and what changed, if that is much.

        Raises
        ------
        IndexFileError
            It cannot be written.
        """
        try:
            index, seen = self._open_file(model)
            if check:
                index.require_intact()
            if self.catalog.count_changed(seen) <= index.most_changes:
                return
            before, self._seen = self._seen, seen
            try:
                self._catch_up(index, model)
                stamp = Stamp(self.catalog.uuid, model.fingerprint, self._seen)
            finally:
                self._seen = before
            index.require_intact()
        except IndexFileError:
            self._write_from_catalog(model)
            return
        index.save(self.path, stamp)

    def _write_from_catalog(self, model: StoredModel) -> None:
        from indexer.vectors.base_building import write_vectors

        # The number is read first: what is written meanwhile is seen twice rather than never.
        stamp = Stamp(self.catalog.uuid, model.fingerprint, self.catalog.change())

        def blocks() -> Iterator[tuple[NDArray[np.int64], NDArray[np.float16]]]:
            for changes in self.catalog.changes_since(0, model):
                yield changes.ids, to_half(changes.vectors)

        write_vectors(self.path, stamp, blocks(), dim=model.dim, policy=self.policy)

    def _index_file_fault(self) -> str | None:
        model = self.catalog.active_model()
        if model is None:
            return None
        from indexer.vectors.layered_index import LayeredIndex

        try:
            LayeredIndex.open(self.path, dim=model.dim)[0].require_intact()
        except IndexFileError as error:
            return str(error)
        return None


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Whether this process is the only one that writes a file, as long as the context lasts."""
    lock = path.with_name(path.name + ".lock")
    try:
        file = lock.open("a+b")
    except OSError:
        # Nobody can write beside it; whoever tries says why.
        yield True
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
