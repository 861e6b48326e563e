"""What a file says of itself: title, artist, album and the like, as far as they can be read."""

from __future__ import annotations

import os
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tinytag import TinyTag, TinyTagException

from indexer.audio.container import AnyPath, read_metadata
from indexer.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Mapping

# Longer ones are comments in the wrong field, or damage.
_LONGEST = 500
_YEAR = re.compile(r"(?<!\d)[12]\d{3}(?!\d)|(?<!\d)[12]\d{3}(?=\d{4}(?!\d))")
_NUMBER = re.compile(r"\d{1,5}")
# FFmpeg writes lyrics into an MP3 as a field of its own that it calls USLT.
_LYRICS = ("lyrics", "unsyncedlyrics", "unsynced lyrics", "uslt")
_GENRE_NUMBER = re.compile(r"^\(\d{1,3}\)\s*")


@dataclass(frozen=True)
class Tags:
    """Tags of one file; None where the file is silent or says nothing readable."""

    title: str | None = None
    artist: str | None = None
    album: str | None = None
    album_artist: str | None = None
    genre: str | None = None
    year: int | None = None
    track_number: int | None = None


def read_tags(path: AnyPath) -> Tags:
    """Read a file's tags.

    Tags that are broken, in no known encoding or in a format that cannot be read are left out;
    nothing is raised for them, nor for a file that cannot be opened.

    Returns
    -------
    Tags
        Strings are stripped and free of control characters and lone surrogates.
    """
    name = os.fsencode(path)
    try:
        found = TinyTag.get(name, duration=False)
    except (TinyTagException, OSError, ValueError, MemoryError):
        # FFmpeg reads more formats (Matroska, APE, WavPack), and broken ones otherwise.
        return _from_metadata(name)
    return _tags(
        {
            "title": found.title,
            "artist": found.artist,
            "album": found.album,
            "album_artist": found.albumartist,
            "genre": found.genre,
            "date": found.year,
            "track": found.track,
        }
    )


def read_lyrics(path: AnyPath) -> str | None:
    """Read the lyrics that a file carries: as stored, perhaps with LRC's times in them.

    Only tinytag reads here, which is Python and takes no more memory than the file is long: FFmpeg
    would have to run in a worker. It knows the lyrics of MP3, MP4, FLAC, Ogg, Opus and WMA.

    Returns
    -------
    str or None
        None where there are none, or where the file cannot be read; nothing is raised for it.
    """
    try:
        found = TinyTag.get(os.fsencode(path), duration=False)
    except (TinyTagException, OSError, ValueError, MemoryError):
        return None
    texts = (str(text) for field in _LYRICS for text in found.other.get(field, []))
    return next((text for text in texts if text.strip()), None)


def _from_metadata(path: bytes) -> Tags:
    try:
        return _tags(read_metadata(path))
    except AnalysisError:
        return Tags()


def _tags(values: Mapping[str, object]) -> Tags:
    genre = _text(values.get("genre"))
    return Tags(
        title=_text(values.get("title")),
        artist=_text(values.get("artist")),
        album=_text(values.get("album")),
        album_artist=_text(values.get("album_artist")),
        # "(17)Rock": the number of ID3v1 before its name.
        genre=_GENRE_NUMBER.sub("", genre) or None if genre else None,
        year=_first(_YEAR, values.get("date") or values.get("year")),
        track_number=_first(_NUMBER, values.get("track")) or None,
    )


def _text(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    # A NUL ends a string or separates several; the first is the one players show.
    first = value.strip("\0\ufeff").split("\0")[0]
    clean = "".join(
        " " if unicodedata.category(letter) == "Cc" else letter
        for letter in first[:_LONGEST]
        if unicodedata.category(letter) != "Cs"
    )
    return " ".join(clean.split()) or None


def _first(pattern: re.Pattern[str], value: object) -> int | None:
    found = pattern.search(str(value)) if value is not None else None
    return int(found.group()) if found else None
