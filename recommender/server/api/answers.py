"""What routes answer with: models of tracks and of answers, and responses that can be kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from fastapi import Response
from pydantic import BaseModel, ConfigDict

from indexer.catalog.records import Track
from recommender.server.caching import MARK

Responses: TypeAlias = dict[int | str, dict[str, Any]]


TRACK: dict[str, Any] = {
    "id": 17,
    "key": "blue/17 so what.flac",
    "title": "So What",
    "artist": "Miles Davis",
    "album": "Kind of Blue",
    "album_artist": None,
    "genre": "Jazz",
    "year": 1959,
    "track_number": 1,
    "duration_s": 561.2,
    "tempo_bpm": 136.0,
    "musical_key": "D minor",
    "codec": "flac",
    "added_at": 1.78e9,
}
"""A track as the examples of the OpenAPI document have it."""


FILE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The bytes of a sound file of any format.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
"""What an operation that takes a file says of it in OpenAPI."""


class TrackFacts(BaseModel):
    """A track in a list."""

    id: int
    key: str
    title: str | None
    artist: str | None
    album: str | None
    album_artist: str | None
    genre: str | None
    year: int | None
    track_number: int | None
    duration_s: float
    tempo_bpm: float | None
    musical_key: str | None
    codec: str
    added_at: float

    model_config = ConfigDict(json_schema_extra={"example": TRACK})


class ProblemDocument(BaseModel):
    """Why a request was refused (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str

    model_config = ConfigDict(extra="allow")


def track_facts(track: Track) -> dict[str, Any]:
    """A track as plain values, without its path."""
    return {name: getattr(track, name) for name in TrackFacts.model_fields}


def json_response(value: Any, *, keep: bool = False, status: int = 200) -> Response:
    """A value as JSON.

    Parameters
    ----------
    keep : bool
        Whether the answer depends on the tracks and the request's address alone.
    """
    # ASCII: a lone surrogate, of a name that is not UTF-8, could not be sent otherwise.
    body = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode()
    headers = {MARK: "1"} if keep else {}
    return Response(body, status, headers, "application/json")


def problems(*statuses: int) -> Responses:
    """What an operation says in OpenAPI of the problems that it answers with."""
    return {
        status: {
            "model": ProblemDocument,
            "content": {"application/problem+json": {}},
            "description": "A problem document.",
        }
        for status in statuses
    }


def example(value: Any, *, model: type[BaseModel] | None = None) -> Responses:
    """What an operation says in OpenAPI of its answer: an example, and its model."""
    content = {"application/json": {"example": value}}
    found: dict[str, Any] = {"description": "The answer.", "content": content}
    return {200: found if model is None else {**found, "model": model}}


def with_tracks(
    rows: Sequence[dict[str, Any]], tracks_by_id: Callable[[list[int]], Sequence[Track]]
) -> list[dict[str, Any]]:
    """Rows that have an `id`, each with its `track`."""
    tracks = tracks_by_id([row["id"] for row in rows])
    return [{**row, "track": track_facts(track)} for row, track in zip(rows, tracks, strict=True)]
