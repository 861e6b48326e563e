"""Routes of single tracks and of lists of them: tracks, facets."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from recommender.retrieval.lookup import require_present
from recommender.server.api.answers import (
    TRACK,
    TrackFacts,
    example,
    json_response,
    problems,
    track_facts,
)
from recommender.server.api.parameters import Count, Filter, Text, TrackId
from recommender.server.context import Server

router = APIRouter(tags=["tracks"])

TAGS = 8
"""Strongest tags of a track."""


class TrackList(BaseModel):
    """A page of a list of tracks; `next` is the cursor of the page after it."""

    tracks: list[TrackFacts]
    total: int
    next: str | None
    note: str | None


class TrackDetails(TrackFacts):
    """All that the catalog knows of a track but its path, and its strongest tags."""

    status: str
    recording_id: int
    artists: list[str]
    album_artists: list[str]
    genres: list[str]
    container: str
    sample_rate: int
    channels: int
    channel: int | None
    bit_rate: int | None
    bit_depth: int | None
    disc_number: int | None
    isrc: str | None
    musicbrainz_track_id: str | None
    musicbrainz_album_id: str | None
    musicbrainz_artist_ids: list[str]
    musicbrainz_album_artist_ids: list[str]
    has_cover: bool
    tempo_confidence: float
    key_confidence: float
    loudness_lufs: float | None
    brightness_hz: float | None
    tags: dict[str, float]


class ValueCount(BaseModel):
    """A value, and how many tracks would remain if a filter asked for it too."""

    value: str
    count: int


class Facets(BaseModel):
    """Values of each facet that most tracks have, most frequent first."""

    total: int
    genre: list[ValueCount]
    artist: list[ValueCount]
    decade: list[ValueCount]
    musical_key: list[ValueCount]
    tempo: list[ValueCount]
    tag: list[ValueCount]
    note: str | None


@router.get(
    "/tracks",
    summary="List or search tracks",
    response_model=TrackList,
    responses=example({"tracks": [TRACK], "total": 1, "next": None, "note": None}) | problems(422),
)
def list_tracks(
    server: Server,
    where: Filter,
    q: Text = "",
    limit: Count = 50,
    cursor: Annotated[str | None, Query(max_length=60, description="`next` of a page.")] = None,
) -> Response:
    """Tracks whose title, artist and album hold all words of `q`, without case and accents."""
    page = server.recommender.browse(q, limit, after=cursor, where=where)
    return json_response(
        {
            "tracks": [track_facts(track) for track in page.tracks],
            "total": page.total,
            "next": page.after,
            "note": page.note,
        },
        keep=True,
    )


@router.get(
    "/tracks/{track_id}",
    summary="One track",
    response_model=TrackDetails,
    responses=example({**TRACK, "tags": {"jazz": 0.93, "trumpet": 0.61}}) | problems(404, 422),
)
def one_track(server: Server, track_id: TrackId) -> Response:
    """All that the catalog knows of a track, and its strongest tags; as `soundalike show`."""
    (track,) = server.recommender.tracks([track_id])
    require_present(track)
    known = {
        name: list(value) if isinstance(value := getattr(track, name), tuple) else value
        for name in TrackDetails.model_fields
        if name != "tags"
    }
    tags = dict(server.recommender.tags(track_id)[:TAGS])
    return json_response({**known, "tags": tags}, keep=True)


@router.get(
    "/facets",
    summary="Counts that would remain",
    response_model=Facets,
    responses=example(
        {
            "total": 420,
            "genre": [{"value": "Jazz", "count": 61}],
            "artist": [],
            "decade": [{"value": "1990", "count": 40}],
            "musical_key": [{"value": "A minor", "count": 22}],
            "tempo": [{"value": "110", "count": 80}],
            "tag": [{"value": "piano", "count": 42}],
            "note": None,
        }
    )
    | problems(422),
)
def facets(server: Server, where: Filter, q: Text = "", limit: Count = 30) -> Response:
    """How many of the tracks that fit would remain if the filter also asked for each value.

    A decade is its first year; a tempo is the least of its class: below 70 (`0`), 70, 90, 110, 130,
    and 150 and more, in BPM.
    """
    counts = server.recommender.facets(q, where=where, most=limit)
    page = server.recommender.browse(q, 1, where=where)
    found: dict[str, Any] = {
        facet: [{"value": one.value, "count": one.count} for one in values]
        for facet, values in counts.items()
    }
    return json_response({"total": page.total, **found, "note": page.note}, keep=True)
