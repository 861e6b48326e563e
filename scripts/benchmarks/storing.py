"""The one writer: analyses of files into a catalog, in the batches of an index run."""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import closing
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.catalogs import make_catalog
from benchmarks.made_up import made_up
from benchmarks.table import Cell, Table
from indexer.analysis.track_analysis import DEFAULT_WINDOWS, TrackAnalysis
from indexer.audio.container import AudioFacts
from indexer.audio.tags import Tags
from indexer.catalog import writer
from indexer.catalog.file_queries import SeenFile
from indexer.catalog.reader import Catalog
from indexer.features.descriptors import Descriptors
from indexer.indexing.executor import Batching
from indexer.models.registry import model_info

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.setting import Setting

_TRACKS = 2_000
"""Tracks stored in one run."""
_BARE = "[a] the same rows by sqlite3.executemany"
_TABLES = ("recordings", "embeddings", "tracks")
_ROOT = b"/music"


def measure(setting: Setting) -> tuple[Table, ...]:
    """Tracks a second into an empty catalog and into one that holds tracks, durable each."""
    folder = setting.folder / "storing"
    folder.mkdir()
    analyses = _analyses(_TRACKS, seed=setting.seed)
    batch = Batching().files
    rows: list[tuple[Cell, ...]] = []
    for held in (0, setting.sizes.served_tracks):
        base = folder / f"{held}.db"
        make_catalog(base, held, seed=setting.seed)
        speeds: dict[str, list[float]] = {"soundalike": [], _BARE: []}
        for _ in range(setting.sizes.runs):
            full, bare = (shutil.copy(base, folder / f"{name}.db") for name in ("full", "bare"))
            speeds["soundalike"].append(_TRACKS / _store(full, analyses, batch))
            speeds[_BARE].append(_TRACKS / _copy_rows(full, bare, batch))
        bare_speed = median(speeds[_BARE])
        rows += [
            (held, name, median(found), min(found), median(found) / bare_speed)
            for name, found in speeds.items()
        ]
    return (
        Table(
            title=f"Storing analyses of {_TRACKS:,} new files, {batch} in a transaction on disk",
            columns=("tracks before", "", "tracks/s", "slowest run", "/ [a]"),
            rows=tuple(rows),
            notes=(
                f"Medians, runs: {setting.sizes.runs}, of both in turn, from a copy of one catalog "
                "each.\n[a] inserts the rows that the other has made, with their indexes and "
                "digests, in transactions as large, with synchronous=FULL in WAL mode, too."
            ),
        ),
    )


def _store(path: Path, analyses: Sequence[tuple[SeenFile, TrackAnalysis]], batch: int) -> float:
    """Seconds to store analyses in a catalog."""
    with closing(Catalog.open_for_writing(path)) as catalog:
        model = catalog.active_model()
        if model is None:
            raise RuntimeError(f"{path} has no model")
        began = time.perf_counter()
        for start in range(0, len(analyses), batch):
            with catalog.writing() as connection:
                writer.store(connection, model, analyses[start : start + batch])
        return time.perf_counter() - began


def _copy_rows(source: Path, target: Path, batch: int) -> float:
    """Seconds to insert the rows of a catalog that another one does not have yet."""
    with closing(sqlite3.connect(source)) as full, closing(sqlite3.connect(target)) as bare:
        rows = {}
        for table in _TABLES:
            (last,) = bare.execute(f"SELECT max(rowid) FROM {table}").fetchone()  # noqa: S608 - own
            query = f"SELECT * FROM {table} WHERE rowid > ? ORDER BY rowid"  # noqa: S608 - own
            rows[table] = full.execute(query, (last or 0,)).fetchall()
        bare.execute("PRAGMA journal_mode=WAL")
        bare.execute("PRAGMA synchronous=FULL")
        bare.execute("PRAGMA foreign_keys=ON")
        began = time.perf_counter()
        for start in range(0, _TRACKS, batch):
            with bare:
                for table, values in rows.items():
                    marks = ",".join("?" * len(values[0]))
                    bare.executemany(
                        f"INSERT INTO {table} VALUES ({marks})",  # noqa: S608 - our own names
                        values[start : start + batch],
                    )
        return time.perf_counter() - began


def _analyses(count: int, *, seed: int) -> list[tuple[SeenFile, TrackAnalysis]]:
    info = model_info()
    rng = np.random.default_rng(seed)
    vectors = made_up(count, dim=info.dim, seed=seed).vectors
    activations = rng.random((count, len(info.tag_names)), np.float32).astype(np.float16)
    return [
        (
            SeenFile(b"%s/new/%02d/%04d.mp3" % (_ROOT, row // 100, row), _ROOT, 4_000_000, row),
            TrackAnalysis(
                AudioFacts("mp3", "mp3", 44_100, 2, 200.0 + row, 192_000, rng.bytes(32)),
                Tags(
                    title=f"New title {row}",
                    artist=f"New artist {row // 20}",
                    album=f"New album {row // 10}",
                    genre="Music",
                    year=2000,
                    track_number=row % 10 + 1,
                ),
                vectors[row],
                activations[row],
                DEFAULT_WINDOWS,
                Descriptors(120.5, 0.7, "A minor", 0.5, -12.5, 1830.0),
            ),
        )
        for row in range(count)
    ]
