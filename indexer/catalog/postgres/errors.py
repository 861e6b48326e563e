"""What PostgreSQL's errors mean, with what to do about them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
from sqlalchemy.exc import DBAPIError

from indexer.catalog.schema import Malformed
from indexer.errors import (
    CatalogError,
    CatalogForbidden,
    CatalogFull,
    CatalogLocked,
    CatalogMissing,
    CatalogUnreachable,
    NotACatalog,
    ValueRefused,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_SAFE = "what was reported as stored is safe"
_MEANINGS: tuple[tuple[tuple[str, ...], type[CatalogError], str], ...] = (
    # By the first letters of SQLSTATE; the first that fits is it.
    (("28",), CatalogForbidden, "refuses the user ({why}): check user and password"),
    (("3D",), CatalogMissing, "is not there ({why}): make the database with `createdb`"),
    (
        ("42501", "25006"),
        CatalogForbidden,
        "does not let this user do that ({why}): connect as another user, or grant the rights",
    ),
    (("53100",), CatalogFull, "cannot be written ({why}): free some space there; " + _SAFE),
    (("53",), CatalogUnreachable, "has no room for another connection ({why}): try again later"),
    (("55P03", "40P01"), CatalogLocked, "is in use by another program ({why}): try again"),
    (("22", "23"), ValueRefused, "cannot store a value ({why})"),
    (("42", "XX001", "XX002"), NotACatalog, "is damaged ({why}): restore a backup"),
    (("57", "08"), CatalogUnreachable, "went away ({why}); " + _SAFE + ": run again later"),
)
_LOGIN_FAILED = ("password authentication failed", "no password supplied", "role", "pg_hba.conf")


@contextmanager
def translate_errors(name: str) -> Iterator[None]:
    """Turn PostgreSQL's errors into those of `indexer.errors`.

    Parameters
    ----------
    name : str
        The catalog's address as people are shown it.
    """
    try:
        yield
    except (DBAPIError, psycopg.Error, Malformed, UnicodeError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        raise _meaning(name, cause) from error


def _meaning(name: str, cause: BaseException | None) -> CatalogError:
    why = next(iter(str(cause).strip().splitlines()), "no reason given")
    if isinstance(cause, Malformed):
        return NotACatalog(f"{name} is damaged ({why}): restore a backup")
    if isinstance(cause, UnicodeError) or (
        # What the driver itself refuses has no SQLSTATE.
        isinstance(cause, psycopg.DataError) and cause.sqlstate is None
    ):
        return ValueRefused(f"{name} cannot store a value ({why})")
    state = (cause.sqlstate if isinstance(cause, psycopg.Error) else None) or ""
    for starts, kind, sentence in _MEANINGS:
        if state.startswith(starts):
            return kind(f"{name} {sentence.format(why=why)}")
    if state:
        return CatalogError(f"{name} does not do that ({state}: {why})")
    return _unreachable(name, why)


def _unreachable(name: str, why: str) -> CatalogError:
    """The error of a connection that could not be made, or broke: libpq gives it no SQLSTATE."""
    reason = why.rpartition("FATAL:")[2].strip()
    if "does not exist" in reason and "database" in reason:
        return CatalogMissing(f"{name} is not there ({reason}): make the database with `createdb`")
    if any(sign in reason for sign in _LOGIN_FAILED):
        return CatalogForbidden(f"{name} refuses the user ({reason}): check user and password")
    if "closed" in reason or "terminat" in reason or "lost" in reason:
        return CatalogUnreachable(f"{name} went away ({reason}); {_SAFE}: run again later")
    return CatalogUnreachable(
        f"{name} cannot be reached ({reason}): check the address, and whether the server runs"
    )
