"""The address of a catalog: the path of a file, or that of a database on a PostgreSQL server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.errors import InvalidOption

if TYPE_CHECKING:
    import os

    from sqlalchemy import URL

_ON_SERVER = "vectors=pgvector"
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
    if vectors_on_server(address):
        return str(address)
    return f"{address}{'&' if '?' in str(address) else '?'}{_ON_SERVER}"


def vectors_on_server(address: str | os.PathLike[str]) -> bool:
    """Whether a catalog's address says that its vectors are searched on the server."""
    return is_on_server(address) and _ON_SERVER in str(address).partition("?")[2].split("&")


def server_url(address: str) -> URL:
    """The part of a catalog's address that the server is reached by."""
    from sqlalchemy import make_url

    return make_url(address).difference_update_query(["vectors"])


def display_address(address: str | os.PathLike[str]) -> str:
    """A catalog's address as people are shown it: without a password."""
    if not is_on_server(address):
        return str(address)
    from sqlalchemy import make_url

    return make_url(str(address)).render_as_string(hide_password=True)
