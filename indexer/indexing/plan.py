"""What has changed on disk since the catalog last looked: size and time of modification decide.

The walk and the catalog both come in the order of paths, so that one pass over both finds what
differs, and nothing else is kept in memory.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from indexer.catalog.file_queries import AFTER_ALL, FailedFile, KnownFile, SeenFile
from indexer.catalog.status import TrackStatus
from indexer.filesystem import folder_prefix, has_vanished

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from indexer.indexing.scan import Scan

_NO_FILE = SeenFile(AFTER_ALL, b"", 0, 0)
_NO_TRACK = KnownFile(AFTER_ALL, 0, 0, 0, "")
_NO_FAILURE = FailedFile(AFTER_ALL, 0, 0)
_Absent: TypeAlias = KnownFile | FailedFile


@dataclass
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
    unchanged : int
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

    analyse: list[SeenFile] = field(default_factory=list)
    returned: list[int] = field(default_factory=list)
    vanished: list[int] = field(default_factory=list)
    forgotten: list[bytes] = field(default_factory=list)
    unchanged: int = 0
    failed_before: int = 0
    mounts: list[bytes] = field(default_factory=list)
    left_alone: dict[bytes, int] = field(default_factory=dict)


def plan(
    scan: Scan,
    known: Iterable[KnownFile],
    failed: Iterable[FailedFile],
    *,
    roots: Sequence[bytes] = (),
    mounts: Sequence[bytes] = (),
    named: Collection[bytes] = (),
    retry_failed: bool = False,
    empty_is_gone: bool = False,
) -> Plan:
    """Compare a scan, which is walked here, with what the catalog holds.

    Parameters
    ----------
    known, failed : iterable of KnownFile, iterable of FailedFile
        In the order of paths.
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
    todo = Plan()
    folders = _Folders(scan, roots, mounts, empty_is_gone=empty_is_gone)
    for file, track, failure in _side_by_side(scan.files, known, failed):
        if scan.broken_off:
            break
        present = track if track is not None and track.status == TrackStatus.PRESENT else None
        if scan.unreachable and present is not None:
            folders.add_present(present.path)
        if file is None:
            # A failed track keeps what it failed with, so that the same bad file fails again.
            if present is not None:
                folders.add_absent(present)
            if failure is not None:
                folders.add_absent(failure)
            continue
        folders.add_seen(file.path)
        as_seen = (file.size, file.mtime_ns)
        if failure is not None and (failure.size, failure.mtime_ns) == as_seen:
            if retry_failed:
                todo.analyse.append(file)
            else:
                todo.failed_before += 1
        elif track is None or (track.size, track.mtime_ns) != as_seen:
            if track is None or track.status != TrackStatus.REMOVED or file.path in named:
                todo.analyse.append(file)
        elif present is not None:
            todo.unchanged += 1
        elif track.status == TrackStatus.MISSING:
            todo.returned.append(track.track_id)
        elif track.status == TrackStatus.FAILED or file.path in named:
            todo.analyse.append(file)
    todo.left_alone = folders.left_alone()
    for absent in folders.gone():
        if isinstance(absent, KnownFile):
            todo.vanished.append(absent.track_id)
        else:
            todo.forgotten.append(absent.path)
    todo.mounts = _mounts_after(scan, mounts, todo.left_alone)
    return todo


def paths_to_compare(
    roots: Sequence[bytes] | None, folders: Sequence[bytes]
) -> list[tuple[bytes, bytes]]:
    """Ranges of paths of which the catalog's files matter to a scan of some folders.

    Parameters
    ----------
    roots : sequence of bytes or None
        What is below other ones than the folders is left out: the scan says nothing about it. None
        leaves out all that is below no folder.

    Returns
    -------
    list of (bytes, bytes)
        As `indexer.catalog.file_queries.known_files` takes them.
    """
    wanted = [(folder, _end_of(folder)) for folder in folders]
    if roots is not None:
        wanted += _gaps(sorted((folder_prefix(root), _end_of(root)) for root in roots))
    merged: list[tuple[bytes, bytes]] = []
    for start, end in sorted(wanted):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _end_of(folder: bytes) -> bytes:
    """What comes after every path below a folder."""
    return folder_prefix(folder)[:-1] + b"0"


