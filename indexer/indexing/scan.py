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

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


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
    paths: Sequence[bytes],
    *,
    on_file: Callable[[int], None] = lambda _count: None,
    stop: Callable[[], bool] = lambda: False,
) -> Scan:
    """Find the audio files in folders, and single files as they are named.

    Parameters
    ----------
    paths : sequence of bytes
        Absolute paths of folders and files. A file given by name counts whatever its ending.
    on_file : function of int
        Called now and then with the number of files seen so far.
    stop : function to bool
        Asked at every folder; once it says yes, nothing more is looked at.
    """
    files: dict[bytes, SeenFile] = {}
    walked: list[bytes] = []
    unreachable: dict[bytes, str] = {}
    seen_folders: set[tuple[int, int]] = set()
    others = 0
    for path in paths:
        try:
            found = os.stat(path)
        except OSError as error:
            unreachable[path] = error.strerror or str(error)
            continue
        if not stat.S_ISDIR(found.st_mode):
            root = os.path.dirname(path)
            files.setdefault(path, SeenFile(path, root, found.st_size, found.st_mtime_ns))
            continue
        walked.append(path)
        folders = [path]
        while folders and not stop():
            folder = folders.pop()
            try:
                found_files, below, passed = _list_folder(folder, path, seen_folders, unreachable)
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
