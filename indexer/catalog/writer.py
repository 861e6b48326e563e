"""Writes to a catalog, each function inside a transaction of the caller's.

Every change to the vectors that answers are made of takes the next change number, in the
transaction that makes it; an index that knows the last number it has seen can always catch up.
Every change of what is shown of a track does so with a counter of its own.
"""

from __future__ import annotations

import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, func, insert, select, update

from indexer.catalog.reader import BATCH_IDS
from indexer.catalog.records import CatalogChanges, StoredModel
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
from indexer.catalog.storing import (
    Columns,
    Held,
    Stored,
    Writes,
    decide,
    has_columns,
    has_lost_file,
    possible_keys,
    require_free,
    require_valid,
    tag_columns,
)
from indexer.filesystem import folder_prefix, is_there

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from sqlalchemy import Connection

    from indexer.analysis.track_analysis import KnownRecording, TrackAnalysis
    from indexer.audio.tags import Tags
    from indexer.catalog.file_queries import SeenFile
    from indexer.errors import AnalysisError
    from indexer.models.registry import ModelInfo

_TRACK_COLUMNS = [column for column in TrackRow.__table__.columns if column.name != "digest"]


def record_model(connection: Connection, model: ModelInfo, *, windows: int) -> StoredModel:
    """Store a model and its windows per track; a catalog's first model becomes active."""
    row_id = connection.execute(
        select(ModelRow.id).where(ModelRow.fingerprint == model.fingerprint)
    ).scalar()
    if row_id is None:
        row_id = connection.execute(
            insert(ModelRow)
            .values(
                name=model.name,
                fingerprint=model.fingerprint,
                dim=model.dim,
                tag_names=model.tag_names,
                windows=windows,
            )
            .returning(ModelRow.id)
        ).scalar_one()
    else:
        connection.execute(
            update(ModelRow).where(ModelRow.id == row_id).values(name=model.name, windows=windows)
        )
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
    _set_changes(connection, changes)
    connection.execute(update(CatalogRow).values(active_model_id=model.id))
    connection.execute(update(TrackRow).values(facets_change=changes.facets))
    connection.execute(delete(EmbeddingRow).where(EmbeddingRow.model_id != model.id))
    connection.execute(delete(ModelRow).where(ModelRow.id != model.id))


def set_mounts(connection: Connection, folders: Sequence[bytes], *, seen_from: str = "") -> None:
    """Store the folders below roots where another disk is mounted, in place of those before."""
    connection.execute(delete(MountRow).where(MountRow.seen_from == seen_from))
    for folder in folders:
        connection.execute(insert(MountRow).values(path=folder, seen_from=seen_from))


def add_root(connection: Connection, root: bytes, *, seen_from: str = "") -> None:
    """Store a folder for later runs without arguments.

    Parameters
    ----------
    seen_from : str
        The machine that sees it, as of `Database`.
    """
    known = select(RootRow.path).where(RootRow.path == root, RootRow.seen_from == seen_from)
    if connection.execute(known).first() is None:
        connection.execute(insert(RootRow).values(path=root, seen_from=seen_from))


def reserve_track_ids(connection: Connection, count: int) -> int:
    """Keep ids for tracks to come; returns the first of them, the others follow it."""
    first = _next_track_id(connection)
    connection.execute(update(CatalogRow).values(next_track_id=first + count))
    return first


def release_track_ids(connection: Connection, first: int, count: int) -> None:
    """Let ids that were kept and that no track has got be given out, if none after them was."""
    after = first + count
    connection.execute(
        update(CatalogRow).where(CatalogRow.next_track_id == after).values(next_track_id=first)
    )


def _next_track_id(connection: Connection) -> int:
    """The lowest id that no track has, had or is promised: all from there on are free."""
    promised = connection.execute(select(CatalogRow.next_track_id)).scalar_one()
    last = connection.execute(select(func.max(TrackRow.id))).scalar() or 0
    return max(promised, last + 1)


def store(
    connection: Connection,
    model: StoredModel,
    analyses: Sequence[tuple[SeenFile, TrackAnalysis | KnownRecording]],
    *,
    new_ids: Mapping[bytes, int] = MappingProxyType({}),
    keys: Mapping[bytes, str] = MappingProxyType({}),
    is_gone: Callable[[Columns], bool] = has_lost_file,
) -> list[Stored | None]:
    """Store analyses of files, and delete the failures of those files.

    See `indexer.catalog.storing.decide` for what becomes of them.

    Parameters
    ----------
    new_ids : dict of path to int, optional
        Ids of tracks that are new, from `reserve_track_ids`; by default the next ones.
    keys : dict of path to str, optional
        The caller's own names for files.
    is_gone : function of Columns, optional
        Whether a track's file is gone; by default looked for on this machine.

    Returns
    -------
    list of Stored or None
        For each analysis; None if nothing was stored: the recording is taken for known, but the
        catalog has no embedding of it.

    Raises
    ------
    InvalidOption
        A key names another track already, or cannot be stored.
    """
    own_keys = [keys[file.path] for file, _ in analyses if file.path in keys]
    for key in own_keys:
        require_valid(key)
    stored: list[Stored | None] = []
    while len(stored) < len(analyses):
        batch = analyses[len(stored) :]
        held = _held(connection, model, batch, own_keys)
        decided, writes = decide(
            held,
            batch,
            model_id=model.id,
            now=time.time(),
            new_ids=new_ids,
            keys=keys,
            is_gone=is_gone,
        )
        done = [file.path for (file, _), kind in zip(batch, decided, strict=False) if kind]
        delete_failures(connection, done)
        _write(connection, model, writes, held.changes)
        stored += decided
    return stored


