"""Queries over all tracks: values of a column, ids that fit a filter, activations, facts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from sqlalchemy import and_, func, or_, select, true

from indexer.catalog.digests import require_intact
from indexer.catalog.schema import RecordingRow, TrackRow
from indexer.catalog.status import TrackStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from sqlalchemy import ColumnElement

    from indexer.catalog.reader import Catalog
    from indexer.catalog.records import StoredModel

Range: TypeAlias = tuple[float | None, float | None]

_LISTS = {
    "artist": TrackRow.artists,
    "album_artist": TrackRow.album_artists,
    "genre": TrackRow.genres,
}


def tag_activations(
    catalog: Catalog, model: StoredModel, columns: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
    """Ids (n,) of the present tracks, and their activations of some tags (n, len(columns))."""
    # A float16 each; SQLite counts bytes from 1.
    tags = ", ".join(f"substr(e.activations, {2 * column + 1:d}, 2)" for column in columns)
    query = (
        f"SELECT t.id, {tags} FROM tracks t JOIN embeddings e "  # noqa: S608 - integers
        f"ON e.recording_id = t.recording_id AND e.model_id = {model.id:d} "
        "WHERE t.status = ?"
    )
    with catalog.reading() as connection:
        rows = connection.exec_driver_sql(query, (str(TrackStatus.PRESENT),)).cursor.fetchall()
        for row in rows:
            whole = all(type(value) is bytes and len(value) == 2 for value in row[1:])
            require_intact(whole, f"embedding of track {row[0]}")
    ids = np.array([row[0] for row in rows], dtype=np.int64)
    stored = np.frombuffer(b"".join(b"".join(row[1:]) for row in rows), dtype="<f2")
    return ids, stored.reshape(len(ids), len(columns))


@dataclass(frozen=True, eq=False)
class TrackColumns:
    """What words can be about besides the sound, of all present tracks, by ascending id.

    Attributes
    ----------
    ids : int64 (n,)
    genres : n texts or None
        As the catalog holds them.
    years, tempi_bpm, loudness_lufs : float64 (n,)
        NaN where unknown.
    """

    ids: NDArray[np.int64]
    genres: Sequence[str | None]
    years: NDArray[np.float64]
    tempi_bpm: NDArray[np.float64]
    loudness_lufs: NDArray[np.float64]


def track_columns(catalog: Catalog) -> TrackColumns:
    """Genre, year, tempo and loudness of all present tracks."""
    query = (
        "SELECT t.id, t.genre, t.year, r.tempo_bpm, r.loudness_lufs "
        "FROM tracks t JOIN recordings r ON r.id = t.recording_id WHERE t.status = ? ORDER BY t.id"
    )
    with catalog.reading() as connection:
        rows = connection.exec_driver_sql(query, (str(TrackStatus.PRESENT),)).cursor.fetchall()
        for track_id, genre, *numbers in rows:
            whole = genre is None or type(genre) is str
            whole &= all(value is None or type(value) in (int, float) for value in numbers)
            require_intact(whole, f"track {track_id}")
    table = [np.array(column, dtype=np.float64) for column in list(zip(*rows, strict=True))[2:]]
    years, tempi, loudness = table or [np.empty(0)] * 3
    ids = np.array([row[0] for row in rows], dtype=np.int64)
    return TrackColumns(ids, [row[1] for row in rows], years, tempi, loudness)


@dataclass(frozen=True, kw_only=True)
class TrackFilter:
    """What must hold of a track: all fields, of several values of one field any.

    Attributes
    ----------
    artist, album, genre, musical_key : sequence of str or None
        Texts exactly as the catalog holds them (see `distinct_values`); an artist is one of a
        track's artists or album artists. None: any, also none.
    year, duration_s, tempo : tuple of two numbers or None
        Least and most, both included; None leaves that side open, (None, None) keeps what is known.
    added_since : float or None
        Unix time.
    """

    artist: Sequence[str] | None = None
    album: Sequence[str] | None = None
    genre: Sequence[str] | None = None
    musical_key: Sequence[str] | None = None
    year: Range | None = None
    duration_s: Range | None = None
    tempo: Range | None = None
    added_since: float | None = None


def distinct_values(
    catalog: Catalog, column: Literal["artist", "album_artist", "album", "genre", "musical_key"]
) -> list[str]:
    """Every text that a column holds, once; of artists and genres also each by itself."""
    source = getattr(RecordingRow if column == "musical_key" else TrackRow, column)
    query = select(source).distinct().where(source.is_not(None))
    with catalog.reading() as connection:
        found = dict.fromkeys(connection.execute(query).scalars())
        if column in _LISTS:
            names = func.json_each(_LISTS[column]).table_valued("value")
            several = func.json_array_length(_LISTS[column]) > 1
            query = select(names.c.value).select_from(TrackRow).join(names, true()).where(several)
            found |= dict.fromkeys(connection.execute(query.distinct()).scalars())
        require_intact(all(type(value) is str for value in found), f"{column} of a track")
    return list(found)


def matching_ids(catalog: Catalog, wanted: TrackFilter) -> NDArray[np.int64]:
    """Ids of the present tracks that a filter keeps, in any order."""
    query = select(TrackRow.id).where(TrackRow.status == TrackStatus.PRESENT, *_conditions(wanted))
    with catalog.reading() as connection:
        return np.fromiter(connection.execute(query).scalars(), dtype=np.int64)


def _conditions(wanted: TrackFilter) -> Iterator[ColumnElement[bool]]:
    """A filter as SQL over tracks, and recordings where they are needed."""
    if wanted.artist is not None:
        yield or_(
            _one_of(TrackRow.artist, wanted.artist),
            _one_of(TrackRow.album_artist, wanted.artist),
            _any_of(TrackRow.artists, wanted.artist),
            _any_of(TrackRow.album_artists, wanted.artist),
        )
    if wanted.album is not None:
        yield _one_of(TrackRow.album, wanted.album)
    if wanted.genre is not None:
        yield or_(_one_of(TrackRow.genre, wanted.genre), _any_of(TrackRow.genres, wanted.genre))
    if wanted.year is not None:
        yield from _within(TrackRow.year, *wanted.year)
    if wanted.added_since is not None:
        yield TrackRow.added_at >= wanted.added_since
    if (wanted.duration_s, wanted.tempo, wanted.musical_key) != (None, None, None):
        yield TrackRow.recording_id == RecordingRow.id
    if wanted.duration_s is not None:
        yield from _within(RecordingRow.duration_s, *wanted.duration_s)
    if wanted.tempo is not None:
        yield from _within(RecordingRow.tempo_bpm, *wanted.tempo)
    if wanted.musical_key is not None:
        yield _one_of(RecordingRow.musical_key, wanted.musical_key)


def _one_of(column: Any, values: Sequence[str]) -> ColumnElement[bool]:
    # One parameter for all of them: a genre can be spelt in more ways than SQLite has parameters.
    table = func.json_each(json.dumps(list(values))).table_valued("value")
    condition: ColumnElement[bool] = column.in_(select(table.c.value))
    return condition


def _any_of(column: Any, values: Sequence[str]) -> ColumnElement[bool]:
    """Whether any text of a list that has several is among the values."""
    table = func.json_each(column).table_valued("value")
    found = select(table.c.value).where(_one_of(table.c.value, values)).exists()
    return and_(func.json_array_length(column) > 1, found)


def _within(column: Any, low: float | None, high: float | None) -> Iterator[ColumnElement[bool]]:
    if low is not None:
        yield column >= low
    if high is not None:
        yield column <= high
    if low is None and high is None:
        yield column.is_not(None)
