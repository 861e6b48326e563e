"""Songs, albums and artists as the objects of OpenSubsonic: Child, AlbumID3, ArtistID3.

What OpenSubsonic added to Subsonic and is not known is "", 0 or an empty list, by which clients see
that the server has the field; what Subsonic had is left out.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from indexer.catalog.status import TrackStatus
from indexer.filesystem import display_path
from recommender.retrieval.lookup import display_title
from recommender.retrieval.names import split_genres
from recommender.server.opensubsonic.library_tree import (
    UNKNOWN_ALBUM,
    UNKNOWN_ARTIST,
    artist_id,
    song_id,
    sort_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from indexer.catalog.records import Opinion, Track
    from recommender.server.opensubsonic.library_tree import Album, Artist
    from recommender.server.opensubsonic.server import RestServer

MEDIA_TYPES = {
    "aac": "audio/aac",
    "aif": "audio/aiff",
    "aiff": "audio/aiff",
    "ape": "audio/x-ape",
    "flac": "audio/flac",
    "m4a": "audio/mp4",
    "m4b": "audio/mp4",
    "mka": "audio/x-matroska",
    "mp3": "audio/mpeg",
    "mp4": "audio/mp4",
    "mpc": "audio/x-musepack",
    "oga": "audio/ogg",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "wav": "audio/wav",
    "webm": "audio/webm",
    "wma": "audio/x-ms-wma",
    "wv": "audio/x-wavpack",
}
"""Media types by the ending of a file's name."""


def songs(server: RestServer, track_ids: Sequence[int] | NDArray[np.int64]) -> list[dict[str, Any]]:
    """Tracks as Child, in their order; those that are no longer present are left out.

    Raises
    ------
    UnknownTrack
        An id was never that of a track.
    """
    tracks = server.recommender.tracks(track_ids)
    return song_entries(server, [one for one in tracks if one.status == TrackStatus.PRESENT])


def song_entries(server: RestServer, tracks: Sequence[Track]) -> list[dict[str, Any]]:
    """Tracks as Child."""
    ids = [track.id for track in tracks]
    albums = server.tree.albums_of_songs(ids)
    sizes = server.recommender.file_sizes(ids)
    marks = server.marks()
    return [
        _child(track, albums.get(track.id), sizes.get(track.id))
        | _marked(marks.get(song_id(track.id)))
        for track in tracks
    ]


def album_entries(server: RestServer, albums: Iterable[Album]) -> list[dict[str, Any]]:
    """Albums as AlbumID3."""
    marks = server.marks()
    return [_album(album) | _marked(marks.get(album.id), unrated=0) for album in albums]


def album_folders(server: RestServer, albums: Iterable[Album]) -> list[dict[str, Any]]:
    """Albums as Child, as folders of the older endpoints; what else an album has comes beside it.

    Clients read the name of a folder from `title`, or else from `name` as that of an album.
    """
    return [
        {name: value for name, value in entry.items() if name != "isCompilation"}
        | {
            "parent": entry["artistId"],
            "isDir": True,
            "title": entry["name"],
            "album": entry["name"],
            "mediaType": "album",
            "userRating": entry["userRating"] or None,
        }
        for entry in album_entries(server, albums)
    ]


def artist_folders(server: RestServer, artists: Iterable[Artist]) -> list[dict[str, Any]]:
    """Artists as Artist, of the older endpoints."""
    marks = server.marks()
    return [
        {"id": artist.id, "name": artist.name, "coverArt": artist.id}
        | _marked(marks.get(artist.id))
        for artist in artists
    ]


def artist_entries(server: RestServer, artists: Iterable[Artist]) -> list[dict[str, Any]]:
    """Artists as ArtistID3."""
    marks = server.marks()
    return [
        # The protocol knows ratings of songs and albums only.
        _artist(artist) | _marked(marks.get(artist.id)) | {"userRating": None}
        for artist in artists
    ]


