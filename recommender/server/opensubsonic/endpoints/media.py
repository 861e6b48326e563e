"""Endpoints that send sound: stream, download."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyio import to_thread

from recommender.retrieval.lookup import display_name
from recommender.server.attachment import attachment
from recommender.server.opensubsonic.entries import media_type, suffix_of
from recommender.server.opensubsonic.stream_formats import choose_format
from recommender.server.sound.ranged_answers import answer, answer_whole
from recommender.server.sound.sources import VirtualWav, require_reachable

if TYPE_CHECKING:
    from starlette.responses import Response

    from indexer.catalog.file_queries import TrackFile
    from indexer.catalog.records import Track
    from recommender.server.opensubsonic.parameters import Parameters
    from recommender.server.opensubsonic.server import RestServer

MOST_KBPS = 100_000


async def stream(server: RestServer, parameters: Parameters) -> Response:
    """The sound of a song: its file, of which ranges may be asked for, or another encoding."""
    track, file = await to_thread.run_sync(_find, server, parameters)
    is_sized = parameters.flag("estimateContentLength")
    offset_s = parameters.whole("timeOffset", 0)
    chosen = choose_format(
        track,
        file.size,
        wanted=parameters.text("format"),
        most_kbps=parameters.whole("maxBitRate", 0, most=MOST_KBPS),
        is_from_start=offset_s == 0,
        is_sized=is_sized,
    )
    context = server.context
    if chosen == "stored":
        return await _stored(server, parameters, track, file)
    await to_thread.run_sync(require_reachable, track.id, file.path)
    if chosen == "wav":
        return await answer(
            parameters.request, VirtualWav(track, file, context.playback), context.streams
        )
    sound = context.transcodes.prepare(track, file, chosen, offset_s=offset_s, is_sized=is_sized)
    return await answer_whole(parameters.request, sound, context.streams)


async def download(server: RestServer, parameters: Parameters) -> Response:
    """The file of a song as it is stored, to be kept."""
    track, file = await to_thread.run_sync(_find, server, parameters)
    response = await _stored(server, parameters, track, file)
    name = f"{display_name(track)}.{suffix_of(track)}"
    response.headers["Content-Disposition"] = attachment(name)
    return response


async def _stored(
    server: RestServer, parameters: Parameters, track: Track, file: TrackFile
) -> Response:
    kind = media_type(suffix_of(track))
    source = await server.context.stored_files.open(track.id, file, kind)
    return await answer(parameters.request, source, server.context.streams)


def _find(server: RestServer, parameters: Parameters) -> tuple[Track, TrackFile]:
    """The song that is asked for, and its file."""
    track_id = parameters.track_id()
    return server.recommender.track(track_id), server.recommender.track_file(track_id)


ENDPOINTS = {"stream": stream, "download": download}
