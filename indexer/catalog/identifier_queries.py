"""Tracks by identifiers that their tags hold: MusicBrainz's id of the recording, ISRC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from indexer.catalog.schema import TrackRow
from indexer.catalog.status import TrackStatus

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from indexer.catalog.reader import Catalog

LONGEST = 64
"""Letters of an identifier; what is longer is none."""


def ids_of_musicbrainz_track(catalog: Catalog, mbid: str) -> list[int]:
    """Ids of the present tracks whose recording has this MusicBrainz id, in lower case."""
    return _ids_where(catalog, TrackRow.musicbrainz_track_id == mbid, mbid)


def ids_of_isrc(catalog: Catalog, isrc: str) -> list[int]:
    """Ids of the present tracks with this ISRC, in upper case without hyphens."""
    return _ids_where(catalog, TrackRow.isrc == isrc, isrc)


def _ids_where(catalog: Catalog, condition: ColumnElement[bool], text: str) -> list[int]:
    # PostgreSQL refuses characters that no identifier has.
    if len(text) > LONGEST or not (text.isascii() and text.isprintable()):
        return []
    query = select(TrackRow.id).where(condition, TrackRow.status == TrackStatus.PRESENT)
    with catalog.reading() as connection:
        return list(connection.execute(query.order_by(TrackRow.id)).scalars())
