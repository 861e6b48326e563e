"""The writer of a catalog, given made-up files as an index run gives it analysed ones."""

from __future__ import annotations

import time
from contextlib import closing
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.own_memory import memory_mb, peak_mb
from indexer.analysis.track_analysis import TrackAnalysis
from indexer.audio.container import AudioFacts
from indexer.audio.tags import Tags
from indexer.catalog import writer
from indexer.catalog.file_queries import SeenFile
from indexer.catalog.status import TrackStatus
from indexer.features.descriptors import Descriptors
from indexer.indexing.pipeline import index_paths
from indexer.library import Library

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import ArrayLike
    from sqlalchemy import Connection

    from indexer.catalog.records import StoredModel

ROOT = b"/music"


class Writer:
    """A catalog open for writing."""

    def __init__(self, catalog: Path) -> None:
        self.library = Library.open_for_writing(catalog)
        model = self.library.catalog.active_model()
        if model is None:
            raise RuntimeError(f"{catalog} holds no model")
        self.model = model

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.library.close()

    def add(self, vectors: ArrayLike, names: Sequence[str]) -> dict[str, Any]:
        """Write new tracks (n, dim) in one transaction.

        Returns
        -------
        dict
            `first`, the id of the first of them, `change`, the catalog's number afterwards, and
            `ms`, what it took until they were on disk.
        """
        rows = np.asarray(vectors, np.float32)
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        silent = np.full(len(self.model.tag_names), 0.01, np.float16)
        began = time.perf_counter()
        with self.library.catalog.writing() as connection:
            first = _reserve(connection, len(rows))
            analyses = []
            for number, (name, row) in enumerate(zip(names, rows, strict=True), start=first):
                analysis = TrackAnalysis(
                    AudioFacts("mp3", "mp3", 44_100, 2, 200.0, 192_000, _sound(number)),
                    Tags(title=name, artist="Newcomer", artists=("Newcomer",), album="New"),
                    row.astype(np.float16),
                    silent,
                    12,
                    Descriptors(120.0, 0.8, "A minor", 0.8, -12.0, 1_800.0),
                )
                file = SeenFile(ROOT + b"/new/" + name.encode() + b".mp3", ROOT, 1, 1)
                analyses.append((file, analysis))
            ids = {file.path: first + row for row, (file, _) in enumerate(analyses)}
            store(connection, self.model, analyses, ids)
        committed = 1e3 * (time.perf_counter() - began)
        self.library.refresh()
        return {"first": first, "change": self.library.catalog.change(), "ms": [committed]}

    def remove(self, ids: Sequence[int], *, back: bool = False) -> dict[str, Any]:
        """Remove tracks in one transaction, or let them come `back`; `change` as of `add`."""
        status = TrackStatus.PRESENT if back else TrackStatus.REMOVED
        with self.library.catalog.writing() as connection:
            writer.set_status(connection, list(ids), status)
        self.library.refresh()
        return {"change": self.library.catalog.change()}


def rescan(catalog: Path, folder: str, count: int) -> dict[str, Any]:
    """Index a folder of `count` files of which none has changed.

    Returns
    -------
    dict
        `ms` of `index_paths` on an open library, `peak_mb` of this process and how much `more_mb`
        that is than it held before.
    """
    with closing(Library.open_for_writing(catalog)) as library:
        before = memory_mb()["rss"]
        began = time.perf_counter()
        summary = index_paths(library, [folder])
        ms = 1e3 * (time.perf_counter() - began)
        if summary.unchanged != count:
            raise RuntimeError(f"only {summary.unchanged} of {count} files are unchanged")
    peak = peak_mb()
    return {"ms": [ms], "peak_mb": peak, "more_mb": peak - before}


def _reserve(connection: Connection, count: int) -> int:
    """The first of so many free ids; older checkouts have one writer, and reserve none."""
    reserve: Any = getattr(writer, "reserve_track_ids", None)
    if reserve is not None:
        return int(reserve(connection, count))
    older: Any = writer
    return int(older.next_track_id(connection))


def _sound(number: int) -> bytes:
    return b"new" + number.to_bytes(29, "big")


def store(
    connection: Connection,
    model: StoredModel,
    analyses: Sequence[tuple[SeenFile, TrackAnalysis]],
    ids: Mapping[bytes, int],
) -> None:
    """Store analyses by the writer's function, which in older checkouts took one at a time."""
    if "analyses" in signature(writer.store).parameters:
        writer.store(connection, model, analyses, new_ids=ids)
    else:
        one_by_one: Any = writer.store
        for file, analysis in analyses:
            one_by_one(connection, model, file, analysis)
