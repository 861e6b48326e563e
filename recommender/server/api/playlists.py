"""Routes that make playlists: path, playlist, station, and any tracks as M3U8."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from indexer.errors import InvalidOption
from recommender.playlists import Playlist, Station, fill_playlist, path_between
from recommender.playlists.files import m3u8_text, name_in_a_line
from recommender.playlists.playlist import Entry
from recommender.retrieval.answers import WordShift
from recommender.server.api.answers import (
    TRACK,
    Responses,
    TrackFacts,
    example,
    json_response,
    problems,
    track_facts,
)
from recommender.server.api.parameters import (
    LARGEST,
    LONGEST_TEXT,
    MOST_VALUES,
    Filter,
    TrackName,
    TrackNames,
    Words,
    track_of,
    tracks_of,
    where_from,
)
from recommender.server.attachment import attachment
from recommender.server.context import Server

router = APIRouter(tags=["playlists"])

LONGEST_S = 7 * 86_400
MOST_PLAYED = 2_000
"""Tracks that a client may say it has played."""
MOST_LISTED = 2_000
"""Tracks of an M3U8."""


class EntryFacts(TrackFacts):
    """A track of a playlist, with its cosines to the seed and to the track before."""

    cosine_to_seed: float
    cosine_to_previous: float | None
    words: list[WordShift]


class PlaylistAnswer(BaseModel):
    """Tracks in the order in which they are to be played."""

    title: str
    duration_s: float
    evenness: float | None
    note: str | None
    entries: list[EntryFacts]


Id = Annotated[int, Field(ge=1, le=LARGEST)]
Ids = Annotated[list[Id], Field(max_length=MOST_VALUES)]


Texts = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]], Field(max_length=20)
]


class StationFilter(BaseModel):
    """A filter, as the query parameters of other questions."""

    model_config = ConfigDict(extra="forbid")

    artist: list[str] = []
    album: list[str] = []
    genre: list[str] = []
    musical_key: list[str] = []
    tag: list[str] = []
    year_from: int | None = None
    year_to: int | None = None
    duration_from: float | None = None
    duration_to: float | None = None
    tempo_from: float | None = None
    tempo_to: float | None = None
    added_since: float | None = None


class StationRequest(BaseModel):
    """The next tracks of a station: from a seed, or from the state that the step before gave."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"seed": "17", "n": 3, "like": [], "dislike": [4]}},
    )

    seed: Annotated[str, Field(min_length=1, max_length=4096)] | Id | None = None
    state: dict[str, Any] | None = None
    n: Annotated[int, Field(ge=1, le=50)] = 5
    like: Ids = []
    dislike: Ids = []
    skip: Ids = []
    played: Annotated[list[Id], Field(max_length=MOST_PLAYED)] = []
    where: StationFilter = StationFilter()
    more: Texts | None = None
    less: Texts | None = None
    tie: Annotated[float, Field(ge=0, le=1)] = 0.7
    variety: Annotated[float, Field(ge=0, le=100)] = 0.1
    artist_gap: Annotated[int, Field(ge=0, le=1_000)] = 5
    random_state: Annotated[int, Field(ge=0, le=2**31)] = 0


class StationAnswer(BaseModel):
    """The next tracks of a station, and the state from which it goes on."""

    entries: list[EntryFacts]
    state: dict[str, Any]
    ended: str | None
    note: str | None


_ENTRY = {
    **TRACK,
    "cosine_to_seed": 0.91,
    "cosine_to_previous": None,
    "words": [],
}
_PLAYLIST = {
    "title": "from So What to All Blues",
    "duration_s": 561.2,
    "evenness": 1.2,
    "note": None,
    "entries": [_ENTRY],
}


_M3U8: Responses = {
    200: {
        "description": "An extended M3U8 of the tracks, in their order.",
        "content": {
            "application/vnd.apple.mpegurl": {
                "schema": {"type": "string"},
                "example": "#EXTM3U\n#EXTINF:561,Miles Davis - So What\nblue/17 so what.flac\n",
            }
        },
    }
}


@router.get(
    "/path",
    summary="A path between two tracks",
    response_model=PlaylistAnswer,
    responses=example(_PLAYLIST) | problems(404, 422),
)
def path(
    server: Server,
    where: Filter,
    start: TrackName,
    end: TrackName,
    steps: Annotated[int, Query(ge=1, le=100)] = 8,
    more: Words = [],  # noqa: B006 - FastAPI copies defaults
    less: Words = [],  # noqa: B006
) -> Response:
    """A playlist from one track to another in even steps, as `soundalike path`."""
    ends = tracks_of(server, [start, end])
    found = path_between(
        server.recommender, ends[0].id, ends[1].id, steps, where=where, more=more, less=less
    )
    return json_response(playlist_json(found), keep=True)


