"""The endpoint that sends pictures: getCoverArt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyio import to_thread
from starlette.responses import Response

from recommender.retrieval.lookup import require_present
from recommender.server.caching import etag_fits
from recommender.server.opensubsonic.kept_playlists import SAVED, STATION
from recommender.server.opensubsonic.library_tree import ALBUM, ARTIST, SONG
from recommender.server.opensubsonic.parameters import track_id_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from indexer.catalog.file_queries import TrackFile
    from recommender.server.opensubsonic.parameters import Parameters
    from recommender.server.opensubsonic.server import RestServer

CACHE_CONTROL = "private, max-age=86400"
SONGS = 50
"""Songs of an album, artist or playlist among which one with a picture is looked for."""
MOST_SIZE = 10_000
_TWICE = (SAVED + SAVED, SAVED + STATION)


async def get_cover_art(server: RestServer, parameters: Parameters) -> Response:
    """The cover of a song, or of an album, artist or playlist that of one of its songs."""
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
    ids = _songs(server, item_id)[:SONGS]
    with_cover = (track.id for track in server.recommender.tracks(ids) if track.has_cover)
    return next(with_cover, int(ids[0]))


def _songs(server: RestServer, item_id: str) -> Sequence[int] | NDArray[np.int64]:
    """Ids of the songs of an album, an artist or a playlist, or of one song; at least one.

    Raises
    ------
    Refused, UnknownTrack
    """
    # Some players (DSub) put what they take for the kind before the id of a playlist.
    item_id = item_id.removeprefix(SAVED) if item_id.startswith(_TWICE) else item_id
    tree = server.tree
    if item_id.startswith(ALBUM):
        return tree.album_songs(tree.album(item_id))
    if item_id.startswith(ARTIST):
        return tree.artist_songs(tree.artist(item_id))
    if item_id.startswith(SAVED) and (saved := server.playlists.saved().get(item_id)) is not None:
        return saved.track_ids
    if item_id.startswith(STATION):
        item_id = f"{SONG}{item_id.removeprefix(STATION)}"
    return [require_present(server.recommender.track(track_id_of(item_id))).id]


ENDPOINTS = {"getCoverArt": get_cover_art}
