"""Playlists that lie in the library's folders as M3U or M3U8, whoever has written them.

An entry is a path, from the list's own folder or from the root, a `file:` URI or an address. What
it leads to is not looked at: only tracks of the catalog come of it.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from indexer.filesystem import display_path, is_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

ENDINGS = (b".m3u8", b".m3u")
MOST_LISTS = 500
MOST_ENTRIES = 10_000
LARGEST_FILE = 4 << 20
"""In bytes; what lies behind is not read."""
_TITLE = b"#PLAYLIST:"
_FILE_URI = re.compile(rb"file://(?:localhost)?(/.*)", re.IGNORECASE)


@dataclass(frozen=True)
class SavedList:
    """A playlist of a file.

    Attributes
    ----------
    path : bytes
    title : str
        Its name in the file, else that of the file.
    changed_at : float
        When the file was written, in seconds of Unix.
    entries : tuple of tuple of bytes
        For each entry the paths that it can mean, the likeliest first.
    """

    path: bytes
    title: str
    changed_at: float
    entries: tuple[tuple[bytes, ...], ...]


def find_lists(folders: Iterable[bytes]) -> list[bytes]:
    """Paths of the playlists below folders, sorted, up to `MOST_LISTS`; links are not followed."""
    found: set[bytes] = set()
    for folder in folders:
        if is_url(folder):
            continue
        for parent, names, files in os.walk(folder):
            names.sort()
            found.update(os.path.join(parent, one) for one in files if _is_list(one))
            if len(found) >= MOST_LISTS:
                break
    return sorted(found)[:MOST_LISTS]


def read_list(path: bytes) -> SavedList | None:
    """The playlist of a file; None where it is none that can be read."""
    with suppress(OSError):
        # A pipe of that name would never end.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if stat.S_ISREG(status.st_mode):
                return parse_list(path, file.read(LARGEST_FILE), changed_at=status.st_mtime)
    return None


def parse_list(path: bytes, content: bytes, *, changed_at: float) -> SavedList:
    """The playlist in the content of a file."""
    title = display_path(os.path.splitext(os.path.basename(path))[0])
    folder = os.path.dirname(path)
    entries: list[tuple[bytes, ...]] = []
    for raw in content.removeprefix(b"\xef\xbb\xbf").splitlines():
        line = raw.strip()
        if line[: len(_TITLE)].upper() == _TITLE:
            title = _text(line[len(_TITLE) :].strip()) or title
        elif line and not line.startswith(b"#") and len(entries) < MOST_ENTRIES:
            entries.append(tuple(dict.fromkeys(_paths(line, folder))))
    return SavedList(path, title, changed_at, tuple(entries))


def resolve_entries(saved: SavedList, ids: dict[bytes, int]) -> list[int]:
    """Ids of the tracks of a playlist, in its order; entries that are no track are left out.

    Parameters
    ----------
    ids : dict
        Of tracks, by their paths.
    """
    found = (next((ids[one] for one in entry if one in ids), None) for entry in saved.entries)
    return [track_id for track_id in found if track_id is not None]


def paths_of(lists: Sequence[SavedList]) -> list[bytes]:
    """All paths that the entries of playlists can mean, each once."""
    return list(dict.fromkeys(one for saved in lists for entry in saved.entries for one in entry))


def _is_list(name: bytes) -> bool:
    return name.lower().endswith(ENDINGS) and not name.startswith(b".")


def _paths(line: bytes, folder: bytes) -> Iterator[bytes]:
    uri = _FILE_URI.fullmatch(line)
    if uri is not None:
        yield os.path.normpath(unquote_to_bytes(uri[1]))
        return
    if is_url(line):
        yield line
        return
    yield os.path.normpath(os.path.join(folder, line))
    # Written by another system: its way of naming folders, and its encoding.
    if b"\\" in line:
        yield os.path.normpath(os.path.join(folder, line.replace(b"\\", b"/")))
    recoded = _text(line).encode("utf-8", "surrogateescape").replace(b"\\", b"/")
    yield os.path.normpath(os.path.join(folder, recoded))


def _text(line: bytes) -> str:
    """A line as UTF-8, or where it is none in the Western encoding of Windows."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("cp1252", "replace")
