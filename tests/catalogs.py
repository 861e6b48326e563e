"""Catalogs as older versions of the program left them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def make_old(catalog: Path) -> None:
    """Take a closed catalog back to the first schema, which had no descriptors."""
    with closing(sqlite3.connect(catalog)) as raw:
        raw.executescript(
            "DROP TABLE descriptors; UPDATE alembic_version SET version_num = '0001';"
            "PRAGMA wal_checkpoint(TRUNCATE);"
        )
