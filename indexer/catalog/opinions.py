"""What listeners said of songs, albums and artists: stars, and ratings from 1 to 5.

They are written in short transactions of their own beside the catalog's writer, whose tables they
leave alone: a star during an index run waits for one of its batches at most.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, cast, get_args

from sqlalchemy import delete, insert, select, update

from indexer.catalog.digests import is_intact, require_intact
from indexer.catalog.records import Kind, Opinion, Subject
from indexer.catalog.schema import OpinionRow
from indexer.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from sqlalchemy import ColumnElement, Connection

    from indexer.catalog.reader import Catalog

_COLUMNS = (OpinionRow.kind, OpinionRow.subject, OpinionRow.starred_at, OpinionRow.rating)
RATINGS = range(1, 6)
KINDS = get_args(Kind)
LONGEST_ID = 255
"""Characters of what an album or artist is named by."""


class Opinions:
    """The opinions that a catalog holds, which may be open for reading only.

    Several threads may use one.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._read: tuple[int, dict[Subject, Opinion]] = -1, {}

    def all(self) -> dict[Subject, Opinion]:
        """Every opinion by what it is of, in the order of kinds and ids.

        Raises
        ------
        CatalogError
        """
        # The number is read first: what is written meanwhile is read again rather than never.
        version = self._catalog.version()
        known_at, found = self._read
        if known_at != version:
            found = self._all()
            self._read = version, found
        return found

    def star(self, subjects: Collection[Subject]) -> None:
        """Give stars; what has one keeps the time of the first.

        Raises
        ------
        CatalogFull, CatalogLocked, CatalogForbidden
            The catalog cannot be written.
        InvalidOption
            An id is longer than any is.
        """
        now = time.time()
        self._change(subjects, lambda one: replace(one, starred_at=one.starred_at or now))

    def unstar(self, subjects: Collection[Subject]) -> None:
        """Take stars away, where there are any; raises what `star` raises."""
        self._change(subjects, lambda one: replace(one, starred_at=None))

    def rate(self, subject: Subject, rating: int | None) -> None:
        """Set a rating from 1 to 5, or take it away; raises what `star` raises.

        Raises
        ------
        InvalidOption
            There is no such rating.
        """
        if rating is not None and rating not in RATINGS:
            raise InvalidOption(f"a rating of {rating} is none: give 1 to 5, or 0 to take it away")
        self._change([subject], lambda one: replace(one, rating=rating))

    def _all(self) -> dict[Subject, Opinion]:
        query = select(*_COLUMNS, is_intact(OpinionRow))
        query = query.order_by(OpinionRow.kind, OpinionRow.subject)
        found = {}
        with self._catalog.reading() as connection:
            for kind, subject_id, starred_at, rating, intact in connection.execute(query):
                require_intact(intact and kind in KINDS, f"opinion of {subject_id!r}")
                subject = Subject(cast("Kind", kind), subject_id)
                found[subject] = Opinion(subject, starred_at, rating)
        return found

    def _change(self, subjects: Collection[Subject], change: Callable[[Opinion], Opinion]) -> None:
        for subject in subjects:
            if len(subject.id) > LONGEST_ID:
                raise InvalidOption(
                    f"an id of {len(subject.id)} characters names nothing: it has up to "
                    f"{LONGEST_ID}"
                )
        with self._catalog.database.writing_beside() as connection:
            for subject in dict.fromkeys(subjects):
                before = _opinion(connection, subject)
                _store(connection, before, change(before))


def _opinion(connection: Connection, subject: Subject) -> Opinion:
    """The opinion of something; one that says nothing where there is none."""
    query = select(OpinionRow.starred_at, OpinionRow.rating).where(_is_of(subject))
    row = connection.execute(query).first()
    return Opinion(subject, None, None) if row is None else Opinion(subject, *row)


def _store(connection: Connection, before: Opinion, after: Opinion) -> None:
    if after == before:
        return
    values = {"starred_at": after.starred_at, "rating": after.rating}
    if not after.says_anything:
        connection.execute(delete(OpinionRow).where(_is_of(after.subject)))
    elif before.says_anything:
        connection.execute(update(OpinionRow).where(_is_of(after.subject)).values(values))
    else:
        key = {"kind": after.subject.kind, "subject": after.subject.id}
        connection.execute(insert(OpinionRow).values(key | values))


def _is_of(subject: Subject) -> ColumnElement[bool]:
    return (OpinionRow.kind == subject.kind) & (OpinionRow.subject == subject.id)
