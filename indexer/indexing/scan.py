"""Audio files on disk, and on servers by URL.

Folders are walked so that files come in the byte order of their whole paths, which is the order in
which the catalog reads its own: neither has to be held in memory. Each directory is walked once by
(device, inode), so that a loop of links ends. Names stay bytes. No file is opened.
"""

from __future__ import annotations

import errno
import heapq
import os
import stat
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, TypeAlias

from indexer.audio.formats import AUDIO_SUFFIXES
from indexer.catalog.file_queries import SeenFile
from indexer.filesystem import folder_prefix, is_url, resolve_path
from indexer.indexing.exclusions import GLOBS, MARKER, Glob, is_hidden, read_globs
from indexer.indexing.remote_scan import RemoteWalk, is_audio_name, named_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence


@dataclass
class Scan:
    """A walk over folders.

    Attributes
    ----------
    files : iterator of SeenFile
        Each path once, in byte order; what is below is complete when it ends, and complete as far
        as the walk has come before.
    walked : list of bytes
        The folders walked from.
    unreachable : dict of bytes to str
        Folders and files that could not be looked into, with the reason; nothing below them is
        known to have vanished.
    mounts : list of bytes
        Folders below those walked from where another disk is mounted.
    other_files : int
        Files passed over because their ending is not one of audio, hidden ones not counted.
    broken_off : bool
        Whether the walk was told to stop: it says nothing about what has vanished.
    """

    files: Iterator[SeenFile]
    walked: list[bytes] = field(default_factory=list)
    unreachable: dict[bytes, str] = field(default_factory=dict)
    mounts: list[bytes] = field(default_factory=list)
    other_files: int = 0
    broken_off: bool = False


@dataclass(frozen=True)
class _Folder:
    """A folder to list; `device` is that of the folder above, None for one walked from."""

    path: bytes
    root: bytes
    device: int | None = None
    globs: tuple[Glob, ...] = ()