def store_tags(connection: Connection, tags: Mapping[bytes, Tags]) -> int:
    """Store the tags of files, by path, whose sound is as before; returns how many changed."""
    tracks = _tracks(connection, TrackRow.path, list(tags))
    changes = _next_changes(connection)
    changed = [
        track | tag_columns(tags[track["path"]]) | {"facets_change": changes.facets}
        for track in tracks
        if not has_columns(track, tag_columns(tags[track["path"]]))
    ]
    _write_tracks(connection, new=[], changed=changed)
    return len(changed)


def store_failures(
    connection: Connection, failures: Sequence[tuple[SeenFile, AnalysisError]]
) -> None:
    """Store the failures of files, and mark their tracks as failed."""
    if not failures:
        return
    tries = dict.fromkeys((file.path for file, _ in failures), 0)
    query = select(FailureRow.path, FailureRow.tries).where(FailureRow.path.in_(tries))
    tries.update((row.path, row.tries) for row in connection.execute(query))
    delete_failures(connection, list(tries))
    connection.execute(
        insert(FailureRow),
        [
            {
                "path": file.path,
                "size": file.size,
                "mtime_ns": file.mtime_ns,
                "stage": error.stage,
                "reason": error.reason,
                "message": str(error),
                "tries": tries[file.path] + 1,
                "failed_at": time.time(),
            }
            for file, error in failures
        ],
    )
    files = {file.path: file for file, _ in failures}
    changes = _next_changes(connection)
    failed = [
        track
        | {
            "status": TrackStatus.FAILED,
            "size": files[track["path"]].size,
            "mtime_ns": files[track["path"]].mtime_ns,
            "change": changes.vectors,
            "facets_change": changes.facets,
        }
        for track in _tracks(connection, TrackRow.path, list(files))
        if track["status"] != TrackStatus.REMOVED
    ]
    _write_tracks(connection, new=[], changed=failed)


def set_key(connection: Connection, path: bytes, key: str) -> None:
    """Set the key of a file's track to the caller's own name.

    Raises
    ------
    InvalidOption
        The key already names another file, or cannot be stored.
    """
    require_valid(key)
    track = next(iter(_tracks(connection, TrackRow.path, [path])), None)
    owner = connection.execute(select(TrackRow.id).where(TrackRow.key == key)).scalar()
    require_free(key, owner, track_id=None if track is None else track["id"])
    if track is not None and not has_columns(track, {"key": key, "key_given": True}):
        facets = _next_changes(connection).facets
        named = track | {"key": key, "key_given": True, "facets_change": facets}
        _write_tracks(connection, new=[], changed=[named])


def set_status(connection: Connection, ids: Sequence[int], status: TrackStatus) -> None:
    """Set the status of tracks, under one new change number."""
    if not ids:
        return
    changes = _next_changes(connection)
    _set_changes(connection, changes)
    for start in range(0, len(ids), BATCH_IDS):
        connection.execute(
            update(TrackRow)
            .where(TrackRow.id.in_(ids[start : start + BATCH_IDS]))
            .values(status=status, change=changes.vectors, facets_change=changes.facets)
        )


def delete_dead_roots(connection: Connection, *, seen_from: str = "") -> None:
    """Delete roots that are gone and hold no present track, as after a folder was renamed."""
    own = select(RootRow.path).where(RootRow.seen_from == seen_from)
    for root in connection.execute(own).scalars().all():
        start = folder_prefix(root)
        held = select(TrackRow.id).where(
            TrackRow.status == TrackStatus.PRESENT,
            func.substr(TrackRow.path, 1, len(start)) == start,
        )
        if not is_there(root) and connection.execute(held.limit(1)).first() is None:
            connection.execute(
                delete(RootRow).where(RootRow.path == root, RootRow.seen_from == seen_from)
            )


def delete_failures(connection: Connection, paths: Sequence[bytes]) -> None:
    """Delete the failures of files that are gone."""
    for start in range(0, len(paths), BATCH_IDS):
        batch = paths[start : start + BATCH_IDS]
        connection.execute(delete(FailureRow).where(FailureRow.path.in_(batch)))


