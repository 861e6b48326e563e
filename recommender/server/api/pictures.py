"""Routes that draw: a track as a signal, two tracks side by side, the map; PNG."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from starlette.concurrency import run_in_threadpool

from recommender.server.api.answers import Responses, problems
from recommender.server.api.parameters import TrackId, TrackName, track_of, tracks_of
from recommender.server.caching import MARK
from recommender.server.context import Server

router = APIRouter(tags=["pictures"])

_PNG: Responses = {
    200: {
        "description": "A PNG picture.",
        "content": {
            "image/png": {
                "schema": {"type": "string", "format": "binary"},
                "example": "\x89PNG\r\n...",
            }
        },
    }
}


@router.get(
    "/tracks/{track_id}/picture.png",
    summary="A track as a signal",
    response_class=Response,
    responses=_PNG | problems(404, 422, 503),
)
async def picture(server: Server, track_id: TrackId) -> Response:
    """Waveform, log-mel spectrogram, chromagram, onsets and tags over time; takes seconds."""
    track = await run_in_threadpool(track_of, server, str(track_id))
    return _png(await server.slow_work.run(_picture, server.catalog.address, track.id))


@router.get(
    "/compare.png",
    summary="Two tracks side by side",
    response_class=Response,
    responses=_PNG | problems(404, 422, 503),
)
async def compare(server: Server, first: TrackName, second: TrackName) -> Response:
    """Spectrograms of two tracks, their tags, and which windows are most alike; takes seconds."""
    one, other = await run_in_threadpool(tracks_of, server, [first, second])
    return _png(await server.slow_work.run(_comparison, server.catalog.address, one.id, other.id))


@router.get(
    "/map.png",
    summary="The map of the library",
    response_class=Response,
    responses=_PNG | problems(422, 503),
)
async def library_map(
    server: Server, by: Annotated[Literal["genre", "cluster", "artist"] | None, Query()] = None
) -> Response:
    """All tracks in two dimensions, similar ones near each other; takes seconds."""
    return _png(await server.slow_work.run(_map, server.catalog.address, by))


def _picture(catalog: str, track_id: int) -> bytes:
    from recommender.engine import Recommender
    from recommender.plots.signal import draw_signal, read_signals
    from recommender.plots.style import as_png, need_matplotlib

    need_matplotlib()
    with Recommender.open(catalog) as recommender:
        (signal,) = read_signals(recommender, [track_id])
    return as_png(draw_signal(signal))


def _comparison(catalog: str, first: int, second: int) -> bytes:
    from recommender.engine import Recommender
    from recommender.plots.comparison import compare, draw_comparison
    from recommender.plots.style import as_png, need_matplotlib

    need_matplotlib()
    with Recommender.open(catalog) as recommender:
        found = compare(recommender, first, second)
    return as_png(draw_comparison(found))


def _map(catalog: str, by: str | None) -> bytes:
    from recommender.collection.library_map import map_library
    from recommender.engine import Recommender
    from recommender.plots.library_map import draw_map
    from recommender.plots.style import as_png, need_matplotlib

    need_matplotlib()
    with Recommender.open(catalog) as recommender:
        found = map_library(recommender, by=by)
    return as_png(draw_map(found))


def _png(content: bytes) -> Response:
    return Response(content, headers={MARK: "1"}, media_type="image/png")
