"""Writes to a catalog, each function inside a transaction of the caller's.

Every change to the vectors that answers are made of takes the next change number, in the
transaction that makes it; an index that knows the last number it has seen can always catch up.
Every change of what is shown of a track does so with a counter of its own.
"""

from __future__ import annotations

import enum
import os
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, delete, func, insert, select, text, update
from sqlalchemy.dialects.sqlite import insert as upsert

from indexer.catalog.reader import BATCH_IDS
from indexer.catalog.records import StoredModel
from indexer.catalog.schema import (
    CatalogRow,
    EmbeddingRow,
    FailureRow,
    ModelRow,
    MountRow,
    RecordingRow,
    RootRow,
    TrackRow,
)
from indexer.catalog.status import TrackStatus
from indexer.errors import AnalysisError, InvalidOption
from indexer.filesystem import display_path, folder_prefix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from indexer.analysis.track_analysis import KnownRecording, TrackAnalysis
    from indexer.audio.tags import Tags
    from indexer.catalog.file_queries import SeenFile
    from indexer.models.registry import ModelInfo


class Stored(enum.StrEnum):
    """What storing an analysis did to the catalog."""

    NEW = "new"
    CHANGED = "changed"  # other sound in the same file
    MOVED = "moved"  # the sound of a missing track under another path
    RETAGGED = "retagged"  # the same sound in the same file, other tags
    TOUCHED = "touched"  # the same sound and the same tags in the same file
    RETURNED = "returned"  # a track that was missing, failed or removed is present again


def record_model(connection: Connection, model: ModelInfo, *, windows: int) -> StoredModel:
    """Store a model and its windows per track; a catalog's first model becomes active."""
    connection.execute(
        upsert(ModelRow)
        .values(
            name=model.name,
            fingerprint=model.fingerprint,
            dim=model.dim,
            tag_names=model.tag_names,
            windows=windows,
        )
        .on_conflict_do_update(
            index_elements=["fingerprint"], set_={"name": model.name, "windows": windows}
        )
    )
    row_id = connection.execute(
        select(ModelRow.id).where(ModelRow.fingerprint == model.fingerprint)
    ).scalar_one()
    connection.execute(
        update(CatalogRow)
        .where(CatalogRow.active_model_id.is_(None))
        .values(active_model_id=row_id)
    )
    return StoredModel(
        row_id, model.name, model.fingerprint, model.dim, tuple(model.tag_names), windows
    )


def activate_model(connection: Connection, model: StoredModel) -> None:
    """Make a model that has embedded every track the active one, and delete all others."""
    changes = _next_changes(connection)
    connection.execute(update(CatalogRow).values(active_model_id=model.id))
    connection.execute(update(TrackRow).values(facets_change=changes["facets_change"]))
    connection.execute(delete(EmbeddingRow).where(EmbeddingRow.model_id != model.id))
    connection.execute(delete(ModelRow).where(ModelRow.id != model.id))


def set_mounts(connection: Connection, folders: Sequence[bytes]) -> None:
    """Store the folders below roots where another disk is mounted, in place of those before."""
    connection.execute(delete(MountRow))
    for folder in folders:
        connection.execute(insert(MountRow).values(path=folder))


def add_root(connection: Connection, root: bytes) -> None:
    """Store a folder for later runs without arguments."""
    connection.execute(upsert(RootRow).values(path=root).on_conflict_do_nothing())


def next_track_id(connection: Connection) -> int:
    """The lowest id that no track has, had or will have: all from there on are free."""
    query = text("SELECT seq FROM sqlite_sequence WHERE name = 'tracks'")
    return int(connection.execute(query).scalar() or 0) + 1


