"""Lyrics as they are sung: lines, with their times where an LRC file or a tag says them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from indexer.filesystem import is_url
from recommender.text.lyrics import LONGEST, file_text, sidecar_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from indexer.audio.tags import TaggedLyrics

MOST_LINES = 2_000
_STAMP = re.compile(r"\[(?:(\d{1,2}):(?=[^\]]*\.))?(\d{1,3}):(\d{1,2})(?:[.:](\d{1,3}))?\]")
_IN_WORDS = re.compile(r"<\d{1,3}:\d{1,2}(?:[.:]\d{1,3})?>")
_HEADING = re.compile(
    r"\[(#|al|ar|au|by|id|la|length|lr|offset|re|ti|tool|ve):([^\]]*)\]", re.IGNORECASE
)
"""A heading of an LRC file; other names in brackets, "[Intro: Ann]", are lines of the lyrics."""
_LANGUAGE = re.compile(r"([A-Za-z]{2,3})(?:[-_].*)?")
_LATEST_MS = 360_000_000


@dataclass(frozen=True)
class LyricLine:
    """A line; `start_ms` is None where no time is known."""

    text: str
    start_ms: int | None


@dataclass(frozen=True)
class Lyrics:
    """Lyrics.

    Attributes
    ----------
    lines : tuple of LyricLine
        By their times where they have some: all have then.
    offset_ms : int
        By how much they are sung earlier than their times say.
    language : str or None
        A code of ISO 639; None where none is named.
    """

    lines: tuple[LyricLine, ...]
    offset_ms: int = 0
    language: str | None = None

    @property
    def is_timed(self) -> bool:
        """Whether the lines have times."""
        return bool(self.lines) and self.lines[0].start_ms is not None

    @property
    def text(self) -> str:
        """The lines without times."""
        return "\n".join(line.text for line in self.lines)


def find_lyrics(path: bytes, read_tags: Callable[[bytes], TaggedLyrics | None]) -> Lyrics | None:
    """Lyrics of a track: from the .lrc beside it, else its tags, else the .txt beside it.

    Parameters
    ----------
    path : bytes
        The track's file; of an address on a server there are none.
    read_tags : function
        Reads the lyrics in a file's tags.

    Returns
    -------
    Lyrics or None
        None where there are none.
    """
    if is_url(path):
        return None
    return next((one for one in _found(path, read_tags) if one.lines), None)


def _found(path: bytes, read_tags: Callable[[bytes], TaggedLyrics | None]) -> Iterator[Lyrics]:
    beside = sidecar_files(path, {})
    timed = [file for file in beside if file.lower().endswith(b".lrc")]
    yield from (parse_lyrics(file_text(file)) for file in timed)
    if (tagged := read_tags(path)) is not None:
        found = parse_lyrics(tagged.text)
        yield replace(found, language=found.language or tagged.language)
    yield from (parse_lyrics(file_text(file)) for file in beside if file not in timed)


def parse_lyrics(text: str) -> Lyrics:
    """The lines of a text, with times if any line has one; then those without are left out."""
    timed: list[LyricLine] = []
    plain: list[LyricLine] = []
    offset_ms, language = 0, None
    for raw in text[: 2 * LONGEST].splitlines()[:MOST_LINES]:
        line = _IN_WORDS.sub("", raw).strip("\ufeff \t")
        if (heading := _HEADING.fullmatch(line)) is not None:
            if heading[1].lower() == "offset":
                offset_ms = _number(heading[2])
            elif heading[1].lower() == "la":
                code = _LANGUAGE.fullmatch(heading[2].strip())
                language = code and code[1].lower()
            continue
        starts, at = [], 0
        while (stamp := _STAMP.match(line, at)) is not None:
            starts.append(_milliseconds(stamp))
            at = stamp.end()
        sung = line[at:].strip()
        timed += [LyricLine(sung, start) for start in starts]
        plain.append(LyricLine(sung, None))
    if timed:
        timed.sort(key=lambda one: one.start_ms or 0)
        return Lyrics(tuple(timed), offset_ms, language)
    while plain and not plain[-1].text:
        plain.pop()
    first = next((number for number, one in enumerate(plain) if one.text), 0)
    return Lyrics(tuple(plain[first:]), language=language)


def _milliseconds(stamp: re.Match[str]) -> int:
    hours, minutes, seconds, fraction = stamp.groups()
    whole = (int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)
    return 1000 * whole + int((fraction or "0").ljust(3, "0"))


def _number(text: str) -> int:
    """Whole milliseconds, 0 where it is none."""
    found = re.fullmatch(r"\s*([+-]?)(\d{1,9})\s*", text)
    if found is None:
        return 0
    number = min(int(found[2]), _LATEST_MS)
    return -number if found[1] == "-" else number
