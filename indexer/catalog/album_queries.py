"""What albums and artists are made of: a few columns of all present tracks."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select

from indexer.catalog.schema import Malformed, TrackRow, parse_text_list
from indexer.catalog.status import TrackStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from indexer.catalog.database import Rows
    from indexer.catalog.reader import Catalog


class AlbumRow(NamedTuple):
    """A present track: what says of which album it is, and by whom; lists are JSON still."""

    id: int
    key: str
    path: bytes
    artist: str | None
    artists: str
    album: str | None
    album_artist: str | None
    album_artists: str
    genre: str | None
    year: int | None
    track_number: int | None
    disc_number: int | None
    musicbrainz_album_id: str | None
    musicbrainz_artist_ids: str
    musicbrainz_album_artist_ids: str
    added_at: float
    duration_s: float

    @property
    def artist_names(self) -> tuple[str, ...]:
        """Each artist by itself."""
        return _names(self.artist, self.artists)

    @property
    def album_artist_names(self) -> tuple[str, ...]:
        """Each artist of the album by itself."""
        return _names(self.album_artist, self.album_artists)

    def musicbrainz_ids(self) -> Iterator[tuple[str, str]]:
        """Names of artists, each with its id; none where it is not sure whose an id is."""
        for names, stored in (
            (self.artist_names, self.musicbrainz_artist_ids),
            (self.album_artist_names, self.musicbrainz_album_artist_ids),
        ):
            ids = _names(None, stored)
            if ids and len(ids) == len(names):
                yield from zip(names, ids, strict=True)


_OF_TABLE = {**dict.fromkeys(AlbumRow._fields, "t"), "duration_s": "r"}


def album_rows(catalog: Catalog) -> Iterator[AlbumRow]:
    """Present tracks with a recording, by ascending id."""
    columns = ", ".join(f"{table}.{name}" for name, table in _OF_TABLE.items())
    query = (
        f"SELECT {columns} FROM tracks t JOIN recordings r ON r.id = t.recording_id "  # noqa: S608 - own names
        f"WHERE t.status = '{TrackStatus.PRESENT}' ORDER BY t.id"
    )
    with catalog.reading() as connection:
        # Rows as the driver has them: describing each would take most of the time.
        for rows in catalog.database.blocks(connection, query):
            yield from map(AlbumRow._make, rows)


def _names(shown: str | None, stored: str) -> tuple[str, ...]:
    """The names in a list; where it is empty or damaged, the one that is shown."""
    if stored != "[]":
        try:
            return parse_text_list(stored) or _names(shown, "[]")
        except Malformed:
            pass
    return (shown,) if shown else ()


def file_sizes(catalog: Catalog, ids: Sequence[int]) -> dict[int, int]:
    """Bytes of the files of tracks, as the last run saw them, by id; unknown ids are left out."""
    with catalog.translating():
        found = catalog.database.rows_of(_sizes(), TrackRow.id, ids)
        return {track_id: size for rows in found for track_id, size in rows}


@cache
def _sizes() -> Rows:
    return select(TrackRow.id, TrackRow.size)
