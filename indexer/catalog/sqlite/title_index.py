"""Tables by which tracks are found by their names, in SQLite's FTS5; see `title_queries`.

`track_names` holds the names of every track as `searchable` text; each transaction of the writer
ends with those that it has changed. Two indexes lie over it, which triggers of the file keep in
step: `title_words` knows words, and so what a word begins with; `title_parts` knows every three
letters in a row, and so what a word holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.catalog.track_names import listed_file, listed_title, searchable_name

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from sqlalchemy import Connection


_INDEXES = {
    "title_words": "unicode61 remove_diacritics 0",
    "title_parts": "trigram case_sensitive 1",
}
_COLUMNS = "title, artist, album, file"


def create_titles(connection: Connection) -> None:
    """Make the tables of an empty catalog."""
    connection.exec_driver_sql(
        "CREATE TABLE track_names (id INTEGER NOT NULL CONSTRAINT pk_track_names PRIMARY KEY, "
        "title TEXT NOT NULL, artist TEXT NOT NULL, album TEXT NOT NULL, file TEXT NOT NULL)"
    )
    connection.exec_driver_sql("CREATE INDEX ix_track_names_title ON track_names (title)")
    for name, tokenizer in _INDEXES.items():
        connection.exec_driver_sql(
            f"CREATE VIRTUAL TABLE {name} USING fts5({_COLUMNS}, content='track_names', "
            f"content_rowid='id', tokenize='{tokenizer}')"
        )
    _create_triggers(connection)


def make_titles_again(connection: Connection) -> None:
    """Drop the tables, and fill them from the tracks."""
    for name in (*_INDEXES, "track_names"):
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {name}")
    create_titles(connection)
    # All at once takes less time than row by row.
    connection.exec_driver_sql("DROP TRIGGER track_names_insert")
    connection.exec_driver_sql(
        f"INSERT INTO track_names(id, {_COLUMNS}) SELECT id, {_names('')} FROM tracks"  # noqa: S608 - own names
    )
    for name in _INDEXES:
        connection.exec_driver_sql(f"INSERT INTO {name}({name}) VALUES ('rebuild')")  # noqa: S608 - own names
    _create_triggers(connection, events=("INSERT",))


def add_name_functions(connection: sqlite3.Connection) -> None:
    """Let a connection compute the names that `track_names` holds."""
    for name, arguments, function in (
        ("searchable", 1, searchable_name),
        ("listed_title", 2, listed_title),
        ("listed_file", 3, listed_file),
    ):
        connection.create_function(name, arguments, function, deterministic=True)


def add_name_triggers(connection: sqlite3.Connection) -> None:
    """Let a connection note the tracks whose names it changes; see `bring_names_up_to_date`."""
    fields = "title, artist, album, key"
    before, after = (
        ", ".join(f"{row}.{field}" for field in fields.split(", ")) for row in ("OLD", "NEW")
    )
    connection.execute("CREATE TEMP TABLE names_due (id INTEGER PRIMARY KEY)")
    note = "INSERT OR IGNORE INTO names_due VALUES (NEW.id)"
    connection.execute(
        f"CREATE TEMP TRIGGER tracks_names_insert AFTER INSERT ON main.tracks BEGIN {note}; END"
    )
    connection.execute(
        f"CREATE TEMP TRIGGER tracks_names_update AFTER UPDATE OF {fields} ON main.tracks "
        f"WHEN ({before}) IS NOT ({after}) BEGIN {note}; END"
    )


def bring_names_up_to_date(connection: Connection) -> None:
    """Store the names of the tracks that a transaction has changed, before it ends.

    All of them at once: FTS5 writes what it holds in memory before each statement of a trigger.
    """
    due = "id IN (SELECT id FROM names_due)"
    if connection.exec_driver_sql("SELECT 1 FROM names_due LIMIT 1").first() is None:
        return
    connection.exec_driver_sql(f"DELETE FROM track_names WHERE {due}")  # noqa: S608 - own names
    connection.exec_driver_sql(
        f"INSERT INTO track_names(id, {_COLUMNS}) SELECT id, {_names('')} FROM tracks WHERE {due}"  # noqa: S608 - own names
    )
    connection.exec_driver_sql("DELETE FROM names_due")


def title_faults(connection: Connection) -> list[str]:
    """Ways in which the names differ from the tracks; none where they are in step."""
    differ = " OR ".join(
        f"n.{column} IS NOT {name}"
        for column, name in zip(_COLUMNS.split(", "), _name_list("t."), strict=True)
    )
    faults = []
    for what, query in {
        "tracks are not found by their names": "SELECT count(*) FROM tracks t LEFT JOIN "  # noqa: S608 - own names
        f"track_names n ON n.id = t.id WHERE {differ}",
        "names are of no track": "SELECT count(*) FROM track_names n "
        "LEFT JOIN tracks t ON t.id = n.id WHERE t.id IS NULL",
        **{
            f"names are not in the table {name}, or only there": "SELECT abs((SELECT count(*) FROM "  # noqa: S608 - own names
            f"{name}_docsize) - (SELECT count(*) FROM track_names))"
            for name in _INDEXES
        },
    }.items():
        count = connection.exec_driver_sql(query).scalar_one()
        if count:
            faults.append(f"{count} {what}")
    return faults


def damaged_indexes(connection: sqlite3.Connection) -> list[str]:
    """The indexes that differ from the names; the connection may write, and writes nothing."""
    import sqlite3

    faults = []
    for name in _INDEXES:
        try:
            connection.execute(f"INSERT INTO {name}({name}, rank) VALUES ('integrity-check', 1)")  # noqa: S608 - own names
        except sqlite3.DatabaseError as error:
            faults.append(f"the table {name} is damaged ({error})")
    return faults


def _create_triggers(
    connection: Connection, events: Sequence[str] = ("INSERT", "UPDATE", "DELETE")
) -> None:
    new, old = (
        ", ".join(f"{row}.{name}" for name in ("id", *_COLUMNS.split(", ")))
        for row in ("new", "old")
    )
    add = "".join(
        f"INSERT INTO {name}(rowid, {_COLUMNS}) VALUES ({new}); "  # noqa: S608 - own names
        for name in _INDEXES
    )
    drop = "".join(
        f"INSERT INTO {name}({name}, rowid, {_COLUMNS}) VALUES ('delete', {old}); "  # noqa: S608 - own names
        for name in _INDEXES
    )
    bodies = {"INSERT": add, "UPDATE": drop + add, "DELETE": drop}
    for event in events:
        connection.exec_driver_sql(
            f"CREATE TRIGGER track_names_{event.lower()} AFTER {event} ON track_names "
            f"BEGIN {bodies[event]}END"
        )


def _names(row: str) -> str:
    return ", ".join(_name_list(row))


def _name_list(row: str) -> tuple[str, ...]:
    """SQL of the names of a track, in the order of the columns."""
    return (
        f"listed_title({row}title, {row}key)",
        f"searchable({row}artist)",
        f"searchable({row}album)",
        f"listed_file({row}title, {row}artist, {row}key)",
    )
