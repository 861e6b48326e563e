"""Names that tracks are looked for by, and what of a text is looked for in them.

A word is found where another one begins with it or, from three letters on, holds it. Nearly every
name holds a word of one or two letters somewhere: it is looked for as a beginning only. What stands
between letters separates words; where a text has nothing else, it is looked for as it is.
"""

from __future__ import annotations

import posixpath
import re

from indexer.text_folding import searchable

PART = 3
"""Least letters of a part of a word that is looked for."""
_WORD = re.compile(r"[^\W_]+")


def searchable_name(text: object) -> str:
    """A tag as it is looked for; empty where there is none."""
    return searchable(text) if isinstance(text, str) else ""


def listed_title(title: object, key: object) -> str:
    """The title of a track, or else the last part of its key."""
    return searchable_name(title or (posixpath.basename(key) if isinstance(key, str) else None))


def listed_file(title: object, artist: object, key: object) -> str:
    """The key of a track that has neither title nor artist; empty for others."""
    return "" if title or artist else searchable_name(key)


def words_to_find(text: str) -> list[str]:
    """Words of a text that can be looked for, each once; ideographs in a row are one."""
    words = dict.fromkeys(searchable(word) for word in _encodable(text).split())
    return [word for word in words if len(word) >= PART or any(map(str.isalnum, word))]


def spaced_words(name: str) -> str:
    """The words of a searchable name, each after a space: "ac/dc live" -> " ac dc live"."""
    return "".join(f" {word}" for word in _WORD.findall(name))


def signs_to_find(text: str) -> str:
    """A text in which `words_to_find` finds none, as it is looked for: "%"; else empty."""
    return "" if words_to_find(text) else searchable(_encodable(text))


def possible_names(text: str) -> list[tuple[str, str | None]]:
    """Titles that a text can be, each with the artist if it names one: "artist - title"."""
    whole = searchable(_encodable(text))
    pieces = whole.split(" - ")
    pairs = [(" - ".join(pieces[at:]), " - ".join(pieces[:at])) for at in range(1, len(pieces))]
    return [(whole, None), *pairs]


def _encodable(text: str) -> str:
    """Text that databases take: a name from the file system may hold bytes that are not UTF-8."""
    return text.encode("utf-8", "replace").decode().replace("\0", " ")
