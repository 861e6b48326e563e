"""Files as the catalog last saw them: what a run of indexing compares those on disk with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from sqlalchemy import func, select

from indexer.catalog.database import BLOCK
from indexer.catalog.digests import is_intact, malformed_row, require_intact
from indexer.catalog.reader import BATCH_IDS
from indexer.catalog.schema import EmbeddingRow, FailureRow, RecordingRow, TrackRow
from indexer.catalog.status import TrackStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from indexer.catalog.reader import Catalog
    from indexer.catalog.records import StoredModel


AFTER_ALL = b"\xff"
"""Comes after every absolute path."""

_STATUSES = frozenset(TrackStatus)


class SeenFile(NamedTuple):
    """A file as the scan found it; `root` is the folder its key is counted from."""

    path: bytes
    root: bytes
    size: int
    mtime_ns: int


class KnownFile(NamedTuple):
    """The track of a file, with size and mtime as the last run saw them."""

    path: bytes
    track_id: int
    size: int
    mtime_ns: int
    status: str


class FailedFile(NamedTuple):
    """A file that failed, with size and mtime at its last failure."""

    path: bytes
    size: int
    mtime_ns: int


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


def known_files(
    catalog: Catalog, within: Sequence[tuple[bytes, bytes]] = ((b"", AFTER_ALL),)
) -> Iterator[KnownFile]:
    """Files of the catalog whose paths are in some ranges, in the order of paths; all by default.

    Parameters
    ----------
    within : sequence of (bytes, bytes)
        From a path on, up to before another one; ascending, none overlaps another.
    """
    query = select(TrackRow.path, TrackRow.id, TrackRow.size, TrackRow.mtime_ns, TrackRow.status)

    with catalog.translating():
        for rows in catalog.database.rows_by_path(query, TrackRow.path, within):
            for row in rows:
                if row[4] not in _STATUSES or type(row[0]) is not bytes:
                    raise malformed_row(f"track {row[1]}")
            yield from map(KnownFile._make, rows)


def failed_files(
    catalog: Catalog, within: Sequence[tuple[bytes, bytes]] = ((b"", AFTER_ALL),)
) -> Iterator[FailedFile]:
    """Files that failed whose paths are in some ranges, as of `known_files`."""
    query = select(FailureRow.path, FailureRow.size, FailureRow.mtime_ns, is_intact(FailureRow))

    with catalog.translating():
        for rows in catalog.database.rows_by_path(query, FailureRow.path, within):
            for row in rows:
                require_intact(row[3], f"failure of {row[0]!r}")
                yield FailedFile._make(row[:3])


def files_at(
    connection: Connection, paths: Sequence[bytes]
) -> tuple[dict[bytes, KnownFile], dict[bytes, FailedFile]]:
    """The tracks and the failures of files, by their paths."""
    columns = (TrackRow.path, TrackRow.id, TrackRow.size, TrackRow.mtime_ns, TrackRow.status)
    tracks: dict[bytes, KnownFile] = {}
    failures: dict[bytes, FailedFile] = {}
    for start in range(0, len(paths), BATCH_IDS):
        batch = paths[start : start + BATCH_IDS]
        for row in connection.execute(select(*columns).where(TrackRow.path.in_(batch))):
            tracks[row.path] = KnownFile._make(row)
        query = select(FailureRow.path, FailureRow.size, FailureRow.mtime_ns)
        for failure in connection.execute(query.where(FailureRow.path.in_(batch))):
            failures[failure.path] = FailedFile._make(failure)
    return tracks, failures


def embedded_hashes(catalog: Catalog, model_id: int) -> NDArray[np.uint64]:
    """First 8 bytes of the hash of each recording embedded by a model, uint64 (n,), sorted."""
    query = (
        select(func.substr(RecordingRow.audio_hash, 1, 8))
        .join(EmbeddingRow)
        .where(EmbeddingRow.model_id == model_id)
    )
    found = bytearray()
    with catalog.reading() as connection:
        rows = connection.execution_options(yield_per=BLOCK).execute(query).scalars()
        for prefixes in rows.partitions():
            require_intact(
                all(type(prefix) is bytes and len(prefix) == 8 for prefix in prefixes),
                "hash of a recording",
            )
            found += b"".join(prefixes)
    hashes = np.frombuffer(found, dtype=">u8").astype(np.uint64)
    hashes.sort()
    return hashes


def files_to_embed(catalog: Catalog, model: StoredModel) -> list[tuple[bytes, int, int]]:
    """Path, size and mtime of each present track whose recording a model has not embedded."""
    embedded = select(EmbeddingRow.recording_id).where(
        EmbeddingRow.recording_id == TrackRow.recording_id, EmbeddingRow.model_id == model.id
    )
    query = (
        select(TrackRow.path, TrackRow.size, TrackRow.mtime_ns)
        .where(TrackRow.status == TrackStatus.PRESENT, ~embedded.exists())
        .order_by(TrackRow.path)
    )
    recordings = select(func.count()).select_from(RecordingRow)
    embeddings = select(func.count()).where(EmbeddingRow.model_id == model.id)
    with catalog.reading() as connection:
        # Counting is quick; looking for each recording's embedding is not.
        held, embedded_count = (
            connection.execute(count).scalar_one() for count in (recordings, embeddings)
        )
        if held == embedded_count:
            return []
        return [(row[0], row[1], row[2]) for row in connection.execute(query)]


def ids_of_paths(catalog: Catalog, paths: Sequence[bytes]) -> dict[bytes, int]:
    """Ids of the present tracks with these paths; other paths are left out."""
    found: dict[bytes, int] = {}
    with catalog.reading() as connection:
        for start in range(0, len(paths), BATCH_IDS):
            query = select(TrackRow.path, TrackRow.id).where(
                TrackRow.path.in_(paths[start : start + BATCH_IDS]),
                TrackRow.status == TrackStatus.PRESENT,
            )
            found.update((row.path, row.id) for row in connection.execute(query))
    return found
