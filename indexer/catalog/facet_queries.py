"""What facets are made of: rows of present tracks with an embedding, in blocks, by ascending id."""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sqlalchemy import func, select

from indexer.catalog.digests import require_intact
from indexer.catalog.schema import TrackRow, parse_text_list
from indexer.catalog.status import TrackStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from indexer.catalog.reader import Catalog
    from indexer.catalog.records import StoredModel

_NUMBER, _TEXT = frozenset({int, float, NoneType}), frozenset({str, NoneType})


class FacetRow(NamedTuple):
    """A present track: its names, as `Track` has them but for the lists, which are JSON still."""

    id: int
    key: str
    title: str | None
    artist: str | None
    artists: str
    album: str | None
    album_artist: str | None
    album_artists: str
    genre: str | None
    genres: str
    year: int | None
    track_number: int | None
    added_at: float
    duration_s: float
    tempo_bpm: float | None
    musical_key: str | None
    loudness_lufs: float | None
    activations: bytes


_KINDS = {
    **dict.fromkeys(("title", "artist", "album", "album_artist", "genre", "musical_key"), _TEXT),
    **dict.fromkeys(("key", "artists", "album_artists", "genres"), frozenset({str})),
    **dict.fromkeys(("year", "track_number", "tempo_bpm", "loudness_lufs"), _NUMBER),
    **dict.fromkeys(("added_at", "duration_s"), frozenset({int, float})),
    "id": frozenset({int}),
    "activations": frozenset({bytes}),
}
_OF_TABLE = {
    **dict.fromkeys(FacetRow._fields, "t"),
    **dict.fromkeys(("duration_s", "tempo_bpm", "musical_key", "loudness_lufs"), "r"),
    "activations": "e",
}


def facet_rows(
    catalog: Catalog, connection: Connection, model: StoredModel, *, since: int | None = None
) -> Iterator[Sequence[FacetRow]]:
    """Present tracks with an embedding of a model, in blocks by ascending id.

    Parameters
    ----------
    since : int, optional
        Only those whose facets changed after this number.

    Raises
    ------
    Malformed
        A value is of another type than its column.
    """
    columns = ", ".join(f"{table}.{name}" for name, table in _OF_TABLE.items())
    # The plus keeps SQLite from reading all tracks in the order of their ids to find some.
    changed = "" if since is None else f"AND t.facets_change > {since:d}"
    order = "t.id" if since is None else "+t.id"
    query = (
        f"SELECT {columns} FROM tracks t JOIN recordings r ON r.id = t.recording_id "  # noqa: S608 - own names
        f"JOIN embeddings e ON e.recording_id = r.id AND e.model_id = {model.id:d} "
        f"WHERE t.status = '{TrackStatus.PRESENT}' {changed} ORDER BY {order}"
    )
    # Rows as the driver has them: describing each would take most of the time.
    rows: Any
    for rows in catalog.database.blocks(connection, query):
        _require_types(rows, 2 * len(model.tag_names))
        yield rows


def has_more_tracks(connection: Connection, count: int) -> bool:
    """Whether more than so many tracks are present."""
    some = select(TrackRow.id).where(TrackRow.status == TrackStatus.PRESENT).limit(count + 1)
    return (
        connection.execute(select(func.count()).select_from(some.subquery())).scalar_one() > count
    )


def changed_facets(connection: Connection, since: int) -> NDArray[np.int64]:
    """Ids, ascending, of all tracks whose facets changed after a number, present or not."""
    query = select(TrackRow.id).where(TrackRow.facets_change > since)
    return np.sort(np.fromiter(connection.execute(query).scalars(), dtype=np.int64))


def names_of_list(stored: str) -> tuple[str, ...]:
    """The texts of a list as `FacetRow` has it.

    Raises
    ------
    Malformed
        It is damaged.
    """
    return parse_text_list(stored)


def _require_types(rows: Sequence[FacetRow], activation_bytes: int) -> None:
    for name, values in zip(FacetRow._fields, zip(*rows, strict=True), strict=True):
        whole = set(map(type, values)) <= _KINDS[name]
        if whole and name == "activations":
            whole = set(map(len, values)) == {activation_bytes}
        if not whole:
            bad = next(
                row[0]
                for row, value in zip(rows, values, strict=True)
                if type(value) not in _KINDS[name]
                or (name == "activations" and len(value) != activation_bytes)
            )
            require_intact(0, f"track {bad} or its embedding")