_Entries: TypeAlias = "dict[bytes, os.DirEntry[bytes] | _Folder]"
"""Files by name and folders by name with a slash behind it, so that names sort as paths do."""


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
        Of folders and files, as `as_scanned` makes them. A file given by name counts whatever its
        ending, a folder whatever its name. What several of them reach belongs to the first of
        these.
    include_hidden : bool
        Whether to walk hidden folders and those for deleted files, too.
    on_file : function of int
        Called now and then with the number of files seen so far.
    stop : function to bool
        Asked at every folder; once it says yes, nothing more is looked at.
    """
    found = Scan(iter(()))
    ranks: dict[bytes, int] = {}
    named: list[SeenFile] = []
    remote: list[RemoteWalk] = []
    for path in dict.fromkeys(paths):
        ranks[path] = len(ranks)
        try:
            if is_url(path) and path.endswith(b"/"):
                remote.append(_walk_over(path, found, include_hidden=include_hidden))
                found.walked.append(path)
            elif is_url(path):
                named.append(named_file(path))
            elif stat.S_ISDIR((status := os.stat(path)).st_mode):
                found.walked.append(path)
            else:
                root = os.path.dirname(path)
                named.append(SeenFile(path, root, status.st_size, status.st_mtime_ns))
        except OSError as error:
            found.unreachable[path] = error.strerror or str(error)
    walk = _Walk(found, ranks, include_hidden, stop, on_file)
    streams = [walk.files(), *(_until_stopped(one, found, stop) for one in remote)]
    if named or remote:
        found.files = _merge(streams, sorted(named), ranks)
    else:
        (found.files,) = streams
    return found


def as_scanned(path: str | bytes | os.PathLike[str]) -> bytes:
    """A path as `scan` takes it: absolute, and the URL of a folder with a slash behind it.

    A URL names a file where it ends as audio files do.

    Raises
    ------
    InvalidOption
        A URL that cannot be stored.
    """
    whole = resolve_path(path)
    if not is_url(whole):
        return whole
    below_host = whole.partition(b"://")[2].partition(b"/")[2]
    return whole if is_audio_name(below_host.rpartition(b"/")[2]) else folder_prefix(whole)


def _walk_over(url: bytes, found: Scan, *, include_hidden: bool) -> RemoteWalk:
    def pass_over(count: int) -> None:
        found.other_files += count

    return RemoteWalk(
        url,
        include_hidden=include_hidden,
        note=found.unreachable.__setitem__,
        pass_over=pass_over,
    )


def _until_stopped(walk: RemoteWalk, found: Scan, stop: Callable[[], bool]) -> Iterator[SeenFile]:
    for file in walk.files(stop):
        if file is None:
            found.broken_off = True
            return
        yield file


def _merge(
    walks: Sequence[Iterator[SeenFile]], named: Sequence[SeenFile], ranks: Mapping[bytes, int]
) -> Iterator[SeenFile]:
    """Files of walks and files named one by one, each path once."""
    own = frozenset(named)
    for _, same in groupby(heapq.merge(*walks, named), key=attrgetter("path")):
        yield min(same, key=lambda file: ranks[file.path if file in own else file.root])


class _Walk:
    """A walk over the folders of a scan.

    Parameters
    ----------
    ranks : dict of path to int
        Of all paths named, lowest the first one's.
    """

    def __init__(
        self,
        found: Scan,
        ranks: Mapping[bytes, int],
        include_hidden: bool,  # noqa: FBT001 - handed through
        stop: Callable[[], bool],
        on_file: Callable[[int], None],
    ) -> None:
        self._found = found
        self._ranks = ranks
        self._include_hidden = include_hidden
        self._stop = stop
        self._on_file = on_file
        self._roots = {folder_prefix(root): root for root in found.walked if not is_url(root)}
        self._prefixes = sorted(self._roots)
        self._seen: set[tuple[int, int]] = set()

    def files(self) -> Iterator[SeenFile]:
        """Audio files in the order of their paths."""
        count = 0
        entries = self._roots_below(b"", {})
        begun = [(b"", iter(sorted(entries)), entries)]
        while begun:
            root, names, entries = begun[-1]
            for name in names:
                entry = entries[name]
                if isinstance(entry, _Folder):
                    if self._stop():
                        self._found.broken_off = True
                        return
                    self._on_file(count)
                    entries = self._list_folder(entry)
                    begun.append((entry.root, iter(sorted(entries)), entries))
                    break
                try:
                    status = entry.stat()
                except OSError as error:
                    self._note(entry.path, error)
                else:
                    count += 1
                    yield SeenFile(entry.path, root, status.st_size, status.st_mtime_ns)
            else:
                begun.pop()
        self._on_file(count)

    def _list_folder(self, folder: _Folder) -> _Entries:
        """Audio files in a folder, and folders that the walk goes on to."""
        try:
            entries = self._entries(folder)
        except OSError as error:
            self._found.unreachable[folder.path] = error.strerror or str(error)
            entries = {}
        return self._roots_below(folder_prefix(folder.path), entries)

    def _entries(self, folder: _Folder) -> _Entries:
        status = os.stat(folder.path)
        identity = (status.st_dev, status.st_ino)
        if identity in self._seen:
            return {}
        self._seen.add(identity)
        with os.scandir(folder.path) as listing:
            listed = {entry.name: entry for entry in listing}
        if folder.device is not None and MARKER in listed:
            return {}
        if folder.device not in (None, status.st_dev):
            self._found.mounts.append(folder.path)
        globs = folder.globs + (read_globs(folder.path) if GLOBS in listed else ())
        entries: _Entries = {}
        for name, entry in listed.items():
            try:
                is_folder = entry.is_dir()
            except OSError as error:
                self._note(entry.path, error)
                continue
            if globs and any(glob.matches(entry.path, is_folder=is_folder) for glob in globs):
                continue
            if is_folder:
                below = _Folder(entry.path, folder.root, status.st_dev, globs)
                if self._ranks.get(entry.path, len(self._ranks)) < self._ranks[folder.root]:
                    below = _Folder(entry.path, entry.path)
                if below.device is None or self._include_hidden or not is_hidden(name):
                    entries[name + b"/"] = below
            elif name.rpartition(b".")[2].lower() not in AUDIO_SUFFIXES:
                self._found.other_files += not name.startswith(b".")
            # "._x.mp3" is what macOS leaves beside x.mp3 on foreign disks: not sound.
            elif not name.startswith(b"._"):
                entries[name] = entry
        return entries

    def _roots_below(self, prefix: bytes, entries: _Entries) -> _Entries:
        """Entries, and the folders to walk from below `prefix` that none of them leads to."""
        hop = None
        for row in range(bisect_right(self._prefixes, prefix), len(self._prefixes)):
            if not self._prefixes[row].startswith(prefix):
                break
            name = self._prefixes[row].removeprefix(prefix)
            first = name[: name.index(b"/") + 1]
            if first not in entries and (hop is None or not name.startswith(hop)):
                hop = name
                root = self._roots[self._prefixes[row]]
                entries[name] = _Folder(root, root)
        return entries

    def _note(self, path: bytes, error: OSError) -> None:
        """Keep that something could not be looked into, unless it is gone or a loop of links."""
        if error.errno not in (errno.ENOENT, errno.ELOOP):
            self._found.unreachable[path] = error.strerror or str(error)
