"""Routes for players: the sound of a track, its cover."""

from __future__ import annotations

from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from indexer.catalog.file_queries import TrackFile
from indexer.catalog.records import Track
from recommender.engine import Recommender
from recommender.server.api.answers import Responses, problems
from recommender.server.api.parameters import TrackId
from recommender.server.caching import etag_fits
from recommender.server.context import Server
from recommender.server.sound.browser_formats import PLAYS, stored_type
from recommender.server.sound.ranged_answers import answer
from recommender.server.sound.sources import Source, VirtualWav, require_reachable

router = APIRouter(tags=["sound"])

Plays = Annotated[
    str | None,
    Query(
        max_length=200,
        description=f"Formats that the client plays, of {', '.join(PLAYS)}, separated by commas; "
        "all of them where it is left out. What it does not play comes as WAV.",
        examples=["mp3,aac,flac,ogg,opus,wav"],
    ),
]
COVER_CACHE_CONTROL = "private, max-age=86400"

_SOUND_TYPES = (
    "audio/wav", "audio/mpeg", "audio/mp4", "audio/aac", "audio/flac", "audio/ogg",
)  # fmt: skip
_PICTURE_TYPES = ("image/jpeg", "image/png", "image/webp", "image/gif", "image/svg+xml")


def _binary(types: tuple[str, ...], example: str) -> dict[str, Any]:
    """What OpenAPI says of an answer that is bytes of one of these types."""
    schema = {"type": "string", "format": "binary"}
    return {one: {"schema": schema, "example": example} for one in types}


_SOUND: Responses = {
    200: {
        "description": "All of it; `ETag` is another one for other bytes.",
        "content": _binary(_SOUND_TYPES, "RIFF..."),
    },
    206: {
        "description": "The range that was asked for, which `Content-Range` names.",
        "content": _binary(_SOUND_TYPES, "RIFF..."),
    },
    304: {"description": "The client has these bytes."},
}
_COVER: Responses = {
    200: {
        "description": "The picture in the file's tags or beside it, else a tile.",
        "content": _binary(_PICTURE_TYPES, "<svg ..."),
    },
    304: {"description": "The client has this picture."},
}


async def send_sound(
    request: Request, server: Server, track_id: TrackId, plays: Plays = None
) -> Response:
    """Send the sound of a track, of which a range may be asked for.

    What the client plays is the file as it is stored. All else is decoded while it is sent, as
    16-bit WAV, of which any range has the same bytes whenever it is asked for.
    """
    track, file = await to_thread.run_sync(_find, server.recommender, track_id)
    media_type = stored_type(track, PLAYS if plays is None else plays.lower().split(","))
    source: Source
    if media_type is None:
        await to_thread.run_sync(require_reachable, track_id, file.path)
        source = VirtualWav(track, file, server.playback)
    else:
        source = await server.stored_files.open(track_id, file, media_type)
    return await answer(request, source, server.streams)


for _method, _summary in (
    ("GET", "Sound of a track"),
    ("HEAD", "Size and kind of a track's sound"),
):
    router.add_api_route(
        "/tracks/{track_id}/audio",
        send_sound,
        methods=[_method],
        operation_id=f"{_method.lower()}_sound",
        summary=_summary,
        response_class=Response,
        responses=_SOUND | problems(404, 409, 410, 416, 422, 503),
    )


@router.get(
    "/tracks/{track_id}/cover",
    summary="Cover of a track",
    response_class=Response,
    responses=_COVER | problems(404, 422, 503),
)
async def send_cover(request: Request, server: Server, track_id: TrackId) -> Response:
    """Send the cover of a track: the picture in its file, else one in its folder, else a tile.

    Pictures are handed on as they are stored. A tile is drawn from the embedding: tracks that sound
    alike have tiles alike.
    """
    _, file = await to_thread.run_sync(_find, server.recommender, track_id)
    cover = await server.covers.cover(track_id, file)
    headers = {"ETag": cover.etag, "Cache-Control": COVER_CACHE_CONTROL}
    if etag_fits(request.headers.get("if-none-match"), cover.etag):
        return Response(status_code=304, headers=headers)
    return Response(cover.data, headers=headers, media_type=cover.media_type)


def _find(recommender: Recommender, track_id: int) -> tuple[Track, TrackFile]:
    """A present track and its file."""
    return recommender.track(track_id), recommender.track_file(track_id)