def time_text(seconds: float) -> str:
    """A Unix time as ISO 8601, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def media_type(suffix: str) -> str:
    """The media type of files with an ending."""
    return MEDIA_TYPES.get(suffix, "application/octet-stream")


def suffix_of(track: Track) -> str:
    """The ending of a track's file name, in lower case and without the dot."""
    name = os.path.basename(track.path)
    ending = os.path.splitext(name)[1].removeprefix(b".").lower()
    # Of an address on a server, what follows the name is no part of it.
    return display_path(ending.partition(b"?")[0]) or track.container.split(",")[0]


def artist_refs(names: Iterable[str]) -> list[dict[str, Any]]:
    """Artists as ArtistID3, of each only what must be there."""
    return [{"id": artist_id(name), "name": name} for name in names]


def _child(track: Track, album: Album | None, size: int | None) -> dict[str, Any]:
    artists = track.artists or ((track.artist,) if track.artist else (UNKNOWN_ARTIST,))
    shown = track.artist or ", ".join(artists)
    suffix = suffix_of(track)
    title = display_title(track)
    genres = split_genres(track.genre)
    of_album: dict[str, Any] = {}
    if album is not None:
        of_album = {
            "parent": album.id,
            "albumId": album.id,
            "album": album.name,
            "albumArtists": artist_refs(album.artists),
            "displayAlbumArtist": album.artist,
        }
    has_own_album = album is not None and album.name != UNKNOWN_ALBUM
    return {
        "id": song_id(track.id),
        "isDir": False,
        "title": title,
        **of_album,
        "artist": shown,
        "artistId": artist_id(artists[0]),
        "artists": artist_refs(artists),
        "displayArtist": shown,
        "track": track.track_number,
        "discNumber": track.disc_number,
        "musicBrainzId": track.musicbrainz_track_id or "",
        "isrc": [] if track.isrc is None else [track.isrc],
        "year": track.year,
        "genre": genres[0] if genres else None,
        "genres": [{"name": name} for name in genres],
        "coverArt": album.id if album is not None and has_own_album else song_id(track.id),
        "size": size,
        "contentType": media_type(suffix),
        "suffix": suffix,
        "duration": round(track.duration_s),
        "bitRate": None if track.bit_rate is None else round(track.bit_rate / 1000),
        "bitDepth": track.bit_depth or 0,
        "samplingRate": track.sample_rate,
        "channelCount": track.channels,
        "path": _virtual_path(track, album, title, suffix),
        "created": time_text(track.added_at),
        "type": "music",
        "mediaType": "song",
        "isVideo": False,
        "bpm": round(track.tempo_bpm or 0),
    }


def _album(album: Album) -> dict[str, Any]:
    return {
        "id": album.id,
        "name": album.name,
        "artist": album.artist,
        "artistId": artist_id(album.artists[0]),
        "artists": artist_refs(album.artists),
        "displayArtist": album.artist,
        "coverArt": album.id,
        "songCount": album.song_count,
        "duration": round(album.duration_s),
        "created": time_text(album.added_at),
        "year": album.year,
        "genre": album.genres[0] if album.genres else None,
        "genres": [{"name": name} for name in album.genres],
        "isCompilation": album.is_compilation,
        "musicBrainzId": album.musicbrainz_id or "",
    }


def _artist(artist: Artist) -> dict[str, Any]:
    return {
        "id": artist.id,
        "name": artist.name,
        "coverArt": artist.id,
        "albumCount": len(artist.albums),
        "sortName": sort_name(artist.name),
        "musicBrainzId": artist.musicbrainz_id or "",
        "roles": list(artist.roles),
    }


def _marked(mark: Opinion | None, *, unrated: int | None = None) -> dict[str, Any]:
    if mark is None:
        return {"starred": None, "userRating": unrated}
    starred = None if mark.starred_at is None else time_text(mark.starred_at)
    return {"starred": starred, "userRating": mark.rating or unrated}


def _virtual_path(track: Track, album: Album | None, title: str, suffix: str) -> str:
    """A path by the tags: the real one is nobody else's business."""
    number = "" if track.track_number is None else f"{track.track_number:02d} - "
    if track.disc_number is not None and number:
        number = f"{track.disc_number}-{number}"
    parts = [] if album is None else [album.artist, album.name]
    return "/".join(part.replace("/", "_") for part in (*parts, f"{number}{title}.{suffix}"))
