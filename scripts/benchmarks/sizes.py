"""Bytes that a track takes in each place where something of it is kept."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from benchmarks.catalogs import make_catalog
from benchmarks.table import Cell, Table
from indexer.catalog.address import with_vectors_on_server
from indexer.facets.files import facets_path
from indexer.library import index_path
from indexer.library_on_server import open_library_for_writing
from indexer.models.registry import model_info
from tests.postgres import embedded_binaries, running_server

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
    for name, file in (
        ("file of vectors (codes and float16)", index_path(path)),
        ("file of facets", facets_path(path)),
    ):
        if file.exists():  # few tracks need none
            kept[name] = file.stat().st_size
    kept |= _on_a_server(setting)
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


def _on_a_server(setting: Setting) -> dict[str, int]:
    """Bytes of each large table of the same catalog on a PostgreSQL server, indexes included."""
    binaries = embedded_binaries()
    if binaries is None:
        return {}
    os.environ["SOUNDALIKE_CACHE"] = str(setting.folder / "cache")
    with running_server(binaries, maintenance_work_mem="1GB") as server:
        name = server.create_database()
        address = with_vectors_on_server(server.address(name))
        make_catalog(server.address(name), setting.sizes.sized_tracks, seed=setting.seed)
        with closing(open_library_for_writing(address)) as library:
            library.rebuild()
        found = server.run(
            "SELECT relname, pg_total_relation_size(oid)::bigint FROM pg_class "
            "WHERE relkind = 'r' AND relname !~ '^(pg|sql)_' ORDER BY relname",
            name,
        )
    sizes = {
        "vectors with pgvector's lists" if table.startswith("vectors_") else table: size
        for table, size in found
    }
    large = sum(sizes.values()) / 100
    return {f"PostgreSQL: {table}": size for table, size in sizes.items() if size > large}


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
