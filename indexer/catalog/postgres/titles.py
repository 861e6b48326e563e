"""Search for tracks by their names on a PostgreSQL server.

The table `track_names` holds the names of every track as `searchable` text, and as the words of
that text with a space before each, so that `LIKE` finds what a word begins with. One index of
trigrams lies over it where the server has the extension pg_trgm; else all names are read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    MetaData,
    Select,
    Table,
    Text,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    text,
)

from indexer.catalog.database import BLOCK, TitleMatches
from indexer.catalog.schema import TrackRow
from indexer.catalog.status import TrackStatus
from indexer.catalog.track_names import (
    PART,
    listed_file,
    listed_title,
    possible_names,
    searchable_name,
    signs_to_find,
    spaced_words,
    words_to_find,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray
    from sqlalchemy import Connection, Row

_FIELDS = ("title", "artist", "album", "file")
_LISTED = ("title", "artist", "album")
_NAMED = ("title", "artist", "file")
_NAMES = Table(
    "track_names",
    MetaData(),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    *(Column(name, Text, nullable=False) for name in _FIELDS),
    *(Column(f"{name}_words", Text, nullable=False) for name in _FIELDS),
)


def create_names(connection: Connection) -> None:
    """Make the table of an empty catalog."""
    _NAMES.create(connection)
    known = text("SELECT 1 FROM pg_available_extensions WHERE name = 'pg_trgm'")
    if connection.execute(known).first() is None:
        return
    columns = ", ".join(
        f"{column.name} gin_trgm_ops" for column in _NAMES.columns if column.name != "id"
    )
    connection.execute(text("CREATE EXTENSION IF NOT EXISTS pg_trgm"))
    connection.execute(text(f"CREATE INDEX ix_track_names ON track_names USING gin ({columns})"))


def store_names(connection: Connection, *, since: int) -> None:
    """Store the names of the tracks whose facets changed after a number."""
    query = _tracks().where(TrackRow.facets_change > since)
    while rows := connection.execute(query.limit(BLOCK)).all():
        connection.execute(delete(_NAMES).where(_NAMES.c.id.in_([row.id for row in rows])))
        connection.execute(insert(_NAMES), [_names(row) for row in rows])
        query = query.where(TrackRow.id > rows[-1].id)


def make_names_again(connection: Connection) -> None:
    """Store the names of all tracks."""
    connection.execute(delete(_NAMES))
    store_names(connection, since=-1)


def name_faults(connection: Connection) -> list[str]:
    """Ways in which the names differ from the tracks; none where they are in step."""
    extra = select(func.count()).where(_NAMES.c.id.not_in(select(TrackRow.id)))
    differing = 0
    query = _tracks().limit(BLOCK)
    last = 0
    while rows := connection.execute(query.where(TrackRow.id > last)).all():
        last = rows[-1].id
        stored = select(_NAMES).where(_NAMES.c.id.between(rows[0].id, last))
        found = {row.id: dict(row) for row in connection.execute(stored).mappings()}
        differing += sum(found.get(row.id) != _names(row) for row in rows)
    faults = {
        "tracks are not found by their names": differing,
        "names are of no track": connection.execute(extra).scalar_one(),
    }
    return [f"{count} {what}" for what, count in faults.items() if count]


def search_titles(connection: Connection, text: str) -> TitleMatches:
    """The tracks that fit a text, which is not blank."""
    words = words_to_find(text)
    whole = spaced_words(" ".join(words))
    begins = _any(("title", "artist"), lambda name: _words(name).startswith(whole, autoescape=True))
    begun = _ids(connection, [_begins(word, _LISTED) for word in words])
    signs = signs_to_find(text)
    held = [_holds(signs, _LISTED)] if signs else [_fits(word, _LISTED) for word in words]
    return TitleMatches(
        _ids(connection, [begins] if whole.strip() else []), begun, _ids(connection, held)
    )


def named_tracks(connection: Connection, text: str, *, most: int) -> list[int]:
    """Ids of the present tracks that a text names; see `Database.named_tracks`."""
    words = words_to_find(text)
    if not words:
        return []
    names = [
        _NAMES.c.title == title
        if artist is None
        else and_(_NAMES.c.title == title, _NAMES.c.artist == artist)
        for title, artist in possible_names(text)
    ]
    return _present(connection, or_(*names), most) or _present(
        connection, and_(*(_fits(word, _NAMED) for word in words)), most
    )


def _tracks() -> Select[int, str | None, str | None, str | None, str]:
    columns = TrackRow.id, TrackRow.title, TrackRow.artist, TrackRow.album, TrackRow.key
    return select(*columns).order_by(TrackRow.id)


def _names(row: Row[int, str | None, str | None, str | None, str]) -> dict[str, object]:
    """The row of `track_names` of a track."""
    names = (
        listed_title(row.title, row.key),
        searchable_name(row.artist),
        searchable_name(row.album),
        listed_file(row.title, row.artist, row.key),
    )
    found: dict[str, object] = {"id": row.id, **dict(zip(_FIELDS, names, strict=True))}
    return found | {
        f"{name}_words": spaced_words(value) for name, value in zip(_FIELDS, names, strict=True)
    }


def _words(name: str) -> Column[str]:
    return _NAMES.c[f"{name}_words"]


def _any(
    fields: Iterable[str], condition: Callable[[str], ColumnElement[bool]]
) -> ColumnElement[bool]:
    return or_(*map(condition, fields))


def _begins(word: str, fields: Sequence[str]) -> ColumnElement[bool]:
    """Whether a word of a field begins with one."""
    tokens = spaced_words(word)
    if not tokens:
        return _NAMES.c.id < 0  # no word has only signs
    return _any(fields, lambda name: _words(name).contains(tokens, autoescape=True))


def _fits(word: str, fields: Sequence[str]) -> ColumnElement[bool]:
    """Whether a field holds a word, or for a short one, a word of it begins with it."""
    if len(word) < PART:
        return _begins(word, fields)
    return _holds(word, fields)


def _holds(text: str, fields: Sequence[str]) -> ColumnElement[bool]:
    return _any(fields, lambda name: _NAMES.c[name].contains(text, autoescape=True))


def _ids(connection: Connection, conditions: Sequence[ColumnElement[bool]]) -> NDArray[np.int64]:
    if not conditions:
        return np.empty(0, np.int64)
    query = select(_NAMES.c.id).where(*conditions).order_by(_NAMES.c.id)
    return np.fromiter(connection.execute(query).scalars(), np.int64)


def _present(connection: Connection, condition: ColumnElement[bool], most: int) -> list[int]:
    query = (
        select(TrackRow.id)
        .join(_NAMES, _NAMES.c.id == TrackRow.id)
        .where(condition, TrackRow.status == TrackStatus.PRESENT)
        .order_by(TrackRow.id)
        .limit(most)
    )
    return list(connection.execute(query).scalars())
