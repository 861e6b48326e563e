"""What a list of all tracks is searched, sorted and counted by."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Text, select, type_coerce

from indexer.catalog.digests import is_intact, require_intact
from indexer.catalog.schema import RecordingRow, TrackRow, parse_text_list
from indexer.catalog.status import TrackStatus

if TYPE_CHECKING:
    from indexer.catalog.reader import Catalog


class ListedTrack(NamedTuple):
    """Names and facts of a present track; fields as in `Track`."""

    id: int
    key: str
    title: str | None
    artist: str | None
    artists: tuple[str, ...]
    album: str | None
    album_artist: str | None
    album_artists: tuple[str, ...]
    genre: str | None
    year: int | None
    track_number: int | None
    musical_key: str | None
    tempo_bpm: float | None


def listed_tracks(catalog: Catalog) -> list[ListedTrack]:
    """Every present track, in any order."""
    lists = [ListedTrack._fields.index(name) for name in ("artists", "album_artists")]
    columns = [
        getattr(TrackRow if hasattr(TrackRow, name) else RecordingRow, name)
        for name in ListedTrack._fields
    ]
    for position in lists:
        columns[position] = type_coerce(columns[position], Text)
    query = (
        select(is_intact(TrackRow), *columns)
        .join(RecordingRow, RecordingRow.id == TrackRow.recording_id)
        .where(TrackRow.status == TrackStatus.PRESENT)
    )
    found = []
    with catalog.reading() as connection:
        for intact, *values in connection.execute(query):
            require_intact(intact, f"track {values[0]}")
            for position in lists:
                values[position] = parse_text_list(values[position])
            found.append(ListedTrack(*values))
    return found