@router.get(
    "/playlist",
    summary="A playlist of a given length",
    response_model=PlaylistAnswer,
    responses=example(_PLAYLIST) | problems(404, 422),
)
def playlist(
    server: Server,
    where: Filter,
    seed: TrackNames,
    total_s: Annotated[float, Query(gt=0, le=LONGEST_S, allow_inf_nan=False, examples=[2700])],
    per_artist: Annotated[int, Query(ge=1, le=1_000)] = 3,
    variety: Annotated[float, Query(ge=0, le=100, allow_inf_nan=False)] = 0.1,
    random_state: Annotated[int, Query(ge=0, le=2**31)] = 0,
    more: Words = [],  # noqa: B006 - FastAPI copies defaults
    less: Words = [],  # noqa: B006
) -> Response:
    """Tracks that sound like any seed and last so long together, as `soundalike playlist`."""
    found = fill_playlist(
        server.recommender,
        [track.id for track in tracks_of(server, seed)],
        total_s,
        where=where,
        per_artist=per_artist,
        variety=variety,
        random_seed=random_state,
        more=more,
        less=less,
    )
    return json_response(playlist_json(found), keep=True)


@router.post(
    "/station",
    summary="The next tracks of a station",
    response_model=StationAnswer,
    responses=example({"entries": [_ENTRY], "state": {"format": 1}, "ended": None, "note": None})
    | problems(400, 404, 408, 413, 422),
)
def station(server: Server, request: StationRequest) -> Response:
    """Music that goes on around a seed and follows likes, dislikes and skips.

    The server keeps nothing: the state goes to the client and comes back with the next step.
    """
    playing = _station(server, request)
    playing.lean(*map(server.recommender.tracks, (request.like, request.dislike)))
    for track in server.recommender.tracks(request.skip):
        playing.skip(track)
    playing.pass_over(request.played)
    if request.more is not None or request.less is not None:
        playing.steer(more=request.more or (), less=request.less or ())
    found = playing.take(request.n)
    return json_response(
        {
            "entries": [entry_json(entry) for entry in found],
            "state": playing.to_json(),
            "ended": playing.ended,
            "note": found.note,
        }
    )


def _station(server: Server, request: StationRequest) -> Station:
    if request.state is not None:
        if isinstance(request.state.get("seed"), str):
            raise InvalidOption("the seed in a station's state is an id or a vector")
        return Station.from_json(server.recommender, request.state)
    if request.seed is None:
        raise InvalidOption("a station needs a seed, or the state of the step before")
    return Station(
        server.recommender,
        track_of(server, str(request.seed)).id,
        where=where_from(**request.where.model_dump()),
        tie=request.tie,
        variety=request.variety,
        artist_gap=request.artist_gap,
        random_seed=request.random_state,
    )


@router.get(
    "/playlist.m3u8",
    summary="Tracks as a playlist file",
    response_class=Response,
    responses=_M3U8 | problems(404, 422),
)
def m3u8(
    server: Server,
    request: Request,
    id: Annotated[list[str], Query(min_length=1, max_length=MOST_LISTED)],  # noqa: A002
    title: Annotated[str, Query(max_length=LONGEST_TEXT)] = "soundalike",
    links: bool = False,  # noqa: FBT001, FBT002 - handed over by name
) -> Response:
    """Exactly these tracks in this order: by file name below the indexed folders, or as links."""
    tracks = tracks_of(server, id)
    base = str(request.url).partition("playlist.m3u8")[0]
    text = m3u8_text(
        tracks,
        title=title,
        entry=lambda track: (
            f"{base}tracks/{track.id}/audio" if links else name_in_a_line(track.key)
        ),
    )
    return Response(
        text.encode(errors="replace"),
        headers={"Content-Disposition": attachment(f"{title or 'soundalike'}.m3u8")},
        media_type="application/vnd.apple.mpegurl",
    )


def playlist_json(found: Playlist) -> dict[str, Any]:
    """A playlist as plain values, without paths."""
    return {**found.to_json(), "entries": [entry_json(entry) for entry in found]}


def entry_json(entry: Entry) -> dict[str, Any]:
    """An entry of a playlist as plain values, without its path."""
    known = entry.to_json()
    names = ("cosine_to_seed", "cosine_to_previous", "words")
    return {**track_facts(entry.track), **{name: known[name] for name in names}}
