"""Audio files in folders on servers and in object stores.

They come in the byte order of their URLs, as a walk over folders of this machine has them by their
paths, and are passed over by the same rules, `.soundalikeignore` apart: no file is read.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from indexer.audio.formats import AUDIO_SUFFIXES
from indexer.catalog.file_queries import SeenFile
from indexer.indexing.exclusions import MARKER, is_hidden
from indexer.remote_files import RemoteFile, file_info, forget_listings, list_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Entries = dict[bytes, tuple[RemoteFile, bool]]

MOST_DEPTH = 32
"""Folders within folders; links on a server may lead round in a circle."""
_ASKED_AT_ONCE = 16
"""Files that a server is asked for at a time, where its listing does not tell of them."""


def is_audio_name(name: bytes) -> bool:
    """Whether a file of this name may hold sound."""
    return name.rpartition(b".")[2].lower() in AUDIO_SUFFIXES and not name.startswith(b"._")


def named_file(url: bytes) -> SeenFile:
    """A file that is named by itself.

    Raises
    ------
    OSError, ExtraMissing, InvalidOption
    """
    return _seen(file_info(url), url.rpartition(b"/")[0])


class RemoteWalk:
    """A walk over a folder; its first listing is made at once.

    Parameters
    ----------
    root : bytes
        The URL, with a slash behind it.
    note : function of bytes, str
        Told of folders and files that could not be looked into, and why.
    pass_over : function of int
        Told how many files were passed over because of their ending.

    Raises
    ------
    OSError, ExtraMissing, InvalidOption
        The folder cannot be listed.
    """

    def __init__(
        self,
        root: bytes,
        *,
        include_hidden: bool,
        note: Callable[[bytes, str], None],
        pass_over: Callable[[int], None],
    ) -> None:
        self._root = root
        self._include_hidden = include_hidden
        self._note = note
        self._pass_over = pass_over
        forget_listings(root)
        self._first = self._entries(root)

    def files(self, stop: Callable[[], bool]) -> Iterator[SeenFile | None]:
        """Audio files in the order of their URLs; None in the end if it was told to stop."""
        begun = [iter(self._in_order(self._first))]
        while begun:
            entry = next(begun[-1], None)
            if entry is None:
                begun.pop()
            elif isinstance(entry, SeenFile):
                yield entry
            elif stop():
                yield None
                return
            elif len(begun) >= MOST_DEPTH:
                self._note(entry.url, f"there are more than {MOST_DEPTH} folders above it")
            else:
                begun.append(iter(self._in_order(self._listed(entry.url))))

    def _listed(self, folder: bytes) -> Entries:
        try:
            return self._entries(folder)
        except OSError as error:
            self._note(folder, error.strerror or str(error))
            return {}

    def _entries(self, folder: bytes) -> Entries:
        """Audio files by their names and folders by theirs, with a slash behind these."""
        listed = list_folder(folder)
        entries: Entries = {}
        names = {_name(entry): (entry, known) for entry, known in listed}
        if folder != self._root and MARKER in names:
            return {}
        for name, (entry, known) in names.items():
            if entry.is_folder:
                if self._include_hidden or not is_hidden(name):
                    entries[entry.url.removeprefix(folder)] = (entry, known)
            elif is_audio_name(name):
                entries[entry.url.removeprefix(folder)] = (entry, known)
            elif not name.startswith(b"."):
                self._pass_over(1)
        return entries

    def _in_order(self, entries: Entries) -> Iterator[SeenFile | RemoteFile]:
        """Files, asked for where need be, and folders, by their names."""
        ordered = [entries[name] for name in sorted(entries)]
        unknown = [entry.url for entry, known in ordered if not known]
        asked: Mapping[bytes, RemoteFile | OSError] = {}
        if unknown:
            with ThreadPoolExecutor(_ASKED_AT_ONCE) as threads:
                asked = dict(zip(unknown, threads.map(_ask, unknown), strict=True))
        for entry, _ in ordered:
            told = asked.get(entry.url, entry)
            if isinstance(told, FileNotFoundError):
                continue
            if isinstance(told, OSError):
                self._note(entry.url, told.strerror or str(told))
            else:
                yield told if told.is_folder else _seen(told, self._root)


def _ask(url: bytes) -> RemoteFile | OSError:
    try:
        return file_info(url)
    except OSError as error:
        return error


def _name(entry: RemoteFile) -> bytes:
    """The name of a file or folder, without what an address must escape."""
    name = entry.url.rstrip(b"/").rpartition(b"/")[2]
    return unquote_to_bytes(name) if entry.url.startswith((b"http://", b"https://")) else name


def _seen(file: RemoteFile, root: bytes) -> SeenFile:
    return SeenFile(file.url, root, file.size or 0, file.version)
