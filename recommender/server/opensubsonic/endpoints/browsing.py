"""Endpoints that go from artists to albums to songs, by tags or as folders."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from indexer.errors import UnknownTrack
from recommender.retrieval.lookup import require_present
from recommender.server.opensubsonic.endpoints.system import MUSIC_FOLDER
from recommender.server.opensubsonic.entries import (
    album_entries,
    album_folders,
    artist_entries,
    artist_folders,
    song_entries,
    songs,
)
from recommender.server.opensubsonic.library_tree import (
    ARTIST,
    IGNORED_ARTICLES,
    SONG,
    index_letter,
    sort_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from recommender.server.opensubsonic.library_tree import Album, Artist
    from recommender.server.opensubsonic.parameters import Parameters
    from recommender.server.opensubsonic.server import RestServer


def get_artists(server: RestServer, _parameters: Parameters) -> dict[str, Any]:
    """All artists by the first letter of their names."""
    return {
        "artists": {"ignoredArticles": IGNORED_ARTICLES, "index": _index(server, artist_entries)}
    }


def get_indexes(server: RestServer, parameters: Parameters) -> dict[str, Any]:
    """The same for older clients; nothing for those that have it since the last change."""
    modified = server.kept_tree.changed_at_ms()
    is_known = parameters.whole("ifModifiedSince", 0, most=2**63 - 1) >= modified
    return {
        "indexes": {
            "ignoredArticles": IGNORED_ARTICLES,
            "lastModified": modified,
            "index": [] if is_known else _index(server, artist_folders),
        }
    }


def get_artist(server: RestServer, parameters: Parameters) -> dict[str, Any]:
    """An artist with the albums that are the artist's or hold a song of the artist's."""
    artist = server.tree.artist(parameters.required("id"))
    (entry,) = artist_entries(server, [artist])
    return {"artist": entry | {"album": album_entries(server, server.tree.artist_albums(artist))}}


def get_album(server: RestServer, parameters: Parameters) -> dict[str, Any]:
    """An album with its songs."""
    tree = server.tree
    album = tree.album(parameters.required("id"))
    (entry,) = album_entries(server, [album])
    return {"album": entry | {"song": songs(server, tree.album_songs(album))}}


def get_song(server: RestServer, parameters: Parameters) -> dict[str, Any]:
    """A song."""
    track = require_present(server.recommender.track(parameters.track_id()))
    return {"song": song_entries(server, [track])[0]}


def get_music_directory(server: RestServer, parameters: Parameters) -> dict[str, Any]:
    """What lies below the music folder, an artist or an album."""
    tree, wanted = server.tree, parameters.required("id")
    if wanted == str(MUSIC_FOLDER["id"]):
        children = [
            {
                "id": one.pop("id"),
                "isDir": True,
                "title": one.pop("name"),
                "mediaType": "artist",
                **one,
            }
            for one in artist_folders(server, tree.artists)
        ]
        return {"directory": {"id": wanted, "name": MUSIC_FOLDER["name"], "child": children}}
    if wanted.startswith(ARTIST):
        artist = tree.artist(wanted)
        (folder,) = artist_folders(server, [artist])
        children = album_folders(server, tree.artist_albums(artist))
    else:
        album = tree.album(wanted)
        (folder,) = album_folders(server, [album])
        children = songs(server, tree.album_songs(album))
    # An artist has no parent: players climb from one to the next until there is none, and take what
    # they come to for an entry of getIndexes, which no music folder is.
    kept = {name: folder.get(name) for name in ("id", "name", "parent", "starred", "userRating")}
    return {"directory": {**kept, "child": children}}


def get_album_info(server: RestServer, parameters: Parameters) -> dict[str, Any]:
    """The MusicBrainz id of an album, or of a song's album; there are no notes on it."""
    return {"albumInfo": {"musicBrainzId": _album_of(server, parameters).musicbrainz_id}}


def _album_of(server: RestServer, parameters: Parameters) -> Album:
    tree, wanted = server.tree, parameters.required("id")
    if not wanted.startswith(SONG):
        return tree.album(wanted)
    found = tree.albums_of_songs([parameters.track_id()])
    for album in found.values():
        return album
    raise UnknownTrack(f"no album holds the song {wanted[:80]!r}")


def _index(
    server: RestServer, entries: Callable[[RestServer, Iterable[Artist]], list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """All artists by the first letter of what they are sorted by."""
    groups: dict[str, list[dict[str, Any]]] = {}
    shown = entries(server, server.tree.artists)
    for letter, some in groupby(shown, lambda one: index_letter(sort_name(one["name"]))):
        groups.setdefault(letter, []).extend(some)
    return [{"name": letter, "artist": some} for letter, some in groups.items()]


ENDPOINTS = {
    "getArtists": get_artists,
    "getIndexes": get_indexes,
    "getArtist": get_artist,
    "getAlbum": get_album,
    "getSong": get_song,
    "getMusicDirectory": get_music_directory,
    "getAlbumInfo": get_album_info,
    "getAlbumInfo2": get_album_info,
}