def _gaps(ranges: Sequence[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """What is in none of some ascending ranges of paths."""
    start = b""
    for low, high in ranges:
        if start < low:
            yield start, low
        start = max(start, high)
    if start < AFTER_ALL:
        yield start, AFTER_ALL


def unchanged_files(scan: Scan, known: Iterable[KnownFile]) -> Iterator[SeenFile]:
    """Files of present tracks that are as the catalog saw them."""
    for file, track, _ in _side_by_side(scan.files, known, ()):
        if file is None or track is None or track.status != TrackStatus.PRESENT:
            continue
        if (track.size, track.mtime_ns) == (file.size, file.mtime_ns):
            yield file


def _side_by_side(
    files: Iterable[SeenFile], known: Iterable[KnownFile], failed: Iterable[FailedFile]
) -> Iterator[tuple[SeenFile | None, KnownFile | None, FailedFile | None]]:
    """What there is of each path, in the order of paths in which all three come."""
    seen, tracks, failures = iter(files), iter(known), iter(failed)
    file = next(seen, _NO_FILE)
    track, failure = next(tracks, _NO_TRACK), next(failures, _NO_FAILURE)
    while True:
        path = file.path
        if path == track.path and path < failure.path:  # nearly all, in a rescan
            yield file, track, None
            file, track = next(seen, _NO_FILE), next(tracks, _NO_TRACK)
            continue
        path = min(path, track.path, failure.path)
        if path == AFTER_ALL:
            return
        yield (
            file if file.path == path else None,
            track if track.path == path else None,
            failure if failure.path == path else None,
        )
        if file.path == path:
            file = next(seen, _NO_FILE)
        if track.path == path:
            track = next(tracks, _NO_TRACK)
        if failure.path == path:
            failure = next(failures, _NO_FAILURE)


class _Folders:
    """Folders of a scan, as far as they decide whether what is absent is gone.

    Parameters
    ----------
    mounts : sequence of bytes
        Folders where another disk was mounted at the last run.
    """

    def __init__(
        self, scan: Scan, roots: Sequence[bytes], mounts: Sequence[bytes], *, empty_is_gone: bool
    ) -> None:
        self._scan = scan
        self._walked = tuple(folder_prefix(root) for root in scan.walked)
        self._covered = tuple(folder_prefix(root) for root in (*roots, *scan.walked))
        watched = [] if empty_is_gone else [*scan.walked, *_below(mounts, self._walked)]
        self._folder_of = {folder_prefix(folder): folder for folder in watched}
        self._without_file = tuple(self._folder_of)
        self._tracks_in_empty: Counter[bytes] = Counter()
        self._tracks_unreachable: Counter[bytes] = Counter()
        self._vanished: list[_Absent] = []
        self._absent: list[tuple[_Absent, tuple[bytes, ...]]] = []

    def add_seen(self, path: bytes) -> None:
        """Take note of a file that the scan found."""
        if self._without_file and path.startswith(self._without_file):
            self._without_file = tuple(
                folder for folder in self._without_file if not path.startswith(folder)
            )

    def add_present(self, path: bytes) -> None:
        """Take note of a present track, whether the scan found its file or not."""
        for folder in self._scan.unreachable:
            self._tracks_unreachable[folder] += _is_at_or_below(path, folder)

    def add_absent(self, absent: _Absent) -> None:
        """Take note of a present track or a failure whose file the scan did not find."""
        path = absent.path
        if not path.startswith(self._covered):  # added by name: no walk will ever come by
            if has_vanished(path):
                self._vanished.append(absent)
            return
        empty = tuple(folder for folder in self._without_file if path.startswith(folder))
        if isinstance(absent, KnownFile):
            self._tracks_in_empty.update(empty)
        # The walk has come by, so that all that is out of reach on the way is known.
        reached = not any(_is_at_or_below(path, folder) for folder in self._scan.unreachable)
        if reached and path.startswith(self._walked):
            self._absent.append((absent, empty))

    def left_alone(self) -> dict[bytes, int]:
        """Folders out of reach, empty or not mounted any more, with the present tracks in them."""
        found = {folder: self._tracks_unreachable[folder] for folder in self._scan.unreachable}
        if self._scan.broken_off:
            return found
        for prefix in self._without_file:
            folder = self._folder_of[prefix]
            is_mounted = folder in self._scan.mounts and folder not in self._scan.walked
            if self._tracks_in_empty[prefix] and not is_mounted:
                found[folder] = self._tracks_in_empty[prefix]
        return found

    def gone(self) -> list[_Absent]:
        """Tracks and failures whose files are gone."""
        if self._scan.broken_off:
            return self._vanished
        kept = {folder_prefix(folder) for folder in self.left_alone()}
        return self._vanished + [absent for absent, empty in self._absent if kept.isdisjoint(empty)]


def _is_at_or_below(path: bytes, folder: bytes) -> bool:
    return path == folder or path.startswith(folder_prefix(folder))


def _below(folders: Sequence[bytes], prefixes: tuple[bytes, ...]) -> list[bytes]:
    return [folder for folder in folders if folder.startswith(prefixes)]


def _mounts_after(
    scan: Scan, before: Sequence[bytes], left_alone: Collection[bytes]
) -> list[bytes]:
    walked = () if scan.broken_off else tuple(folder_prefix(root) for root in scan.walked)
    kept = [mount for mount in before if mount in left_alone or not mount.startswith(walked)]
    return sorted({*scan.mounts, *kept})
