"""Where a catalog is: a file, or a database on a PostgreSQL server, by its address."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from indexer.errors import InvalidOption

if TYPE_CHECKING:
    import os

    from sqlalchemy import URL

    from indexer.catalog.database import Database

_VECTORS = "vectors"
"""What an address may ask for beside the server's own parameters."""


def is_on_server(address: str | os.PathLike[str]) -> bool:
    """Whether a catalog's address is that of a server, and not of a file."""
    return isinstance(address, str) and address.startswith(("postgresql://", "postgresql+"))


def with_vectors_on_server(address: str | os.PathLike[str]) -> str:
    """A catalog's address, saying that its vectors are searched on the server too.

    Raises
    ------
    InvalidOption
        It is that of a file.
    """
    if not is_on_server(address):
        raise InvalidOption(
            f"the catalog {address} is a file: vectors are searched on a server only beside a "
            "catalog there, --catalog postgresql://user@host/database"
        )
    from sqlalchemy import make_url

    url = make_url(str(address)).update_query_dict({_VECTORS: "pgvector"})
    return url.render_as_string(hide_password=False)


def vectors_on_server(address: str | os.PathLike[str]) -> bool:
    """Whether a catalog's address says that its vectors are searched on the server."""
    if not is_on_server(address):
        return False
    from sqlalchemy import make_url

    return make_url(str(address)).query.get(_VECTORS) == "pgvector"


def server_url(address: str) -> URL:
    """The part of a catalog's address that the server is reached by."""
    from sqlalchemy import make_url

    return make_url(address).difference_update_query([_VECTORS])


def display_address(address: str | os.PathLike[str]) -> str:
    """A catalog's address as people are shown it: without a password."""
    if not is_on_server(address):
        return str(address)
    from sqlalchemy import make_url

    return make_url(str(address)).render_as_string(hide_password=True)


def exists(address: str | os.PathLike[str]) -> bool:
    """Whether there may be a catalog: a server has to be asked."""
    return is_on_server(address) or Path(address).exists()


def open_for_reading(address: str | os.PathLike[str]) -> Database:
    """Open an existing catalog without ever waiting for its writers.

    Raises
    ------
    CatalogMissing, NotACatalog, CatalogTooNew, CatalogUnreachable
    """
    if is_on_server(address):
        from indexer.catalog.postgres.database import PostgresDatabase

        return PostgresDatabase.open_for_reading(str(address))
    from indexer.catalog.sqlite.database import SqliteDatabase

    return SqliteDatabase.open_for_reading(Path(address))


def open_for_writing(address: str | os.PathLike[str], *, create: bool = False) -> Database:
    """Open a catalog to write it, bringing its tables up to date.

    Raises
    ------
    CatalogMissing
        There is none and `create` is false.
    CatalogLocked
        Another process is writing it.
    NotACatalog, CatalogTooNew, CatalogFull, CatalogUnreachable
    """
    if is_on_server(address):
        from indexer.catalog.postgres.database import PostgresDatabase

        return PostgresDatabase.open_for_writing(str(address), create=create)
    from indexer.catalog.sqlite.database import SqliteDatabase

    return SqliteDatabase.open_for_writing(Path(address), create=create)
