"""What analyses of files change in a catalog, decided over values: no SQL here.

A batch of files is decided one after another, each as if those before it were stored already, and
then written in one go.
"""

from __future__ import annotations

import enum
import os
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import unquote_to_bytes

from indexer.catalog.status import TrackStatus
from indexer.errors import InvalidOption
from indexer.filesystem import display_path, folder_prefix, is_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from indexer.analysis.track_analysis import KnownRecording, TrackAnalysis
    from indexer.audio.tags import Tags
    from indexer.catalog.file_queries import SeenFile
    from indexer.catalog.records import CatalogChanges

Columns: TypeAlias = dict[str, Any]
"""A row of a table, by the names of its columns."""


class Stored(enum.StrEnum):
    """What storing an analysis did to the catalog."""

    NEW = "new"
    CHANGED = "changed"  # other sound in the same file
    MOVED = "moved"  # the sound of a missing track under another path
    RETAGGED = "retagged"  # the same sound in the same file, other tags
    TOUCHED = "touched"  # the same sound and the same tags in the same file
    RETURNED = "returned"  # a track that was missing, failed or removed is present again


class Held:
    """What a catalog holds of what a batch of files touches.

    `decide` brings it up to date as it goes.

    Parameters
    ----------
    recordings : dict of audio hash to id
    embedded : set of int
        Recordings that the model of the run has embedded.
    tracks : sequence of Columns
        Tracks of the batch's paths and recordings.
    key_owner : function of str
        Id of the track that has a key, None if there is none.
    next_recording_id, next_track_id : int
        Free ids, and all above them.
    changes : CatalogChanges
        The numbers that changes of this batch take.
    """

    def __init__(
        self,
        *,
        recordings: dict[bytes, int],
        embedded: set[int],
        tracks: Sequence[Columns],
        key_owner: Callable[[str], int | None],
        next_recording_id: int,
        next_track_id: int,
        changes: CatalogChanges,
    ) -> None:
        self.recordings = recordings
        self.embedded = embedded
        self.tracks = {track["id"]: track for track in tracks}
        self.by_path = {track["path"]: track["id"] for track in tracks}
        self.by_recording: defaultdict[int, set[int]] = defaultdict(set)
        for track in tracks:
            self.by_recording[track["recording_id"]].add(track["id"])
        self._key_owner = key_owner
        self._new_owners: dict[str, int | None] = {}
        self.next_recording_id = next_recording_id
        self.next_track_id = next_track_id
        self.changes = changes

    def key_owner(self, key: str) -> int | None:
        """Id of the track that has a key; None if there is none."""
        return self._new_owners[key] if key in self._new_owners else self._key_owner(key)

    def put(self, track: Columns) -> None:
        """Take over a track that is new or has changed."""
        before = self.tracks.get(track["id"])
        if before is not None:
            del self.by_path[before["path"]]
            self.by_recording[before["recording_id"]].discard(track["id"])
            self._new_owners[before["key"]] = None
        self.tracks[track["id"]] = track
        self.by_path[track["path"]] = track["id"]
        self.by_recording[track["recording_id"]].add(track["id"])
        self._new_owners[track["key"]] = track["id"]


@dataclass
class Writes:
    """Rows to write.

    Attributes
    ----------
    recordings, embeddings, new_tracks : list of Columns
        Rows to insert.
    changed_tracks : dict of id to Columns
        Whole rows, to be written in this order.
    left : set of int
        Recordings that lost a track.
    embedded_again : set of int
        Recordings from before that get an embedding now.
    """

    recordings: list[Columns] = field(default_factory=list)
    embeddings: list[Columns] = field(default_factory=list)
    new_tracks: list[Columns] = field(default_factory=list)
    changed_tracks: dict[int, Columns] = field(default_factory=dict)
    left: set[int] = field(default_factory=set)
    embedded_again: set[int] = field(default_factory=set)


def decide(
    held: Held,
    analyses: Sequence[tuple[SeenFile, TrackAnalysis | KnownRecording]],
    *,
    model_id: int,
    now: float,
    new_ids: Mapping[bytes, int],
    keys: Mapping[bytes, str],
    is_gone: Callable[[Columns], bool],
) -> tuple[list[Stored | None], Writes]:
    """What analyses do to a catalog.

    A new file whose recording belongs to a track without a file takes over that track: it was
    moved. If the owner had removed that track, it stays removed.

    Parameters
    ----------
    new_ids : dict of path to int
        Ids for new tracks; without one a track gets the next free id.
    keys : dict of path to str
        The caller's own names for files.
    is_gone : function of Columns
        Whether a track's file is gone, so that another file may take over the track.

    Returns
    -------
    list of Stored or None, Writes
        For each analysis what became of it, None for a recording that is taken for known without
        an embedding. The list ends early before an analysis of a track that an earlier one has
        changed: that one is for after the writing.

    Raises
    ------
    InvalidOption
        The caller's name for a file already names another track.
    """
    # It brings the decoders, which only those need who index.
    from indexer.analysis.track_analysis import KnownRecording

    writes = Writes()
    stored: list[Stored | None] = []
    fresh: set[int] = set()
    for file, analysis in analyses:
        recording_id = held.recordings.get(analysis.facts.audio_hash, held.next_recording_id)
        # One that is embedded keeps its vector: the tracks that share it would change with it.
        is_embedded = recording_id in held.embedded
        if not is_embedded and isinstance(analysis, KnownRecording):
            stored.append(None)
            continue
        track = _track_of(held, file, recording_id, is_gone)
        if track is not None and track["id"] in fresh:
            break
        if not is_embedded and not isinstance(analysis, KnownRecording):
            _embed(held, writes, analysis, recording_id, model_id)
        outcome, columns = _outcome(held, track, file, analysis.tags, recording_id)
        if file.path in keys:
            key = keys[file.path]
            require_free(key, held.key_owner(key), None if track is None else track["id"])
            columns |= {"key": key, "key_given": True}
        if outcome not in (Stored.RETAGGED, Stored.TOUCHED):
            columns["change"] = held.changes.vectors
        if track is None:
            track_id = new_ids.get(file.path, held.next_track_id)
            held.next_track_id = max(held.next_track_id, track_id + 1)
            row = {"id": track_id, "added_at": now, "key_given": False, **columns}
            row["facets_change"] = held.changes.facets
            writes.new_tracks.append(row)
        else:
            row = track | columns
            if outcome is not Stored.TOUCHED or row["key"] != track["key"]:
                row["facets_change"] = held.changes.facets
            writes.changed_tracks[row["id"]] = row
            if row["recording_id"] != track["recording_id"]:
                writes.left.add(track["recording_id"])
        held.put(row)
        fresh.add(row["id"])
        stored.append(outcome)
    return stored, writes


