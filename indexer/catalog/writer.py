"""What the one writer does to a catalog, each function inside a transaction of the caller's.

Every change to what can be answered takes the next change number, in the transaction that makes
it; an index that knows the last number it has seen can therefore always catch up.
"""

from __future__ import annotations

import enum
import os
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from indexer.catalog.reader import BATCH_IDS, StoredModel
from indexer.catalog.schema import (
    CatalogRow,
    DescriptorsRow,
    EmbeddingRow,
    FailureRow,
    ModelRow,
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

    from indexer.analysis.track_analysis import TrackAnalysis
    from indexer.catalog.file_queries import SeenFile
    from indexer.features.descriptors import Descriptors
    from indexer.models.registry import ModelInfo


class Stored(enum.StrEnum):
    """What storing an analysis turned out to be."""

    NEW = "new"
    CHANGED = "changed"  # other sound in the same file
    MOVED = "moved"  # the sound of a missing track in a new place
    RETAGGED = "retagged"  # the same sound in the same file, other tags
    TOUCHED = "touched"  # the same sound and the same tags in the same file
    RETURNED = "returned"  # a track that was missing, failed or removed is back in its place
    DESCRIBED = "described"  # as before, with descriptors it did not have
    UNHEARD = "unheard"  # nothing stored: the sound was taken for known but is not


def record_model(connection: Connection, model: ModelInfo, *, windows: int) -> StoredModel:
    """Record a model and how many windows it hears; a catalog's first one is active at once."""
    connection.execute(
        upsert(ModelRow)
        .values(
            name=model.name,
            fingerprint=model.fingerprint,
            dim=model.dim,
            tag_names=list(model.tag_names),
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
    """Let answers come from a model that has heard everything, and forget all others."""
    _next_change(connection)
    connection.execute(update(CatalogRow).values(active_model_id=model.id))
    connection.execute(delete(EmbeddingRow).where(EmbeddingRow.model_id != model.id))
    connection.execute(delete(ModelRow).where(ModelRow.id != model.id))


def add_root(connection: Connection, root: bytes) -> None:
    """Remember a folder for later runs without arguments."""
    connection.execute(upsert(RootRow).values(path=root).on_conflict_do_nothing())


def store(
    connection: Connection,
    model: StoredModel,
    file: SeenFile,
    analysis: TrackAnalysis,
) -> Stored:
    """Put one analysed file into the catalog; its failure, if it had one, is forgotten.

    A new file whose recording belongs to a track without a file takes that track's place: it was
    moved. If the owner had removed that track, it stays removed.
    """
    recording_id = _store_recording(connection, model, analysis)
    if recording_id is None:
        return Stored.UNHEARD
    connection.execute(delete(FailureRow).where(FailureRow.path == file.path))
    seen = {
        "path": file.path,
        "size": file.size,
        "mtime_ns": file.mtime_ns,
        "recording_id": recording_id,
        "status": TrackStatus.PRESENT,
        **asdict(analysis.tags),
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
    if _store_descriptors(connection, recording_id, analysis.descriptors):
        outcome = Stored.DESCRIBED if outcome is Stored.TOUCHED else outcome
    if outcome not in (Stored.RETAGGED, Stored.TOUCHED, Stored.DESCRIBED):
        seen["change"] = _next_change(connection)
    if track is None:
        seen["key"] = _free_key(connection, file, track_id=None)
        connection.execute(insert(TrackRow).values(added_at=time.time(), key_given=False, **seen))
    else:
        connection.execute(update(TrackRow).where(TrackRow.id == track.id).values(**seen))
        _drop_unused(connection, [track.recording_id])
    return outcome


def _outcome(track: Row[Any], recording_id: int, analysis: TrackAnalysis) -> Stored:
    """What an analysis means for the track that the file had before."""
    if track.recording_id != recording_id:
        return Stored.CHANGED
    if track.status != TrackStatus.PRESENT:
        return Stored.RETURNED
    tags = asdict(analysis.tags)
    same = all(getattr(track, name) == value for name, value in tags.items())
    return Stored.TOUCHED if same else Stored.RETAGGED


def store_failure(connection: Connection, file: SeenFile, error: AnalysisError) -> None:
    """Put a file that could not be analysed among the failures; its track is answered no more."""
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
                change=_next_change(connection),
            )
        )


def set_key(connection: Connection, path: bytes, key: str) -> None:
    """Give the track of a file the caller's own name.

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
    connection.execute(
        update(TrackRow).where(TrackRow.path == path).values(key=key, key_given=True)
    )


def set_status(connection: Connection, ids: Sequence[int], status: TrackStatus) -> None:
    """Give tracks another status, under one new change number."""
    if not ids:
        return
    change = _next_change(connection)
    for start in range(0, len(ids), BATCH_IDS):
        connection.execute(
            update(TrackRow)
            .where(TrackRow.id.in_(ids[start : start + BATCH_IDS]))
            .values(status=status, change=change)
        )


def forget_dead_roots(connection: Connection) -> None:
    """Drop folders that are gone and hold no present track, as after a folder was renamed."""
    for root in connection.execute(select(RootRow.path)).scalars().all():
        start = folder_prefix(root)
        held = select(TrackRow.id).where(
            TrackRow.status == TrackStatus.PRESENT,
            func.substr(TrackRow.path, 1, len(start)) == start,
        )
        if not os.path.lexists(root) and connection.execute(held.limit(1)).first() is None:
            connection.execute(delete(RootRow).where(RootRow.path == root))


def forget_failures(connection: Connection, paths: Sequence[bytes]) -> None:
    """Drop the failures of files that are no longer there."""
    for start in range(0, len(paths), BATCH_IDS):
        batch = paths[start : start + BATCH_IDS]
        connection.execute(delete(FailureRow).where(FailureRow.path.in_(batch)))


def _store_recording(
    connection: Connection, model: StoredModel, analysis: TrackAnalysis
) -> int | None:
    facts = analysis.facts
    recording_id = connection.execute(
        select(RecordingRow.id).where(RecordingRow.audio_hash == facts.audio_hash)
    ).scalar()
    if analysis.embedding is None or analysis.activations is None:
        if recording_id is None:
            return None
        heard = select(EmbeddingRow.windows).where(
            EmbeddingRow.recording_id == recording_id, EmbeddingRow.model_id == model.id
        )
        return None if connection.execute(heard).scalar() is None else recording_id
    if recording_id is None:
        new_row = insert(RecordingRow).values(**asdict(facts)).returning(RecordingRow.id)
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


def _store_descriptors(
    connection: Connection, recording_id: int, descriptors: Descriptors | None
) -> bool:
    """Store what was measured unless the recording has it already; says whether it was stored."""
    if descriptors is None:
        return False
    row = upsert(DescriptorsRow).values(recording_id=recording_id, **asdict(descriptors))
    stored = connection.execute(row.on_conflict_do_nothing())
    return stored.rowcount > 0


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
    """The path below the root, made unique when another track has it for its key."""
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


def _next_change(connection: Connection) -> int:
    connection.execute(update(CatalogRow).values(change=CatalogRow.change + 1))
    return connection.execute(select(CatalogRow.change)).scalar_one()


def _drop_unused(connection: Connection, recording_ids: Sequence[int | None]) -> None:
    """Delete recordings, and with them their embeddings, that no track holds any more."""
    held = select(TrackRow.id).where(TrackRow.recording_id == RecordingRow.id).exists()
    connection.execute(delete(RecordingRow).where(RecordingRow.id.in_(list(recording_ids)), ~held))
