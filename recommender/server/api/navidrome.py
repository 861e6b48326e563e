"""The route that Navidrome's plugin asks."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from recommender.players.navidrome.calls import answer_call
from recommender.server.api.answers import example, json_response, problems
from recommender.server.context import Server

router = APIRouter(tags=["players"])

Text = Annotated[str, Field(max_length=4096)]
Count = Annotated[int, Field(ge=-(2**31), lt=2**31)]


class _Given(BaseModel):
    """What Navidrome gives; fields that it may have in other versions are passed over."""

    model_config = ConfigDict(extra="ignore")


class Artist(_Given):
    """An artist of a song."""

    name: Text = ""


class Song(_Given):
    """A song of Navidrome's library: a SongRef."""

    name: Text = ""
    mbid: Text = ""
    isrc: Text = ""
    artist: Text = ""
    artists: Annotated[list[Artist], Field(max_length=1000)] = []
    album: Text = ""
    duration: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)] = 0.0
    durationMs: Annotated[int, Field(ge=0, lt=2**32)] = 0  # noqa: N815 - Navidrome's name


class SimilarTo(_Given):
    """A question for songs like one."""

    song: Song
    count: Count = 10


class PathBetween(_Given):
    """A question for songs between two."""

    startSong: Song  # noqa: N815 - Navidrome's names
    endSong: Song  # noqa: N815
    count: Count = 25


class SimilarToNamed(_Given):
    """A question for songs like those of a track, an album or an artist."""

    name: Text = ""
    artist: Text = ""
    mbid: Text = ""
    count: Count = 50


class SimilarCall(BaseModel):
    """`nd_get_sonic_similar_tracks`."""

    call: Literal["nd_get_sonic_similar_tracks"]
    input: SimilarTo


class PathCall(BaseModel):
    """`nd_find_sonic_path`."""

    call: Literal["nd_find_sonic_path"]
    input: PathBetween


class NamedCall(BaseModel):
    """One of `nd_get_similar_songs_by_track`, `..._by_album` and `..._by_artist`."""

    call: Literal[
        "nd_get_similar_songs_by_track",
        "nd_get_similar_songs_by_album",
        "nd_get_similar_songs_by_artist",
    ]
    input: SimilarToNamed


Call: TypeAlias = Annotated[SimilarCall | PathCall | NamedCall, Field(discriminator="call")]
"""A call that Navidrome has made of the plugin: its name, and what it was given."""


class SongReference(BaseModel):
    """A song as Navidrome looks for it in its library."""

    model_config = ConfigDict(extra="allow")

    name: str


class Match(BaseModel):
    """A song, and how like the first one it is, from 0 to 1."""

    song: SongReference
    similarity: float


class NavidromeAnswer(BaseModel):
    """Matches of the calls that are about sound, songs of the others; empty: not found."""

    matches: list[Match] = []
    songs: list[SongReference] = []


_EXAMPLE = {
    "matches": [
        {
            "song": {
                "name": "So What",
                "artist": "Miles Davis",
                "artists": [{"name": "Miles Davis"}],
                "album": "Kind of Blue",
                "duration": 561.2,
                "durationMs": 561200,
            },
            "similarity": 0.98,
        }
    ]
}


@router.post(
    "/navidrome",
    summary="What Navidrome's plugin asks",
    response_model=NavidromeAnswer,
    responses=example(_EXAMPLE) | problems(400, 408, 413, 422),
)
def navidrome(server: Server, request: Call) -> Response:
    """Answer a call of the plugin that `soundalike navidrome-plugin` writes."""
    given: dict[str, Any] = request.input.model_dump()
    return json_response(answer_call(server.recommender, request.call, given))
