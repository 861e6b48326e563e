"""Bytes that a track takes in each place where something of it is kept."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from benchmarks.catalogs import make_catalog
from benchmarks.table import Cell, Table
from indexer.facets.files import facets_path
from indexer.library import index_path
from indexer.models.registry import model_info

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.setting import Setting

_TITLES = ("track_names", "title_words", "title_parts")
"""Tables by which tracks are found by their names; each has tables of its own beside it."""


def measure(setting: Setting) -> tuple[Table, ...]:
    """Sizes of a catalog's tables and of the files beside it."""
    count = setting.sizes.sized_tracks
    folder = setting.folder / "sizes"
    folder.mkdir()
    path = folder / "catalog.db"
    make_catalog(path, count, seed=setting.seed)
    kept = {f"SQLite: {name}": size for name, size in _sqlite_tables(path).items()}
    kept["SQLite: all of the file"] = path.stat().st_size
    kept["file of vectors (codes and float16)"] = index_path(path).stat().st_size
    kept["file of facets"] = facets_path(path).stat().st_size
    rows: list[tuple[Cell, ...]] = [(name, size / count) for name, size in kept.items()]
    info = model_info()
    return (
        Table(
            title=f"Bytes a track, of {count:,} tracks",
            columns=("kept in", "bytes a track"),
            rows=tuple(rows),
            notes=f"Tables with their indexes. {info.dim} numbers and {len(info.tag_names)} tag "
            "activations a recording, both float16. Tracks are made up, with names of common "
            "lengths.",
        ),
    )


def _sqlite_tables(path: Path) -> dict[str, int]:
    """Bytes of each large table of a catalog, its indexes included."""
    sizes: dict[str, int] = {}
    with closing(sqlite3.connect(path)) as connection:
        for name, size in connection.execute(
            "SELECT coalesce(tbl_name, dbstat.name), sum(pgsize) FROM dbstat "
            "LEFT JOIN sqlite_master USING (name) GROUP BY 1"
        ):
            label = "names of tracks" if name.startswith(_TITLES) else name
            sizes[label] = sizes.get(label, 0) + size
    large = sum(sizes.values()) / 100
    return {name: size for name, size in sorted(sizes.items()) if size > large}
