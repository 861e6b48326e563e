"""Endpoints of lyrics: getLyricsBySongId, getLyrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio.from_thread

from indexer.errors import AnalysisError
from indexer.text_folding import fold
from recommender.text.lyric_lines import find_lyrics

if TYPE_CHECKING:
    from indexer.audio.tags import TaggedLyrics
    from indexer.catalog.records import Track
    from recommender.server.opensubsonic.parameters import Parameters
    from recommender.server.opensubsonic.server import RestServer
    from recommender.text.lyric_lines import LyricLine, Lyrics

UNKNOWN_LANGUAGE = "und"
CANDIDATES = 20
"""Songs among which one of a name is looked for."""


def get_lyrics_by_song_id(server: RestServer, parameters: Parameters) -> dict[str, Any]:
    """The lyrics of a song, with times where they are known."""
    track = server.recommender.track(parameters.track_id())
    lyrics = _lyrics(server, track)
    found = [] if lyrics is None else [_structured(track, lyrics)]
    return {"lyricsList": {"structuredLyrics": found}}


def get_lyrics(server: RestServer, parameters: Parameters) -> dict[str, Any]:
    """The lyrics of the song that an artist and a title name, as older clients ask for them."""
    track = _named(server, parameters.text("artist"), parameters.text("title"))
    lyrics = None if track is None else _lyrics(server, track)
    if track is None or lyrics is None:
        return {"lyrics": {"value": ""}}
    return {"lyrics": {"artist": track.artist, "title": track.title, "value": lyrics.text}}


def _lyrics(server: RestServer, track: Track) -> Lyrics | None:
    path = server.recommender.track_file(track.id).path

    def read_tags(path: bytes) -> TaggedLyrics | None:
        try:
            return anyio.from_thread.run(server.context.playback.lyrics, path)
        except AnalysisError:
            return None

    return find_lyrics(path, read_tags)


def _structured(track: Track, lyrics: Lyrics) -> dict[str, Any]:
    return {
        "displayArtist": track.artist,
        "displayTitle": track.title,
        "lang": lyrics.language or UNKNOWN_LANGUAGE,
        "synced": lyrics.is_timed,
        "offset": lyrics.offset_ms,
        "line": [_line(line) for line in lyrics.lines],
    }


def _line(line: LyricLine) -> dict[str, Any]:
    return {"start": line.start_ms, "value": line.text}


def _named(server: RestServer, artist: str, title: str) -> Track | None:
    """The first song of exactly this artist, where one is named, and title; case is no matter."""
    if not title.strip() or not len(server.recommender):
        return None
    wanted = fold(title), fold(artist)
    for track in server.recommender.browse(f"{artist} {title}", CANDIDATES).tracks:
        if fold(track.title or "") == wanted[0] and wanted[1] in ("", fold(track.artist or "")):
            return track
    return None


ENDPOINTS = {"getLyricsBySongId": get_lyrics_by_song_id, "getLyrics": get_lyrics}
