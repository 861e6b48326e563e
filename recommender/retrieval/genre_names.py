"""Names of genres as taggers write them: a tag that names several, a genre in many spellings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from recommender.retrieval.names import fold

if TYPE_CHECKING:
    from collections.abc import Iterable

NO_GENRES = frozenset(
    {"none", "other", "unknown", "undefined", "unclassifiable", "misc", "miscellaneous", "various"}
    | {"genre", "music", "na"}
)
"""What taggers write where no genre is known, as `genre_key` returns it."""

_SEPARATORS = re.compile(r"[;/,|\0]")
_AND = re.compile(r"&|\+|\band\b|\b'?n'?\b")


def genre_key(genre: str) -> str:
    """Text that all spellings of a genre share: "Hip-Hop", "hip hop"; "R&B", "R'n'B", "rnb"."""
    words = _AND.sub("n", fold(genre))
    return "".join(letter for letter in words if letter.isalnum())


def genres_by_key(tag: str | None) -> dict[str, str]:
    """Genres that a tag names, in its order, by `genre_key`: of each the first spelling.

    A tag that names several separates them by ; / , or |.
    """
    found: dict[str, str] = {}
    for part in _SEPARATORS.split(tag or ""):
        genre = " ".join(part.split())
        key = genre_key(genre)
        if key and key not in NO_GENRES:
            found.setdefault(key, genre)
    return found


def split_genres(tag: str | None) -> tuple[str, ...]:
    """Genres that a tag names, each once: "Jazz; Blues/jazz" -> ("Jazz", "Blues")."""
    return tuple(genres_by_key(tag).values())


def tags_with_genres(tags: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """Those of the tags that name one of the wanted genres, however it is spelt.

    Of a wanted text that names several genres, "Rock/Pop", a tag must name all; of one that names
    none, "Other", it must be the same text.
    """
    keys_of_wanted = [(fold(text).strip(), genres_by_key(text).keys()) for text in wanted]
    return [
        tag
        for tag in tags
        if any(
            keys <= genres_by_key(tag).keys() if keys else text == fold(tag).strip()
            for text, keys in keys_of_wanted
        )
    ]
