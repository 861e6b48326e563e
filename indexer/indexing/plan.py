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
    unchanged, failed_before : int
        Files that need nothing; files left alone because they failed as they are.
    left_alone : dict of bytes to int
        Folders that could not be reached, or are empty although the catalog knows present tracks
        in them, with the number of those tracks: nothing in them is taken to have vanished.
    """

    analyse: list[SeenFile]
    returned: list[int]
    vanished: list[int]
    forgotten: list[bytes]
    unchanged: int
    failed_before: int
    left_alone: dict[bytes, int]


def plan(
    scan: Scan,
    known: Mapping[bytes, KnownFile],
    failed: Mapping[bytes, tuple[int, int]],
    *,
    roots: Sequence[bytes] = (),
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
    named : collection of bytes
        Files the owner named one by one: they come back even if removed before.
    retry_failed : bool
        Whether to try files again that failed and have not changed since.
    empty_is_gone : bool
        Whether a folder without any audio file really has lost all its tracks.
    """
    analyse: list[SeenFile] = []
    returned: list[int] = []
    unchanged = failed_before = 0
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
            unchanged += 1
        elif track.status == TrackStatus.MISSING:
            returned.append(track.track_id)
        elif track.status == TrackStatus.FAILED or file.path in named:
            analyse.append(file)
    vanished, forgotten, left_alone = _gone(scan, known, failed, roots, empty_is_gone=empty_is_gone)
    return Plan(analyse, returned, vanished, forgotten, unchanged, failed_before, left_alone)


def _gone(
    scan: Scan,
    known: Mapping[bytes, KnownFile],
    failed: Mapping[bytes, tuple[int, int]],
    roots: Sequence[bytes],
    *,
    empty_is_gone: bool,
) -> tuple[list[int], list[bytes], dict[bytes, int]]:
    seen = {file.path for file in scan.files}
    closed = tuple(scan.unreachable) + tuple(folder_prefix(path) for path in scan.unreachable)
    walked = []
    left_alone = {path: _present_below(path, known) for path in scan.unreachable}
    for root in scan.walked:
        empty = not any(file.path.startswith(folder_prefix(root)) for file in scan.files)
        if empty and not empty_is_gone and (count := _present_below(root, known)):
            left_alone[root] = count
        else:
            walked.append(folder_prefix(root))
    walked_below = tuple(walked)
    covered = tuple(folder_prefix(root) for root in (*roots, *scan.walked))

    def is_gone(path: bytes) -> bool:
        if not path.startswith(covered):  # added by name: no walk will ever come by
            return has_vanished(path)
        return path.startswith(walked_below) and not path.startswith(closed)

    # A failed track keeps what it failed with, so that the same bad file fails again.
    vanished = [
        track.track_id
        for path, track in known.items()
        if track.status == TrackStatus.PRESENT and path not in seen and is_gone(path)
    ]
    forgotten = [path for path in failed if path not in seen and is_gone(path)]
    return vanished, forgotten, left_alone


def _present_below(folder: bytes, known: Mapping[bytes, KnownFile]) -> int:
    return sum(
        track.status == TrackStatus.PRESENT
        and (path == folder or path.startswith(folder_prefix(folder)))
        for path, track in known.items()
    )
