"""What lies on disk, and what of it has changed since the catalog last looked.

Folders are walked in sorted order, each directory once by (device, inode), so that a loop of links
ends. Names stay bytes. No file is opened: size and time of modification decide.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from indexer.audio.formats import AUDIO_SUFFIXES
from indexer.catalog.file_queries import SeenFile
from indexer.catalog.status import TrackStatus
from indexer.filesystem import folder_prefix, has_vanished

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

from indexer.catalog.file_queries import KnownFile


@dataclass(frozen=True)
class Scan:
    """What a walk over the disk has found.

    Attributes
    ----------
    files : list of SeenFile
        Each path once, in the order of the walk.
    walked : list of bytes
        The folders walked from.
    unreachable : dict of bytes to str
        Folders and files that could not be looked into, with the reason; nothing below them is
        known to have vanished.
    other_files : int
        Files passed over because their ending is not one of audio, hidden ones not counted.
    """

    files: list[SeenFile] = field(default_factory=list)
    walked: list[bytes] = field(default_factory=list)
    unreachable: dict[bytes, str] = field(default_factory=dict)
    other_files: int = 0


def scan(
    places: Sequence[bytes],
    *,
    on_file: Callable[[int], None] = lambda _count: None,
    stop: Callable[[], bool] = lambda: False,
) -> Scan:
    """Walk folders, and take single files as they are named.

    Parameters
    ----------
    places : sequence of bytes
        Absolute paths of folders and files. A file given by name counts whatever its ending.
    on_file : function of int
        Told now and then how many files were seen so far.
    stop : function to bool
        Asked at every folder; once it says yes, nothing more is looked at.
    """
    files: dict[bytes, SeenFile] = {}
    walked: list[bytes] = []
    unreachable: dict[bytes, str] = {}
    seen_folders: set[tuple[int, int]] = set()
    others = 0
    for place in places:
        try:
            found = os.stat(place)
        except OSError as error:
            unreachable[place] = error.strerror or str(error)
            continue
        if not stat.S_ISDIR(found.st_mode):
            root = os.path.dirname(place)
            files.setdefault(place, SeenFile(place, root, found.st_size, found.st_mtime_ns))
            continue
        walked.append(place)
        folders = [place]
        while folders and not stop():
            folder = folders.pop()
            try:
                found_files, below, passed = _list_folder(folder, place, seen_folders, unreachable)
            except OSError as error:
                unreachable[folder] = error.strerror or str(error)
                continue
            for file in found_files:
                files.setdefault(file.path, file)
            others += passed
            folders += reversed(below)
            on_file(len(files))
    return Scan(list(files.values()), walked, unreachable, others)


def _list_folder(
    folder: bytes,
    root: bytes,
    seen_folders: set[tuple[int, int]],
    unreachable: dict[bytes, str],
) -> tuple[list[SeenFile], list[bytes], int]:
    """One folder's audio files and folders, both sorted, and how many other files it holds."""
    status = os.stat(folder)
    identity = (status.st_dev, status.st_ino)
    if identity in seen_folders:
        return [], [], 0
    seen_folders.add(identity)
    with os.scandir(folder) as listing:
        entries = sorted(listing, key=lambda entry: entry.name)
    files: list[SeenFile] = []
    folders: list[bytes] = []
    others = 0
    for entry in entries:
        try:
            if entry.is_dir():
                folders.append(entry.path)
            elif not _is_audio(entry.name):
                others += not entry.name.startswith(b".")
            # "._x.mp3" is what macOS leaves beside x.mp3 on foreign disks: not sound.
            elif not entry.name.startswith(b"._"):
                found = entry.stat()
                files.append(SeenFile(entry.path, root, found.st_size, found.st_mtime_ns))
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ELOOP):
                unreachable[entry.path] = error.strerror or str(error)
    return files, folders, others


def _is_audio(name: bytes) -> bool:
    return name.rpartition(b".")[2].lower() in AUDIO_SUFFIXES


@dataclass(frozen=True)
class Plan:
    """What a run has to do, worked out from a scan and the catalog.

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
    closed = tuple(scan.unreachable) + tuple(folder_prefix(place) for place in scan.unreachable)
    walked = []
    left_alone = {place: _present_below(place, known) for place in scan.unreachable}
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


def _present_below(place: bytes, known: Mapping[bytes, KnownFile]) -> int:
    return sum(
        track.status == TrackStatus.PRESENT
        and (path == place or path.startswith(folder_prefix(place)))
        for path, track in known.items()
    )
