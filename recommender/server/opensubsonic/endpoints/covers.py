"""The endpoint that sends pictures: getCoverArt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyio import to_thread
from starlette.responses import Response

from recommender.retrieval.lookup import require_present
from recommender.server.caching import etag_fits
from recommender.server.opensubsonic.library_tree import ALBUM, ARTIST
from recommender.server.opensubsonic.parameters import track_id_of

if TYPE_CHECKING:
    from indexer.catalog.file_queries import TrackFile
    from recommender.server.opensubsonic.parameters import Parameters
    from recommender.server.opensubsonic.server import RestServer

CACHE_CONTROL = "private, max-age=86400"
SONGS = 50
"""Songs of an album or artist among which one with a picture is looked for."""
MOST_SIZE = 10_000


async def get_cover_art(server: RestServer, parameters: Parameters) -> Response:
    """The cover of a song, or of an album or artist that of one of its songs."""
    item_id = parameters.required("id")
    size = parameters.whole("size", 0, most=MOST_SIZE) or None
    track_id, file = await to_thread.run_sync(_find, server, item_id)
    cover = await server.context.covers.pixels(track_id, file, size)
    headers = {"ETag": cover.etag, "Cache-Control": CACHE_CONTROL}
    if etag_fits(parameters.request.headers.get("if-none-match"), cover.etag):
        return Response(status_code=304, headers=headers)
    return Response(cover.data, headers=headers, media_type=cover.media_type)


def _find(server: RestServer, item_id: str) -> tuple[int, TrackFile]:
    """The song whose cover stands for an id, and its file."""
    track_id = _song(server, item_id)
    return track_id, server.recommender.track_file(track_id)


def _song(server: RestServer, item_id: str) -> int:
    """The song whose cover stands for an id: the first that has a picture in its file."""
    tree = server.tree
    if item_id.startswith(ALBUM):
        ids = tree.album_songs(tree.album(item_id))
    elif item_id.startswith(ARTIST):
        ids = tree.artist_songs(tree.artist(item_id))
    else:
        return require_present(server.recommender.track(track_id_of(item_id))).id
    some = ids[:SONGS].tolist()
    with_cover = (track.id for track in server.recommender.tracks(some) if track.has_cover)
    found: int = next(with_cover, some[0])
    return found


ENDPOINTS = {"getCoverArt": get_cover_art}
