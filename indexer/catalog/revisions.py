"""The schema that a database has, and how it comes to be the present one."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

from sqlalchemy import insert

from indexer.catalog.schema import REVISIONS, CatalogRow
from indexer.errors import CatalogTooNew, NotACatalog

if TYPE_CHECKING:
    from sqlalchemy import Connection, Insert


def migrate(connection: Connection) -> None:
    """Bring the tables, of which there may be none, to the present schema."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "indexer.catalog:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def first_row() -> Insert:
    """The statement that gives an empty catalog its identity."""
    return insert(CatalogRow).values(
        id=1,
        uuid=str(uuid.uuid4()),
        change=0,
        facets_change=0,
        next_track_id=1,
        created_at=time.time(),
    )


def check_revision(name: str, revision: str | None) -> None:
    """Refuse a schema that cannot be read.

    Parameters
    ----------
    name : str
        Of the catalog, as people are shown it.
    revision : str or None
        Its schema; None where it has no tables.

    Raises
    ------
    NotACatalog, CatalogTooNew
    """
    if revision is None:
        raise NotACatalog(f"{name} holds no catalog: make one with `soundalike index`")
    if revision not in REVISIONS:
        raise CatalogTooNew(
            f"{name} was written by a newer soundalike (schema {revision}, this program knows up "
            f"to {REVISIONS[-1]}): upgrade soundalike"
        )
