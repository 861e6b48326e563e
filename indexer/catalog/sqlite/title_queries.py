"""Search for tracks by their names, in the tables of `title_index`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from indexer.catalog.database import TitleMatches
from indexer.catalog.status import TrackStatus
from indexer.catalog.track_names import PART, possible_names, signs_to_find, words_to_find

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from sqlalchemy import Connection


_LISTED = "{title artist album} : "
_NAMED = "{title artist file} : "


def search_titles(connection: Connection, text: str) -> TitleMatches:
    """The tracks that fit a text, which is not blank."""
    words = words_to_find(text)
    if signs := signs_to_find(text):
        held = _ids_with_signs(connection, signs)
        return TitleMatches(held[:0], held[:0], held)
    starts = _ids(connection, "title_words", "{title artist} : ^ ", [" ".join(words)])
    begun = _ids(connection, "title_words", _LISTED, words)
    parts = [word for word in words if len(word) >= PART]
    held = _ids(connection, "title_parts", _LISTED, parts) if parts else begun
    if len(parts) < len(words) and parts:
        short = [word for word in words if len(word) < PART]
        held = np.intersect1d(
            held, _ids(connection, "title_words", _LISTED, short), assume_unique=True
        )
    return TitleMatches(starts, begun, held)


def named_tracks(connection: Connection, text: str, *, most: int) -> list[int]:
    """Ids of the present tracks that a text names; see `Database.named_tracks`."""
    words = words_to_find(text)
    if not words:
        return []
    names = possible_names(text)
    where = " OR ".join(
        "(n.title = ? AND n.artist = ?)" if artist is not None else "n.title = ?"
        for _title, artist in names
    )
    values = [name for pair in names for name in pair if name is not None]
    parts = [word for word in words if len(word) >= PART]
    short = [word for word in words if len(word) < PART]
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


def _ids_with_signs(connection: Connection, signs: str) -> NDArray[np.int64]:
    """Ids of the tracks whose names hold what the indexes of words leave out."""
    columns = " OR ".join(f"instr({name}, ?)" for name in ("title", "artist", "album"))
    query = f"SELECT id FROM track_names WHERE {columns} ORDER BY id"  # noqa: S608 - own names
    return np.fromiter(connection.exec_driver_sql(query, (signs,) * 3).scalars(), np.int64)


def _present(
    connection: Connection, table: str, row_id: str, where: str, values: Sequence[str], most: int
) -> list[int]:
    query = (
        f"SELECT {row_id} FROM {table} CROSS JOIN tracks t ON t.id = {row_id} "  # noqa: S608 - own names
        f"WHERE {where} AND t.status = ? ORDER BY {row_id} LIMIT {most:d}"
    )
    rows = connection.exec_driver_sql(query, (*values, str(TrackStatus.PRESENT)))
    return [row[0] for row in rows]
