"""Tracks of the catalog that are the song which another program describes.

Players name songs by ids of their own and describe them by tags. A description finds tracks by the
first of these that finds any:

1. the recording's MusicBrainz id,
2. its ISRC,
3. the end of its path, with the same title or about the same duration,
4. title and artist, without case, accents and featured artists, and about the same duration.

What fits none of them is not known: a song that is merely alike would be a wrong answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from indexer.catalog.identifier_queries import ids_of_isrc, ids_of_musicbrainz_track
from indexer.text_folding import fold
from recommender.retrieval.names import artist_key, credited_artists, is_placeholder

if TYPE_CHECKING:
    from indexer.catalog.reader import Catalog
    from indexer.catalog.records import Track

TOLERANCE_S = 3.0
"""Seconds by which two durations of one recording may differ: players round them, and encoders add
silence ..."""
TOLERANCE = 0.02
"""... or this part of it, the larger."""
MOST_NAMESAKES = 500
"""Tracks of one title that are looked at."""
LEAST_FOLDERS = 2
"""Parts of a path that say something: every album has a `01.mp3`."""


@dataclass(frozen=True, kw_only=True)
class SongDescription:
    """What another program knows of a song; empty is not known.

    Attributes
    ----------
    title, album : str
    artists : tuple of str
        Each by itself, or as shown, or both.
    duration_s : float
        0: not known.
    musicbrainz_track_id : str
        Of the recording.
    isrc : str
    path : str
        With slashes, below whatever folder.
    """

    title: str = ""
    artists: tuple[str, ...] = ()
    album: str = ""
    duration_s: float = 0.0
    musicbrainz_track_id: str = ""
    isrc: str = ""
    path: str = ""


def matching_tracks(catalog: Catalog, song: SongDescription) -> list[Track]:
    """Present tracks that are a song, the best first; empty where none is known to be.

    With a duration all of them last about as long. Without one they can be different recordings
    of one title.
    """
    return (
        _by_identifier(catalog, song)
        or _best_first(song, _by_path(catalog, song))
        or _best_first(song, _by_names(catalog, song))
    )


def _by_identifier(catalog: Catalog, song: SongDescription) -> list[Track]:
    # MusicBrainz's ids are written in either case, ISRCs with hyphens too.
    mbid = song.musicbrainz_track_id.strip().lower()
    isrc = song.isrc.strip().upper().replace("-", "")
    ids = ids_of_musicbrainz_track(catalog, mbid) if mbid else []
    if not ids and isrc:
        ids = ids_of_isrc(catalog, isrc)
    return _best_first(song, catalog.require_tracks(ids))


def _by_path(catalog: Catalog, song: SongDescription) -> list[Track]:
    parts = [part for part in song.path.replace("\\", "/").split("/") if part]
    ends = ["/".join(parts[at:]) for at in range(len(parts) - LEAST_FOLDERS + 1)]
    if not ends:
        return []
    found = catalog.ids_of_keys([end for end in ends if _is_storable(end)])
    tracks = catalog.require_tracks([found[end] for end in ends if end in found])
    return [
        track
        for track in tracks
        if (fits_duration(track, song) if song.duration_s else _has_title(track, song))
    ]


def _by_names(catalog: Catalog, song: SongDescription) -> list[Track]:
    if is_placeholder(song.title):
        return []
    keys = {key for name in song.artists if (key := artist_key(name)) is not None}
    if not keys:
        return []
    # By artist, with guests and without, and title; else by the title alone.
    names = dict.fromkeys(name for name in (*song.artists, *sorted(keys)) if name)
    texts = [f"{name} - {song.title}" for name in names]
    for text in [*texts, song.title]:
        ids = catalog.database.named_tracks(text, most=MOST_NAMESAKES)
        fitting = [
            track
            for track in catalog.require_tracks(ids)
            if _has_title(track, song)
            and not keys.isdisjoint(artist_keys(track))
            and (not song.duration_s or fits_duration(track, song))
        ]
        if fitting:
            return fitting
    return []


def artist_keys(track: Track) -> set[str]:
    """What spellings of a track's artists share: credited guests and its album's among them."""
    names = (*track.artists, track.artist, *track.album_artists, track.album_artist)
    single = (one for name in names if name for one in (name, *credited_artists(name)))
    return {key for name in single if (key := artist_key(name)) is not None}


def fits_duration(track: Track, song: SongDescription) -> bool:
    """Whether a track lasts about as long as a song."""
    difference = abs(track.duration_s - song.duration_s)
    return difference <= max(TOLERANCE_S, TOLERANCE * song.duration_s)


def _best_first(song: SongDescription, tracks: list[Track]) -> list[Track]:
    """Tracks of the same album first, then by how near their durations are."""
    album = _folded(song.album)

    def order(track: Track) -> tuple[bool, float, int]:
        difference = abs(track.duration_s - song.duration_s) if song.duration_s else 0.0
        return _folded(track.album or "") != album, difference, track.id

    return sorted(tracks, key=order)


def _has_title(track: Track, song: SongDescription) -> bool:
    return bool(song.title.strip()) and _folded(track.title or "") == _folded(song.title)


def _folded(text: str) -> str:
    return " ".join(fold(text).split())


def _is_storable(text: str) -> bool:
    """Whether a database takes a text: Unicode without zeros, which PostgreSQL refuses."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text