def store(
    connection: Connection,
    model: StoredModel,
    file: SeenFile,
    analysis: TrackAnalysis | KnownRecording,
    *,
    new_id: int | None = None,
) -> Stored | None:
    """Store the analysis of one file, and delete the file's failure if it had one.

    A new file whose recording belongs to a track without a file takes over that track: it was
    moved. If the owner had removed that track, it stays removed.

    Parameters
    ----------
    new_id : int, optional
        Id of the track if it is a new one, at least `next_track_id`; by default the next.

    Returns
    -------
    Stored or None
        None if nothing was stored: the recording is taken for known, but the catalog has no
        embedding of it.
    """
    recording_id = _store_recording(connection, model, analysis)
    if recording_id is None:
        return None
    connection.execute(delete(FailureRow).where(FailureRow.path == file.path))
    seen = {
        "path": file.path,
        "size": file.size,
        "mtime_ns": file.mtime_ns,
        "recording_id": recording_id,
        "status": TrackStatus.PRESENT,
        **_tag_columns(analysis.tags),
    }
    track: Row[Any] | None = connection.execute(
        select(TrackRow).where(TrackRow.path == file.path)
    ).first()
    if track is not None:
        outcome = _outcome(track, recording_id, analysis)
    elif (track := _track_without_file(connection, recording_id, file)) is not None:
        outcome = Stored.MOVED
        if not track.key_given:
            seen["key"] = _free_key(connection, file, track_id=track.id)
        if track.status == TrackStatus.REMOVED:
            seen["status"], outcome = TrackStatus.REMOVED, Stored.TOUCHED
    else:
        outcome = Stored.NEW
    if outcome not in (Stored.RETAGGED, Stored.TOUCHED):
        seen |= _next_changes(connection)
    elif outcome is Stored.RETAGGED or "key" in seen:
        seen |= _next_facets_change(connection)
    if track is None:
        seen["key"] = _free_key(connection, file, track_id=None)
        connection.execute(
            insert(TrackRow).values(id=new_id, added_at=time.time(), key_given=False, **seen)
        )
    else:
        connection.execute(update(TrackRow).where(TrackRow.id == track.id).values(**seen))
        _delete_unused(connection, [track.recording_id])
    return outcome


def _outcome(
    track: Row[Any], recording_id: int, analysis: TrackAnalysis | KnownRecording
) -> Stored:
    """What an analysis does to the track that the file had before."""
    if track.recording_id != recording_id:
        return Stored.CHANGED
    if track.status != TrackStatus.PRESENT:
        return Stored.RETURNED
    return Stored.TOUCHED if _has_tags(track, analysis.tags) else Stored.RETAGGED


def _tag_columns(tags: Tags) -> dict[str, Any]:
    """Columns of a track's tags; a name that is shown is also the only one of its list."""
    columns = asdict(tags)
    for shown, listed in (
        ("artist", "artists"),
        ("album_artist", "album_artists"),
        ("genre", "genres"),
    ):
        names = (columns[shown],) if columns[shown] else ()
        columns[listed] = tuple(columns.get(listed) or names)
    return columns


def _has_tags(track: Row[Any], tags: Tags) -> bool:
    return all(getattr(track, name) == value for name, value in _tag_columns(tags).items())


def store_tags(connection: Connection, path: bytes, tags: Tags) -> Stored:
    """Store the tags of a file whose sound is as before; the file has a track."""
    query = select(TrackRow).where(TrackRow.path == path)
    if _has_tags(connection.execute(query).one(), tags):
        return Stored.TOUCHED
    changed = _tag_columns(tags) | _next_facets_change(connection)
    connection.execute(update(TrackRow).where(TrackRow.path == path).values(**changed))
    return Stored.RETAGGED


def store_failure(connection: Connection, file: SeenFile, error: AnalysisError) -> None:
    """Store the failure of one file, and mark its track as failed."""
    row = {
        "path": file.path,
        "size": file.size,
        "mtime_ns": file.mtime_ns,
        "stage": error.stage,
        "reason": error.reason,
        "message": str(error),
        "failed_at": time.time(),
    }
    connection.execute(
        upsert(FailureRow)
        .values(tries=1, **row)
        .on_conflict_do_update(index_elements=["path"], set_={**row, "tries": FailureRow.tries + 1})
    )
    track = connection.execute(
        select(TrackRow.id).where(
            TrackRow.path == file.path, TrackRow.status != TrackStatus.REMOVED
        )
    ).scalar()
    if track is not None:
        connection.execute(
            update(TrackRow)
            .where(TrackRow.id == track)
            .values(
                status=TrackStatus.FAILED,
                size=file.size,
                mtime_ns=file.mtime_ns,
                **_next_changes(connection),
            )
        )


def set_key(connection: Connection, path: bytes, key: str) -> None:
    """Set the key of a file's track to the caller's own name.

    Raises
    ------
    InvalidOption
        The key already names another file, or cannot be stored.
    """
    try:
        key.encode()
    except UnicodeEncodeError as error:
        raise InvalidOption(f"the key {key!r} is not valid Unicode: choose another") from error
    owner = connection.execute(select(TrackRow.path).where(TrackRow.key == key)).scalar()
    if owner not in (None, path):
        raise InvalidOption(f"the key {key!r} already names another track: choose another")
    named = update(TrackRow).where(TrackRow.path == path)
    if connection.execute(named.values(key_given=True)).rowcount and owner is None:
        connection.execute(named.values(key=key, **_next_facets_change(connection)))


def set_status(connection: Connection, ids: Sequence[int], status: TrackStatus) -> None:
    """Set the status of tracks, under one new change number."""
    if not ids:
        return
    changes = _next_changes(connection)
    for start in range(0, len(ids), BATCH_IDS):
        connection.execute(
            update(TrackRow)
            .where(TrackRow.id.in_(ids[start : start + BATCH_IDS]))
            .values(status=status, **changes)
        )


