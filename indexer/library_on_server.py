"""Libraries by their address, and one whose vectors its catalog's server searches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.catalog.address import server_url, vectors_on_server
from indexer.library import Library
from indexer.vectors.policy import DEFAULT_POLICY

if TYPE_CHECKING:
    import os

    from indexer.catalog.reader import Catalog
    from indexer.catalog.records import StoredModel
    from indexer.vectors.base import VectorIndex
    from indexer.vectors.pgvector_index import PgvectorIndex
    from indexer.vectors.policy import IndexPolicy
    from indexer.vectors.postgres_connection import PostgresConnection


def open_library(
    address: str | os.PathLike[str], *, policy: IndexPolicy = DEFAULT_POLICY
) -> Library:
    """Open a library for reading, of the kind that its address says.

    Raises
    ------
    CatalogMissing, NotACatalog, CatalogTooNew, CatalogUnreachable, IndexServerError
    """
    return _kind(address).open(address, policy=policy)


def open_library_for_writing(
    address: str | os.PathLike[str], *, create: bool = False, policy: IndexPolicy = DEFAULT_POLICY
) -> Library:
    """Open a library to write it, of the kind that its address says.

    Raises
    ------
    CatalogMissing, CatalogLocked, NotACatalog, CatalogTooNew, CatalogFull, CatalogUnreachable
    """
    return _kind(address).open_for_writing(address, create=create, policy=policy)


def library_of(catalog: Catalog, *, policy: IndexPolicy) -> Library:
    """The library of an open catalog, of the kind that its address says."""
    return _kind(catalog.address)(catalog, policy=policy)


def _kind(address: str | os.PathLike[str]) -> type[Library]:
    return LibraryOnServer if vectors_on_server(address) else Library


class LibraryOnServer(Library):
    """A library whose index is a table with pgvector, beside its catalog's tables."""

    def __init__(self, catalog: Catalog, *, policy: IndexPolicy = DEFAULT_POLICY) -> None:
        super().__init__(catalog, policy=policy)
        self._server: PostgresConnection | None = None

    def close(self) -> None:
        """Close the catalog; a writer brings the server's vectors up to it first."""
        try:
            super().close()
        finally:
            if self._server is not None:
                self._server.close()

    def save_index(self, *, check: bool = False) -> None:  # noqa: ARG002 - there is no file
        """Bring the vectors up to the catalog, and make lists of them if it is time."""
        if self.catalog.active_model() is None:
            return
        with self.lock:
            index = self.index
            if index is not None and index.is_due:
                _on_server(index).make_lists()

    def _open_or_read(self, model: StoredModel) -> tuple[VectorIndex, int]:
        from indexer.vectors.pgvector_index import PgvectorIndex
        from indexer.vectors.postgres_connection import PostgresConnection

        if self._server is None:
            url = server_url(self.catalog.address)
            self._server = PostgresConnection(url.render_as_string(hide_password=False))
        index, stamp = PgvectorIndex.open(
            self._server,
            catalog=self.catalog.uuid,
            model=model.fingerprint,
            dim=model.dim,
            policy=self.policy,
        )
        return index, stamp.change

    def _catch_up(self, index: VectorIndex, model: StoredModel) -> int:
        on_server = _on_server(index)
        count = on_server.catch_up(
            self.catalog.change, lambda change: self.catalog.changes_since(change, model)
        )
        self._seen = on_server.seen
        return count

    def _is_due(self, index: VectorIndex, model: StoredModel) -> bool:  # noqa: ARG002 - of a file
        if index.is_due:
            _on_server(index).look_again()
        return index.is_due

    def _write_from_catalog(self, model: StoredModel) -> None:
        index, _ = self._open_or_read(model)
        _on_server(index).clear()
        self._catch_up(index, model)
        _on_server(index).make_lists()

    def _index_file_fault(self) -> str | None:
        return None


def _on_server(index: VectorIndex) -> PgvectorIndex:
    from indexer.vectors.pgvector_index import PgvectorIndex

    assert isinstance(index, PgvectorIndex)  # noqa: S101 - this library has no other
    return index
