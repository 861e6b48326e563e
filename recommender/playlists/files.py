"""A list of tracks as a file: extended M3U8 for players, JSON for programs.

An M3U8 is UTF-8 and has one entry a line, so a path that cannot stand in a line of UTF-8 (it holds
a newline, another control character, or bytes that are not UTF-8) is written as a `file:` URI
(RFC 8089), which is always absolute; all other paths are written as they are.
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes

from indexer.errors import InvalidOption
from indexer.filesystem import display_path, is_url, replace_file
from recommender.retrieval.lookup import display_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from indexer.catalog.records import Track

STDOUT = "-"
"""The file name that means standard output to the command line."""
_M3U = (".m3u8", ".m3u")
_HEADER = "#EXTM3U"
_NOT_IN_A_LINE = ("Cc", "Cs", "Zl", "Zp")
"""Unicode categories that end a line, move a cursor or are not text."""


def write_m3u8(
    tracks: Sequence[Track],
    path: str | os.PathLike[str] | None,
    *,
    relative_to: Path | None,
    title: str | None = None,
    overwrite: bool = False,
) -> str:
    """Write tracks, in their order, as an extended M3U8.

    Parameters
    ----------
    tracks : sequence of Track
    path : path or None
        The file, replaced whole or not at all; None writes nothing.
    relative_to : Path or None
        The folder that paths count from, usually the one the file lies in; None: absolute paths.
    title : str, optional
        Name of the playlist, for players that show one.
    overwrite : bool
        Whether a file that is no playlist may be replaced.

    Returns
    -------
    str
        The text of the file.

    Raises
    ------
    InvalidOption
        The file cannot be written, or exists and is no playlist.
    """
    base = None if relative_to is None else os.path.realpath(os.fsencode(relative_to))
    text = m3u8_text(tracks, title=title, entry=lambda track: _entry(track.path, base))
    if path is not None:
        _replace(Path(path), text, overwrite=overwrite)
    return text


def m3u8_text(tracks: Sequence[Track], *, title: str | None, entry: Callable[[Track], str]) -> str:
    """Tracks, in their order, as the text of an extended M3U8.

    Parameters
    ----------
    entry : function
        The line that leads a player to a track: a path or an address.
    """
    lines = [_HEADER]
    if title is not None:
        lines.append(f"#PLAYLIST:{_in_a_line(title)}")
    for track in tracks:
        lines.append(f"#EXTINF:{round(track.duration_s)},{_in_a_line(display_name(track))}")
        lines.append(entry(track))
    return "".join(f"{line}\n" for line in lines)


def name_in_a_line(name: str) -> str:
    """A file's name as the entry of an M3U8, what cannot stand in a line made spaces."""
    line = _in_a_line(name)
    # Else it would be taken for a comment, or for the address of something on the net.
    is_other = line.startswith("#") or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", line)
    return f"./{line}" if is_other else line


def write_json(
    tracks: Sequence[Track],
    path: str | os.PathLike[str] | None,
    *,
    title: str | None = None,
    overwrite: bool = False,
) -> str:
    """Write tracks, in their order, as one JSON object; otherwise like `write_m3u8`."""
    value = {
        "playlist": title,
        "duration_s": round(sum(track.duration_s for track in tracks), 3),
        "tracks": [track_values(track) for track in tracks],
    }
    # ASCII only: a lone surrogate, of a name that is not UTF-8, could not be written otherwise.
    text = json.dumps(value, indent=2) + "\n"
    if path is not None:
        _replace(Path(path), text, overwrite=overwrite)
    return text


def track_values(track: Track) -> dict[str, Any]:
    """A track as plain values: id, key, path, title, artist, album, duration_s."""
    return {
        "id": track.id,
        "key": track.key,
        "path": display_path(track.path),
        "title": track.title,
        "artist": track.artist,
        "album": track.album,
        "duration_s": round(track.duration_s, 3),
    }


def save(
    tracks: Sequence[Track],
    path: str,
    *,
    relative: bool = False,
    title: str | None = None,
    overwrite: bool = False,
) -> str:
    """Write tracks to a file of the kind that its name ends in: .m3u8, .m3u or .json.

    Parameters
    ----------
    path : str
        `STDOUT` writes nothing.
    relative : bool
        Whether an M3U8's paths count from the folder it lies in (for `STDOUT`: the current one).

    Returns
    -------
    str
        The text of the file; of an M3U8 for `STDOUT`.

    Raises
    ------
    InvalidOption
        The name ends otherwise, or as in `write_m3u8`.
    """
    target = None if path == STDOUT else path
    suffix = os.path.splitext(path)[1].lower()
    if suffix == ".json":
        return write_json(tracks, target, title=title, overwrite=overwrite)
    if target is not None and suffix not in _M3U:
        raise InvalidOption(f"{path} ends neither in .m3u8 nor in .json: name the playlist so")
    folder = Path(path).parent if relative else None
    return write_m3u8(tracks, target, relative_to=folder, title=title, overwrite=overwrite)


def _in_a_line(text: str) -> str:
    """Text without anything that ends a line: runs of such and of spaces become one space."""
    kept = "".join(" " if unicodedata.category(c) in _NOT_IN_A_LINE else c for c in text)
    return " ".join(kept.split())


def _entry(path: bytes, base: bytes | None) -> str:
    """The line that leads a player to a file."""
    if is_url(path):
        return _in_a_line(display_path(path))
    name = path if base is None else os.path.relpath(path, base)
    try:
        line = name.decode("utf-8")
    except UnicodeDecodeError:
        return _uri(path)
    if line != line.strip() or any(unicodedata.category(c) in _NOT_IN_A_LINE for c in line):
        return _uri(path)
    return name_in_a_line(line)


def _uri(path: bytes) -> str:
    return f"file://{quote_from_bytes(path)}"


def _replace(path: Path, text: str, *, overwrite: bool) -> None:
    replace_file(
        path,
        text.encode(),
        kind="playlist",
        is_kind=lambda existing: overwrite or _is_playlist(existing),
        remedy="name another file, or use --force",
    )


def _is_playlist(path: Path) -> bool:
    """Whether a file is one that could have been written here."""
    with path.open("rb") as file:
        head = file.read(16)
    if head.removeprefix(b"\xef\xbb\xbf").startswith(_HEADER.encode()):
        return True
    if path.suffix.lower() != ".json":
        return False
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and {"playlist", "tracks"} <= value.keys()