def delete_dead_roots(connection: Connection) -> None:
    """Delete roots that are gone and hold no present track, as after a folder was renamed."""
    for root in connection.execute(select(RootRow.path)).scalars().all():
        start = folder_prefix(root)
        held = select(TrackRow.id).where(
            TrackRow.status == TrackStatus.PRESENT,
            func.substr(TrackRow.path, 1, len(start)) == start,
        )
        if not os.path.lexists(root) and connection.execute(held.limit(1)).first() is None:
            connection.execute(delete(RootRow).where(RootRow.path == root))


def delete_failures(connection: Connection, paths: Sequence[bytes]) -> None:
    """Delete the failures of files that are gone."""
    for start in range(0, len(paths), BATCH_IDS):
        batch = paths[start : start + BATCH_IDS]
        connection.execute(delete(FailureRow).where(FailureRow.path.in_(batch)))


def _store_recording(
    connection: Connection, model: StoredModel, analysis: TrackAnalysis | KnownRecording
) -> int | None:
    """Id of the file's recording, stored if it is new; None without any embedding of it."""
    # It brings the decoders, which only those need who index.
    from indexer.analysis.track_analysis import KnownRecording

    facts = analysis.facts
    recording_id = connection.execute(
        select(RecordingRow.id).where(RecordingRow.audio_hash == facts.audio_hash)
    ).scalar()
    if isinstance(analysis, KnownRecording):
        if recording_id is None:
            return None
        embedded = select(EmbeddingRow.windows).where(
            EmbeddingRow.recording_id == recording_id, EmbeddingRow.model_id == model.id
        )
        return None if connection.execute(embedded).scalar() is None else recording_id
    if recording_id is None:
        row = asdict(facts) | asdict(analysis.descriptors)
        new_row = insert(RecordingRow).values(**row).returning(RecordingRow.id)
        recording_id = connection.execute(new_row).scalar_one()
    # A recording that is already embedded keeps its vector: the tracks that share it would
    # otherwise change without a change number of their own.
    connection.execute(
        upsert(EmbeddingRow)
        .values(
            recording_id=recording_id,
            model_id=model.id,
            vector=analysis.embedding.astype("<f2").tobytes(),
            activations=analysis.activations.astype("<f2").tobytes(),
            windows=analysis.windows,
        )
        .on_conflict_do_nothing()
    )
    return recording_id


def _track_without_file(
    connection: Connection, recording_id: int, file: SeenFile
) -> Row[Any] | None:
    """A track of this recording whose file is gone, preferring one whose file had the same name."""
    rows = connection.execute(
        select(TrackRow).where(TrackRow.recording_id == recording_id).order_by(TrackRow.id)
    ).all()
    gone = [row for row in rows if not os.path.lexists(row.path)]
    name = os.path.basename(file.path)
    same_name = [row for row in gone if os.path.basename(row.path) == name]
    return next(iter([*same_name, *gone]), None)


def _free_key(connection: Connection, file: SeenFile, *, track_id: int | None) -> str:
    """A key for a file that no other track has: its path below the root, or its whole path."""
    candidate = display_path(file.path.removeprefix(folder_prefix(file.root)))
    number = 0
    while connection.execute(select(TrackRow.id).where(TrackRow.key == candidate)).scalar() not in (
        None,
        track_id,
    ):
        number += 1
        candidate = (
            display_path(file.path) if number == 1 else f"{display_path(file.path)} ({number})"
        )
    return candidate


def _next_changes(connection: Connection) -> dict[str, int]:
    """The next numbers of both counters, as columns of tracks whose vector or presence changes."""
    connection.execute(update(CatalogRow).values(change=CatalogRow.change + 1))
    change = connection.execute(select(CatalogRow.change)).scalar_one()
    return {"change": change, **_next_facets_change(connection)}


def _next_facets_change(connection: Connection) -> dict[str, int]:
    """The next number of the counter of facets, as a column of the tracks that change."""
    connection.execute(update(CatalogRow).values(facets_change=CatalogRow.facets_change + 1))
    return {"facets_change": connection.execute(select(CatalogRow.facets_change)).scalar_one()}


def _delete_unused(connection: Connection, recording_ids: Sequence[int | None]) -> None:
    """Delete recordings, and with them their embeddings, that no track holds any more."""
    held = select(TrackRow.id).where(TrackRow.recording_id == RecordingRow.id).exists()
    connection.execute(delete(RecordingRow).where(RecordingRow.id.in_(list(recording_ids)), ~held))
