"""Endpoints of playlists, which can be read only: getPlaylists, getPlaylist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from indexer.catalog.status import TrackStatus
from recommender.retrieval.lookup import is_id
from recommender.server.opensubsonic.authentication import USER
from recommender.server.opensubsonic.entries import songs, time_text
from recommender.server.opensubsonic.kept_playlists import STATION
from recommender.server.opensubsonic.refusals import NOT_ALLOWED, NOT_FOUND, Refused

if TYPE_CHECKING:
    from recommender.server.opensubsonic.kept_playlists import ListOfSongs
    from recommender.server.opensubsonic.parameters import Parameters
    from recommender.server.opensubsonic.server import RestServer


def get_playlists(server: RestServer, _parameters: Parameters) -> dict[str, Any]:
    """Playlists in files of the library's folders, then stations."""
    found = list(server.playlists.saved().values())
    if len(server.recommender):
        found += server.playlists.stations(server.marks(), server.tree)
    return {"playlists": {"playlist": [_playlist(server, one) for one in found]}}


def get_playlist(server: RestServer, parameters: Parameters) -> dict[str, Any]:
    """A playlist with its songs."""
    found = _find(server, parameters.required("id"))
    return {"playlist": {**_playlist(server, found), "entry": songs(server, found.track_ids)}}


def refuse_change(_server: RestServer, _parameters: Parameters) -> dict[str, Any]:
    """Refuse to write playlists."""
    message = "playlists cannot be changed here: write an .m3u8 file into a folder of the library"
    raise Refused(NOT_ALLOWED, message)


def _find(server: RestServer, playlist_id: str) -> ListOfSongs:
    number = playlist_id.removeprefix(STATION)
    if number != playlist_id and is_id(number):
        return server.playlists.station(int(number), server.marks(), server.tree)
    found = server.playlists.saved().get(playlist_id)
    if found is None:
        message = f"no playlist has the id {playlist_id[:80]!r}: getPlaylists lists them"
        raise Refused(NOT_FOUND, message)
    return found


def _playlist(server: RestServer, found: ListOfSongs) -> dict[str, Any]:
    """A playlist as Playlist."""
    tracks = server.recommender.tracks(found.track_ids)
    present = [one for one in tracks if one.status == TrackStatus.PRESENT]
    return {
        "id": found.id,
        "name": found.name,
        "comment": found.comment,
        "owner": USER,
        "public": False,
        "readonly": True,
        "songCount": len(present),
        "duration": round(sum(track.duration_s for track in present)),
        "created": time_text(found.changed_at),
        "changed": time_text(found.changed_at),
        "coverArt": found.id,
    }


ENDPOINTS = {
    "getPlaylists": get_playlists,
    "getPlaylist": get_playlist,
    "createPlaylist": refuse_change,
    "updatePlaylist": refuse_change,
    "deletePlaylist": refuse_change,
}
