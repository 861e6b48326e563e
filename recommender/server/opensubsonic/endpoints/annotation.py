"""Endpoints by which a listener says what is liked: stars, ratings, plays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from indexer.errors import UnknownTrack
from recommender.retrieval.lookup import require_present
from recommender.server.opensubsonic.entries import (
    album_entries,
    album_folders,
    artist_entries,
    artist_folders,
    songs,
)
from recommender.server.opensubsonic.library_tree import ALBUM, ARTIST, SONG
from recommender.server.opensubsonic.marks import subject_of
from recommender.server.opensubsonic.parameters import track_id_of
from recommender.server.opensubsonic.refusals import (
    MISSING_PARAMETER,
    NOT_ALLOWED,
    NOT_FOUND,
    Refused,
)

if TYPE_CHECKING:
    from indexer.catalog.records import Subject
    from recommender.server.opensubsonic.library_tree import Album, Artist
    from recommender.server.opensubsonic.parameters import Parameters
    from recommender.server.opensubsonic.server import RestServer

STARRABLE = ("id", "albumId", "artistId")
"""Parameters that name what is starred; the first one takes ids of every kind."""


def star(server: RestServer, parameters: Parameters) -> dict[str, Any]:
    """Give stars to songs, albums and artists."""
    subjects = _subjects(server, parameters)
    for item_id in _ids(parameters):
        _require_there(server, item_id)
    server.recommender.opinions.star(subjects)
    return {}


def unstar(server: RestServer, parameters: Parameters) -> dict[str, Any]:
    """Take stars away, also of what has left the library."""
    server.recommender.opinions.unstar(_subjects(server, parameters))
    return {}


def set_rating(server: RestServer, parameters: Parameters) -> dict[str, Any]:
    """Rate a song, an album or an artist from 1 to 5; 0 takes the rating away."""
    item_id = parameters.required("id")
    parameters.required("rating")
    rating = parameters.whole("rating", 0, least=-1, most=6)
    _require_writes(server)
    subject = _subject(item_id)
    if rating:
        _require_there(server, item_id)
    server.recommender.opinions.rate(subject, rating or None)
    return {}


def get_starred(server: RestServer, _parameters: Parameters) -> dict[str, Any]:
    """What has a star, as older clients ask for it."""
    artists, albums, entries = _starred(server)
    return {
        "starred": {
            "artist": artist_folders(server, artists),
            "album": album_folders(server, albums),
            "song": entries,
        }
    }


def get_starred2(server: RestServer, _parameters: Parameters) -> dict[str, Any]:
    """What has a star, the latest first."""
    artists, albums, entries = _starred(server)
    return {
        "starred2": {
            "artist": artist_entries(server, artists),
            "album": album_entries(server, albums),
            "song": entries,
        }
    }


def scrobble(server: RestServer, parameters: Parameters) -> dict[str, Any]:
    """Take note of a song that was played, or is: nothing is kept of it."""
    parameters.required("id")
    for item_id in parameters.all("id"):
        server.recommender.track(track_id_of(item_id))
    return {}


def get_now_playing(_server: RestServer, _parameters: Parameters) -> dict[str, Any]:
    """Nothing: who plays what is not kept."""
    return {"nowPlaying": {"entry": []}}


def _starred(server: RestServer) -> tuple[list[Artist], list[Album], list[dict[str, Any]]]:
    """Artists, albums and songs with a star, the latest first, that are in the library."""
    starred = [
        (item_id, mark.starred_at)
        for item_id, mark in server.marks().items()
        if mark.starred_at is not None
    ]
    starred.sort(key=lambda one: -one[1])
    tree = server.tree
    artists, albums, track_ids = [], [], []
    for item_id, _ in starred:
        if item_id.startswith(SONG):
            track_ids.append(track_id_of(item_id))
            continue
        try:
            if item_id.startswith(ALBUM):
                albums.append(tree.album(item_id))
            else:
                artists.append(tree.artist(item_id))
        except UnknownTrack:
            continue
    return artists, albums, songs(server, track_ids)


def _ids(parameters: Parameters) -> list[str]:
    found = [one for name in STARRABLE for one in parameters.all(name) if one]
    if not found:
        raise Refused(MISSING_PARAMETER, f"one of {', '.join(STARRABLE)} is missing")
    return found


def _subjects(server: RestServer, parameters: Parameters) -> list[Subject]:
    ids = _ids(parameters)
    _require_writes(server)
    return [_subject(item_id) for item_id in ids]


def _subject(item_id: str) -> Subject:
    found = subject_of(item_id)
    if found is None:
        raise Refused(NOT_FOUND, f"no song, album or artist has the id {item_id[:80]!r}")
    return found


def _require_there(server: RestServer, item_id: str) -> None:
    """Refuse an id of what is not in the library.

    Raises
    ------
    UnknownTrack, Refused
    """
    if item_id.startswith(ALBUM):
        server.tree.album(item_id)
    elif item_id.startswith(ARTIST):
        server.tree.artist(item_id)
    else:
        require_present(server.recommender.track(track_id_of(item_id)))


def _require_writes(server: RestServer) -> None:
    if not server.context.settings.allow_writes:
        raise Refused(
            NOT_ALLOWED,
            "this server keeps no stars and ratings: start it with `soundalike serve "
            "--allow-writes`",
        )


ENDPOINTS = {
    "star": star,
    "unstar": unstar,
    "setRating": set_rating,
    "getStarred": get_starred,
    "getStarred2": get_starred2,
    "scrobble": scrobble,
    "getNowPlaying": get_now_playing,
}
