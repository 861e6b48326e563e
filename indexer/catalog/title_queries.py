"""Search for tracks by their names, in the tables of `title_index`.

A word is found where another one begins with it or, from three letters on, holds it. Nearly every
name holds a word of one or two letters somewhere: it is looked for as a beginning only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.catalog.status import TrackStatus
from indexer.text_folding import searchable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from indexer.catalog.reader import Catalog

_PART = 3
"""Least letters of a part of a word that is looked for."""
_LISTED = "{title artist album} : "
_NAMED = "{title artist file} : "


@dataclass(frozen=True, eq=False)
class TitleMatches:
    """Ids, ascending, of the tracks whose names fit a text; status is not looked at.

    Attributes
    ----------
    starts : int64
        Title or artist begins with the text.
    words : int64
        Each word of it begins a word of title, artist or album.
    parts : int64
        Title, artist or album hold each word of it.
    """

    starts: NDArray[np.int64]
    words: NDArray[np.int64]
    parts: NDArray[np.int64]


def search_titles(catalog: Catalog, text: str) -> TitleMatches:
    """The tracks that fit a text, which is not blank."""
    words = _words(text)
    with catalog.reading() as connection:
        starts = _ids(connection, "title_words", "{title artist} : ^ ", [" ".join(words)])
        begun = _ids(connection, "title_words", _LISTED, words)
        parts = [word for word in words if len(word) >= _PART]
        held = _ids(connection, "title_parts", _LISTED, parts) if parts else begun
        if len(parts) < len(words) and parts:
            short = [word for word in words if len(word) < _PART]
            held = np.intersect1d(
                held, _ids(connection, "title_words", _LISTED, short), assume_unique=True
            )
    return TitleMatches(starts, begun, held)


def named_tracks(catalog: Catalog, text: str, *, most: int) -> list[int]:
    """Ids of the present tracks that a text names, the first ones, ascending.

    They are those whose title, or whose "artist - title", it is; else those whose artist, title
    or, where both are unknown, key hold each of its words.
    """
    words = _words(text)
    if not words:
        return []
    whole = searchable(_encodable(text))
    pieces = whole.split(" - ")
    pairs = [(" - ".join(pieces[:at]), " - ".join(pieces[at:])) for at in range(1, len(pieces))]
    where = " OR ".join(["n.title = ?", *["(n.title = ? AND n.artist = ?)"] * len(pairs)])
    values = [whole, *(name for artist, title in pairs for name in (title, artist))]
    parts = [word for word in words if len(word) >= _PART]
    short = [word for word in words if len(word) < _PART]
    with catalog.reading() as connection:
        exact = _present(connection, "track_names n", "n.id", f"({where})", values, most)
        if exact:
            return exact
        if not parts:
            match = [_match("title_words", _NAMED, short)]
            found = "title_words f", "f.rowid", "title_words MATCH ?"
        else:
            match = [_match("title_parts", _NAMED, parts)]
            found = "title_parts f", "f.rowid", "title_parts MATCH ?"
            if short:
                match.append(_match("title_words", _NAMED, short))
                among = "SELECT rowid FROM title_words WHERE title_words MATCH ?"
                found = (*found[:2], f"{found[2]} AND f.rowid IN ({among})")
        return _present(connection, *found, match, most)


def _encodable(text: str) -> str:
    """Text that SQLite takes: a name from the file system may hold bytes that are not UTF-8."""
    return text.encode("utf-8", "replace").decode().replace("\0", " ")


def _words(text: str) -> list[str]:
    """Words of a text that can be looked for, each once; ideographs in a row are one."""
    words = dict.fromkeys(searchable(word) for word in _encodable(text).split())
    return [word for word in words if len(word) >= _PART or any(map(str.isalnum, word))]


def _match(table: str, columns: str, words: Sequence[str]) -> str:
    """A query of FTS5 for all of some words, in some columns."""
    quoted = ['"{}"'.format(word.replace('"', '""')) for word in words]
    ending = " *" if table == "title_words" else ""
    each = " AND ".join(f"{word}{ending}" for word in quoted)
    return f"{columns}({each})" if len(words) > 1 else f"{columns}{each}"


def _ids(
    connection: Connection, table: str, columns: str, words: Sequence[str]
) -> NDArray[np.int64]:
    if not words or not any(words):
        return np.empty(0, np.int64)
    # As one text: a row each would take Python most of the time.
    query = f"SELECT group_concat(rowid) FROM {table} WHERE {table} MATCH ?"  # noqa: S608 - own names
    found = connection.exec_driver_sql(query, (_match(table, columns, words),)).scalar()
    ids = np.fromstring(found, np.int64, sep=",") if found else np.empty(0, np.int64)
    ids.sort()
    return ids


def _present(
    connection: Connection, table: str, row_id: str, where: str, values: Sequence[str], most: int
) -> list[int]:
    query = (
        f"SELECT {row_id} FROM {table} CROSS JOIN tracks t ON t.id = {row_id} "  # noqa: S608 - own names
        f"WHERE {where} AND t.status = ? ORDER BY {row_id} LIMIT {most:d}"
    )
    rows = connection.exec_driver_sql(query, (*values, str(TrackStatus.PRESENT)))
    return [row[0] for row in rows]
