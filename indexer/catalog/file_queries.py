"""Files as the catalog last saw them: what a run of indexing compares those on disk with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import func, select

from indexer.catalog.digests import is_intact, require_intact
from indexer.catalog.schema import EmbeddingRow, FailureRow, RecordingRow, TrackRow
from indexer.catalog.status import TrackStatus

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from indexer.catalog.reader import Catalog
    from indexer.catalog.records import StoredModel


_STATUSES = frozenset(TrackStatus)


@dataclass(frozen=True, slots=True)
class SeenFile:
    """A file as the scan found it; `root` is the folder its key is counted from."""

    path: bytes
    root: bytes
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class KnownFile:
    """The track of a file, with size and mtime as the last run saw them."""

    track_id: int
    size: int
    mtime_ns: int
    status: str


@dataclass(frozen=True, slots=True)
class TrackFile:
    """The file of a track, with size and mtime as the last run saw them, and its sound's hash."""

    path: bytes
    size: int
    mtime_ns: int
    audio_hash: bytes


def track_file(catalog: Catalog, track_id: int) -> TrackFile | None:
    """The file of a present track; None for other ids."""
    query = (
        select(
            TrackRow.path,
            TrackRow.size,
            TrackRow.mtime_ns,
            RecordingRow.audio_hash,
            is_intact(TrackRow) & is_intact(RecordingRow),
        )
        .join(RecordingRow, TrackRow.recording_id == RecordingRow.id)
        .where(TrackRow.id == track_id, TrackRow.status == TrackStatus.PRESENT)
    )
    with catalog.reading() as connection:
        row = connection.execute(query).first()
        if row is None:
            return None
        require_intact(row[4], f"track {track_id}")
    return TrackFile(*row[:4])


def known_files(catalog: Catalog) -> dict[bytes, KnownFile]:
    """Every file of the catalog by its path."""
    query = select(TrackRow.path, TrackRow.id, TrackRow.size, TrackRow.mtime_ns, TrackRow.status)
    with catalog.reading() as connection:
        # Straight from the driver: a rescan of a large library spends its time here.
        rows = connection.connection.cursor().execute(str(query)).fetchall()
        for row in rows:
            require_intact(row[4] in _STATUSES and type(row[0]) is bytes, f"track {row[1]}")
    return {row[0]: KnownFile(*row[1:]) for row in rows}


def failed_files(catalog: Catalog) -> dict[bytes, tuple[int, int]]:
    """Size and mtime of each file at its last failure."""
    query = select(FailureRow.path, FailureRow.size, FailureRow.mtime_ns, is_intact(FailureRow))
    with catalog.reading() as connection:
        rows = connection.execute(query).all()
        for row in rows:
            require_intact(row[3], f"failure of {row.path!r}")
    return {row.path: (row.size, row.mtime_ns) for row in rows}


def embedded_hashes(catalog: Catalog, model_id: int) -> NDArray[np.uint64]:
    """First 8 bytes of the hash of each recording embedded by a model, uint64 (n,), sorted."""
    query = (
        select(func.substr(RecordingRow.audio_hash, 1, 8))
        .join(EmbeddingRow)
        .where(EmbeddingRow.model_id == model_id)
    )
    with catalog.reading() as connection:
        prefixes = connection.execute(query).scalars().all()
        require_intact(
            all(type(prefix) is bytes and len(prefix) == 8 for prefix in prefixes),
            "hash of a recording",
        )
    joined = b"".join(prefixes)
    return np.sort(np.frombuffer(joined, dtype=">u8").astype(np.uint64))


def files_to_embed(catalog: Catalog, model: StoredModel) -> list[tuple[bytes, int, int]]:
    """Path, size and mtime of each present track whose recording a model has not embedded."""
    embedded = (
        select(EmbeddingRow.recording_id)
        .where(
            EmbeddingRow.recording_id == TrackRow.recording_id,
            EmbeddingRow.model_id == model.id,
        )
        .exists()
    )
    query = (
        select(TrackRow.path, TrackRow.size, TrackRow.mtime_ns)
        .where(TrackRow.status == TrackStatus.PRESENT, ~embedded)
        .order_by(TrackRow.path)
    )
    with catalog.reading() as connection:
        return [(row[0], row[1], row[2]) for row in connection.execute(query)]