def possible_keys(file: SeenFile) -> tuple[str, str]:
    """Keys that a file gets: its path below the root or, if that is taken, its whole path."""
    below = file.path.removeprefix(folder_prefix(file.root))
    if file.path.startswith((b"http://", b"https://")):
        below = unquote_to_bytes(below)
    return display_path(below), display_path(file.path)


def require_valid(key: str) -> None:
    """Refuse a caller's own key that cannot be stored.

    Raises
    ------
    InvalidOption
    """
    try:
        key.encode()
    except UnicodeEncodeError as error:
        raise InvalidOption(f"the key {key!r} is not valid Unicode: choose another") from error
    if "\0" in key:
        raise InvalidOption(f"the key {key!r} holds a zero character: choose another")


def require_free(key: str, owner: int | None, track_id: int | None) -> None:
    """Refuse a caller's own key for a track when another track has it.

    Raises
    ------
    InvalidOption
    """
    if owner not in (None, track_id):
        raise InvalidOption(f"the key {key!r} already names another track: choose another")


def tag_columns(tags: Tags) -> Columns:
    """Columns of a track's tags; a name that is shown is also the only one of its list."""
    columns = dict(vars(tags))
    for shown, listed in (
        ("artist", "artists"),
        ("album_artist", "album_artists"),
        ("genre", "genres"),
    ):
        names = (columns[shown],) if columns[shown] else ()
        columns[listed] = tuple(columns.get(listed) or names)
    return columns


def has_columns(track: Columns, columns: Columns) -> bool:
    """Whether a track has these values."""
    return all(track[name] == value for name, value in columns.items())


def has_lost_file(track: Columns) -> bool:
    """Whether the file of a track is gone: from this machine, or from its server when last seen."""
    if is_url(track["path"]):
        return bool(track["status"] == TrackStatus.MISSING)
    return not os.path.lexists(track["path"])


def _track_of(
    held: Held, file: SeenFile, recording_id: int, is_gone: Callable[[Columns], bool]
) -> Columns | None:
    """The track that a file has, or takes over from a file that is gone."""
    track_id = held.by_path.get(file.path)
    if track_id is not None:
        return held.tracks[track_id]
    tracks = [held.tracks[track_id] for track_id in sorted(held.by_recording[recording_id])]
    gone = [track for track in tracks if is_gone(track)]
    name = os.path.basename(file.path)
    same_name = [track for track in gone if os.path.basename(track["path"]) == name]
    return next(iter([*same_name, *gone]), None)


def _embed(
    held: Held, writes: Writes, analysis: TrackAnalysis, recording_id: int, model_id: int
) -> None:
    """Write the embedding of a recording, and the recording if it is new."""
    if recording_id == held.next_recording_id:
        held.next_recording_id += 1
        held.recordings[analysis.facts.audio_hash] = recording_id
        writes.recordings.append(
            {"id": recording_id, **vars(analysis.facts), **vars(analysis.descriptors)}
        )
    else:
        writes.embedded_again.add(recording_id)
    held.embedded.add(recording_id)
    writes.embeddings.append(
        {
            "recording_id": recording_id,
            "model_id": model_id,
            "vector": analysis.embedding.astype("<f2").tobytes(),
            "activations": analysis.activations.astype("<f2").tobytes(),
            "windows": analysis.windows,
        }
    )


def _outcome(
    held: Held, track: Columns | None, file: SeenFile, tags: Tags, recording_id: int
) -> tuple[Stored, Columns]:
    """What an analysis does to a track, and the columns that it sets."""
    columns = {
        "path": file.path,
        "size": file.size,
        "mtime_ns": file.mtime_ns,
        "recording_id": recording_id,
        "status": TrackStatus.PRESENT,
        **tag_columns(tags),
    }
    if track is None:
        return Stored.NEW, columns | {"key": _free_key(held, file, None)}
    if track["path"] != file.path:
        if not track["key_given"]:
            columns["key"] = _free_key(held, file, track["id"])
        if track["status"] != TrackStatus.REMOVED:
            return Stored.MOVED, columns
        return Stored.TOUCHED, columns | {"status": TrackStatus.REMOVED}
    if track["recording_id"] != recording_id:
        return Stored.CHANGED, columns
    if track["status"] != TrackStatus.PRESENT:
        return Stored.RETURNED, columns
    same = has_columns(track, tag_columns(tags))
    return Stored.TOUCHED if same else Stored.RETAGGED, columns


def _free_key(held: Held, file: SeenFile, track_id: int | None) -> str:
    """A key for a file that no other track has."""
    candidate, whole = possible_keys(file)
    number = 0
    while held.key_owner(candidate) not in (None, track_id):
        number += 1
        candidate = whole if number == 1 else f"{whole} ({number})"
    return candidate