def _held(
    connection: Connection,
    model: StoredModel,
    analyses: Sequence[tuple[SeenFile, TrackAnalysis | KnownRecording]],
    keys: Sequence[str],
) -> Held:
    """What the catalog holds of what these analyses and keys touch."""
    hashes = {analysis.facts.audio_hash for _, analysis in analyses}
    recordings = connection.execute(
        select(RecordingRow.audio_hash, RecordingRow.id, EmbeddingRow.model_id)
        .outerjoin(
            EmbeddingRow,
            (EmbeddingRow.recording_id == RecordingRow.id) & (EmbeddingRow.model_id == model.id),
        )
        .where(RecordingRow.audio_hash.in_(hashes))
    ).all()
    ids = {row.audio_hash: row.id for row in recordings}
    tracks = _tracks(connection, TrackRow.path, [file.path for file, _ in analyses])
    tracks += _tracks(connection, TrackRow.recording_id, list(ids.values()))
    wanted = {*keys, *(key for file, _ in analyses for key in possible_keys(file))}
    query = select(TrackRow.key, TrackRow.id).where(TrackRow.key.in_(sorted(wanted)))
    owners = {row.key: row.id for row in connection.execute(query)}

    def key_owner(key: str) -> int | None:
        if key in wanted:
            return owners.get(key)
        return connection.execute(select(TrackRow.id).where(TrackRow.key == key)).scalar()

    last_recording = connection.execute(select(func.max(RecordingRow.id))).scalar() or 0
    return Held(
        recordings=ids,
        embedded={row.id for row in recordings if row.model_id is not None},
        tracks=tracks,
        key_owner=key_owner,
        next_recording_id=last_recording + 1,
        next_track_id=_next_track_id(connection),
        changes=_next_changes(connection),
    )


def lost_files(connection: Connection, seen_from: str) -> Callable[[Columns], bool]:
    """A function that tells whether the file of a track is gone, as far as a machine sees."""
    if not seen_from:
        return has_lost_file
    own = select(RootRow.path).where(RootRow.seen_from == seen_from)
    prefixes = tuple(map(folder_prefix, connection.execute(own).scalars()))

    def is_gone(track: Columns) -> bool:
        if track["status"] == TrackStatus.MISSING:
            return True
        path: bytes = track["path"]
        return path.startswith(prefixes) and has_lost_file(track)

    return is_gone


def _tracks(connection: Connection, column: Any, values: Sequence[Any]) -> list[Columns]:
    """Whole rows of the tracks of which a column has one of some values."""
    found: list[Columns] = []
    for start in range(0, len(values), BATCH_IDS):
        query = select(*_TRACK_COLUMNS).where(column.in_(values[start : start + BATCH_IDS]))
        found += [dict(row) for row in connection.execute(query).mappings()]
    return found


def _write(
    connection: Connection, model: StoredModel, writes: Writes, changes: CatalogChanges
) -> None:
    for table, rows in ((RecordingRow, writes.recordings), (EmbeddingRow, writes.embeddings)):
        if rows:
            connection.execute(insert(table), rows)
    changed = list(writes.changed_tracks.values())
    _write_tracks(connection, new=writes.new_tracks, changed=changed)
    if writes.embedded_again:
        active = select(CatalogRow.active_model_id).scalar_subquery()
        connection.execute(
            update(TrackRow)
            .where(TrackRow.recording_id.in_(writes.embedded_again), active == model.id)
            .values(change=changes.vectors, facets_change=changes.facets)
        )
        _set_changes(connection, changes)
    _delete_unused(connection, writes.left)


def _write_tracks(
    connection: Connection, *, new: Sequence[Columns], changed: Sequence[Columns]
) -> None:
    """Insert tracks, and write others anew in the order given: all names pass by here.

    What is changed comes first: a new track may have the path or key that another one has left.
    The catalog's counters follow those of the tracks.
    """
    if changed:
        of_track = TrackRow.id == bindparam("track_id")
        connection.execute(
            update(TrackRow).where(of_track),
            [
                {name if name != "id" else "track_id": value for name, value in track.items()}
                for track in changed
            ],
        )
    if new:
        connection.execute(insert(TrackRow), new)
    if new or changed:
        vectors = max(track["change"] for track in (*new, *changed))
        facets = max(track["facets_change"] for track in (*new, *changed))
        _set_changes(connection, CatalogChanges(vectors=vectors, facets=facets))


def _next_changes(connection: Connection) -> CatalogChanges:
    """The next numbers of both counters; `_write_tracks` takes those that its tracks have."""
    row = connection.execute(select(CatalogRow.change, CatalogRow.facets_change)).one()
    return CatalogChanges(vectors=row.change + 1, facets=row.facets_change + 1)


def _set_changes(connection: Connection, changes: CatalogChanges) -> None:
    """Bring the counters up to some numbers."""
    for column, number in (
        (CatalogRow.change, changes.vectors),
        (CatalogRow.facets_change, changes.facets),
    ):
        connection.execute(update(CatalogRow).where(column < number).values({column: number}))


def _delete_unused(connection: Connection, recording_ids: Collection[int]) -> None:
    """Delete recordings, and with them their embeddings, that no track holds any more."""
    held = select(TrackRow.id).where(TrackRow.recording_id == RecordingRow.id).exists()
    if recording_ids:
        connection.execute(delete(RecordingRow).where(RecordingRow.id.in_(recording_ids), ~held))
