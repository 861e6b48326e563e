"""What has changed on disk since the catalog last looked: size and time of modification decide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from indexer.catalog.status import TrackStatus
from indexer.filesystem import folder_prefix, has_vanished

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from indexer.catalog.file_queries import KnownFile, SeenFile
    from indexer.indexing.scan import Scan


@dataclass(frozen=True)
class Plan:
    """What a run has to do.

    Attributes
    ----------
    analyse : list of SeenFile
        New and changed files.
    returned : list of int
        Missing tracks whose file is back as it was.
    vanished : list of int
        Present tracks whose file is gone.
    forgotten : list of bytes
        Failed files that are gone.
    unchanged : list of SeenFile
        Files of present tracks that need nothing.
    failed_before : int
        Files left alone because they failed as they are.
    mounts : list of bytes
        Folders where another disk is mounted, or was when its tracks were last seen.
    left_alone : dict of bytes to int
        Folders that could not be reached, or are empty although the catalog knows present tracks
        in them, or where a disk is not mounted any more, with the number of those tracks: nothing
        in them is taken to have vanished.
    """

    analyse: list[SeenFile]
    returned: list[int]
    vanished: list[int]
    forgotten: list[bytes]
    unchanged: list[SeenFile]
    failed_before: int
    mounts: list[bytes]
    left_alone: dict[bytes, int]


def plan(
    scan: Scan,
    known: Mapping[bytes, KnownFile],
    failed: Mapping[bytes, tuple[int, int]],
    *,
    roots: Sequence[bytes] = (),
    mounts: Sequence[bytes] = (),
    named: Collection[bytes] = (),
    retry_failed: bool = False,
    empty_is_gone: bool = False,
) -> Plan:
    """Compare a scan with what the catalog holds.

    Parameters
    ----------
    roots : sequence of bytes
        Every folder that was ever indexed. Files outside were named one by one, and are looked for
        here, since no walk comes by.
    mounts : sequence of bytes
        Folders where another disk was mounted at the last run.
    named : collection of bytes
        Files the owner named one by one: they come back even if removed before.
    retry_failed : bool
        Whether to try files again that failed and have not changed since.
    empty_is_gone : bool
        Whether a folder without any audio file really has lost all its tracks.
    """
    analyse: list[SeenFile] = []
    returned: list[int] = []
    unchanged: list[SeenFile] = []
    failed_before = 0
    for file in scan.files:
        as_seen = (file.size, file.mtime_ns)
        if failed and failed.get(file.path) == as_seen:
            if retry_failed:
                analyse.append(file)
            else:
                failed_before += 1
            continue
        track = known.get(file.path)
        if track is None or (track.size, track.mtime_ns) != as_seen:
            if track is None or track.status != TrackStatus.REMOVED or file.path in named:
                analyse.append(file)
        elif track.status == TrackStatus.PRESENT:
            unchanged.append(file)
        elif track.status == TrackStatus.MISSING:
            returned.append(track.track_id)
        elif track.status == TrackStatus.FAILED or file.path in named:
            analyse.append(file)
    left_alone = {path: _present_below(path, known) for path in scan.unreachable}
    if not empty_is_gone:
        left_alone |= _empty_folders(scan, known, mounts)
    vanished, forgotten = _gone(scan, known, failed, roots, left_alone)
    return Plan(
        analyse=analyse,
        returned=returned,
        vanished=vanished,
        forgotten=forgotten,
        unchanged=unchanged,
        failed_before=failed_before,
        mounts=_mounts_after(scan, mounts, left_alone),
        left_alone=left_alone,
    )


def _empty_folders(
    scan: Scan, known: Mapping[bytes, KnownFile], mounts: Sequence[bytes]
) -> dict[bytes, int]:
    """Folders without any file that held tracks: those walked from, and former mount points."""
    below_walked = tuple(folder_prefix(root) for root in scan.walked)
    unmounted = [
        mount for mount in mounts if mount.startswith(below_walked) and mount not in scan.mounts
    ]
    empty = {}
    for folder in (*scan.walked, *unmounted):
        count = _present_below(folder, known)
        if count and not any(file.path.startswith(folder_prefix(folder)) for file in scan.files):
            empty[folder] = count
    return empty


def _mounts_after(
    scan: Scan, before: Sequence[bytes], left_alone: Collection[bytes]
) -> list[bytes]:
    walked = tuple(folder_prefix(root) for root in scan.walked)
    kept = [mount for mount in before if mount in left_alone or not mount.startswith(walked)]
    return sorted({*scan.mounts, *kept})


def _gone(
    scan: Scan,
    known: Mapping[bytes, KnownFile],
    failed: Mapping[bytes, tuple[int, int]],
    roots: Sequence[bytes],
    left_alone: Collection[bytes],
) -> tuple[list[int], list[bytes]]:
    """Ids of the present tracks whose file is gone, and failed files that are gone."""
    seen = {file.path for file in scan.files}
    closed = (*left_alone, *(folder_prefix(path) for path in left_alone))
    walked = tuple(folder_prefix(root) for root in scan.walked)
    covered = tuple(folder_prefix(root) for root in (*roots, *scan.walked))

    def is_gone(path: bytes) -> bool:
        if not path.startswith(covered):  # added by name: no walk will ever come by
            return has_vanished(path)
        return path.startswith(walked) and not path.startswith(closed)

    # A failed track keeps what it failed with, so that the same bad file fails again.
    vanished = [
        track.track_id
        for path, track in known.items()
        if track.status == TrackStatus.PRESENT and path not in seen and is_gone(path)
    ]
    return vanished, [path for path in failed if path not in seen and is_gone(path)]


def _present_below(folder: bytes, known: Mapping[bytes, KnownFile]) -> int:
    return sum(
        track.status == TrackStatus.PRESENT
        and (path == folder or path.startswith(folder_prefix(folder)))
        for path, track in known.items()
    )
