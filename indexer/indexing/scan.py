"""Audio files on disk.

Folders are walked in sorted order, each directory once by (device, inode), so that a loop of links
ends. Names stay bytes. No file is opened.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from indexer.audio.formats import AUDIO_SUFFIXES
from indexer.catalog.file_queries import SeenFile
from indexer.indexing.exclusions import GLOBS, MARKER, Glob, is_hidden, read_globs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass
class Scan:
    """Files found by a walk over folders.

    Attributes
    ----------
    files : list of SeenFile
        Each path once, in the order of the walk.
    walked : list of bytes
        The folders walked from.
    unreachable : dict of bytes to str
        Folders and files that could not be looked into, with the reason; nothing below them is
        known to have vanished.
    mounts : list of bytes
        Folders below those walked from where another disk is mounted.
    other_files : int
        Files passed over because their ending is not one of audio, hidden ones not counted.
    """

    files: list[SeenFile] = field(default_factory=list)
    walked: list[bytes] = field(default_factory=list)
    unreachable: dict[bytes, str] = field(default_factory=dict)
    mounts: list[bytes] = field(default_factory=list)
    other_files: int = 0


@dataclass(frozen=True)
class _Folder:
    """A folder to list; `device` is that of the folder above, None for one walked from."""

    path: bytes
    root: bytes
    device: int | None = None
    globs: tuple[Glob, ...] = ()


def scan(
    paths: Sequence[bytes],
    *,
    include_hidden: bool = False,
    on_file: Callable[[int], None] = lambda _count: None,
    stop: Callable[[], bool] = lambda: False,
) -> Scan:
    """Find the audio files in folders, and single files as they are named.

    Parameters
    ----------
    paths : sequence of bytes
        Absolute paths of folders and files. A file given by name counts whatever its ending, a
        folder whatever its name.
    include_hidden : bool
        Whether to walk hidden folders and those for deleted files, too.
    on_file : function of int
        Called now and then with the number of files seen so far.
    stop : function to bool
        Asked at every folder; once it says yes, nothing more is looked at.
    """
    found = Scan()
    files: dict[bytes, SeenFile] = {}
    seen_folders: set[tuple[int, int]] = set()
    for path in paths:
        try:
            status = os.stat(path)
        except OSError as error:
            found.unreachable[path] = error.strerror or str(error)
            continue
        if not stat.S_ISDIR(status.st_mode):
            root = os.path.dirname(path)
            files.setdefault(path, SeenFile(path, root, status.st_size, status.st_mtime_ns))
            continue
        found.walked.append(path)
        folders = [_Folder(path, path)]
        while folders and not stop():
            folder = folders.pop()
            try:
                below = _list_folder(folder, found, files, seen_folders, include_hidden)
            except OSError as error:
                found.unreachable[folder.path] = error.strerror or str(error)
                continue
            folders += reversed(below)
            on_file(len(files))
    found.files += files.values()
    return found


def _list_folder(
    folder: _Folder,
    found: Scan,
    files: dict[bytes, SeenFile],
    seen_folders: set[tuple[int, int]],
    include_hidden: bool,  # noqa: FBT001 - handed through
) -> list[_Folder]:
    """Add one folder's audio files to a scan; returns the folders in it, sorted."""
    status = os.stat(folder.path)
    identity = (status.st_dev, status.st_ino)
    if identity in seen_folders:
        return []
    seen_folders.add(identity)
    with os.scandir(folder.path) as listing:
        entries = sorted(listing, key=lambda entry: entry.name)
    names = {entry.name for entry in entries}
    if folder.device is not None and MARKER in names:
        return []
    if folder.device not in (None, status.st_dev):
        found.mounts.append(folder.path)
    globs = folder.globs + (read_globs(folder.path) if GLOBS in names else ())
    below: list[_Folder] = []
    for entry in entries:
        try:
            is_folder = entry.is_dir()
            if any(glob.matches(entry.path, is_folder=is_folder) for glob in globs):
                continue
            if is_folder:
                if include_hidden or not is_hidden(entry.name):
                    below.append(_Folder(entry.path, folder.root, status.st_dev, globs))
            elif not _is_audio(entry.name):
                found.other_files += not entry.name.startswith(b".")
            # "._x.mp3" is what macOS leaves beside x.mp3 on foreign disks: not sound.
            elif not entry.name.startswith(b"._"):
                seen = entry.stat()
                file = SeenFile(entry.path, folder.root, seen.st_size, seen.st_mtime_ns)
                files.setdefault(file.path, file)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ELOOP):
                found.unreachable[entry.path] = error.strerror or str(error)
    return below


def _is_audio(name: bytes) -> bool:
    return name.rpartition(b".")[2].lower() in AUDIO_SUFFIXES
