"""Songs of a server from a file: Jellyfin's answer to `/Items`, or songs as Subsonic has them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from indexer.errors import InvalidOption
from recommender.players.song_ids.songs import KnownSong, song_number, song_text, song_texts
from recommender.players.song_ids.subsonic import known_song

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TICKS_PER_S = 10_000_000
"""Jellyfin counts time in units of 100 ns."""


def listed_songs(path: Path) -> Iterator[KnownSong]:
    """Songs of a JSON file: `{"Items": [...]}` of Jellyfin, or a list of Subsonic's songs.

    Raises
    ------
    InvalidOption
        It is something else.
    """
    remedy = "name Jellyfin's answer to /Items, or a list of songs as Subsonic has them"
    try:
        listing = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InvalidOption(f"{path} is no JSON: {remedy}") from error
    if isinstance(listing, dict) and isinstance(listing.get("Items"), list):
        songs = [jellyfin_song(item) for item in listing["Items"] if isinstance(item, dict)]
    elif isinstance(listing, list):
        songs = [known_song(song) for song in listing if isinstance(song, dict)]
    else:
        raise InvalidOption(f"{path} holds no songs: {remedy}")
    return (song for song in songs if song.id)


def jellyfin_song(item: dict[str, Any]) -> KnownSong:
    """A song by what Jellyfin's BaseItemDto says."""
    ids = item.get("ProviderIds")
    artists = item.get("Artists")
    return KnownSong(
        id=song_text(item.get("Id")),
        title=song_text(item.get("Name")),
        artists=song_texts(
            [*(artists if isinstance(artists, list) else []), item.get("AlbumArtist")]
        ),
        album=song_text(item.get("Album")),
        duration_s=song_number(item.get("RunTimeTicks")) / TICKS_PER_S,
        # Its MusicBrainzTrack is the track of a release, not the recording.
        musicbrainz_track_id=song_text(
            ids.get("MusicBrainzRecording") if isinstance(ids, dict) else None
        ),
        path=song_text(item.get("Path")),
    )
