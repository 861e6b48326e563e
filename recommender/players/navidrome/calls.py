"""What Navidrome asks of a plugin, answered from the catalog.

The names of calls and of JSON fields are Navidrome's: its capabilities SonicSimilarity and
MetadataAgent. Navidrome finds the songs of an answer in its own library by MusicBrainz id, ISRC, or
title, artists, album and duration.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

from recommender.players.paths import path_of_at_most
from recommender.players.similarity import similarities
from recommender.retrieval.lookup import display_title
from recommender.retrieval.names import artist_key, credited_artists
from recommender.retrieval.ranking import PLAIN, RADIO
from recommender.retrieval.song_matching import SongDescription, artist_keys
from recommender.retrieval.where import Where

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from indexer.catalog.records import Track
    from recommender.engine import Recommender
    from recommender.retrieval.ranking import Ranking

Input: TypeAlias = "Mapping[str, Any]"

MOST = 500
"""Songs of an answer."""
_JOINED = " • "
"""Between the artists of a tag with several values, where Navidrome shows them as one text."""
MOST_SEEDS = 50
"""Tracks of an album or artist that a question starts from."""


def answer_call(recommender: Recommender, name: str, given: Input) -> dict[str, Any]:
    """What a call of the plugin returns.

    Parameters
    ----------
    name : str
        One of `CALLS`.
    given : mapping
        What Navidrome gave, checked: see `recommender.server.api.navidrome`.

    Returns
    -------
    dict
        With an empty list where the catalog does not know what the call is about, which Navidrome
        takes for "not found".

    Raises
    ------
    QueryError
        The catalog holds no tracks yet.
    """
    return CALLS[name](recommender, given)


def _sonic_similar(recommender: Recommender, given: Input) -> dict[str, Any]:
    seed = _track(recommender, given["song"])
    if seed is None:
        return {"matches": []}
    return {"matches": _matches(recommender, [seed], given["count"], PLAIN)}


def _sonic_path(recommender: Recommender, given: Input) -> dict[str, Any]:
    start, end = (_track(recommender, given[name]) for name in ("startSong", "endSong"))
    count = given["count"]
    if start is None or end is None or count < 1:
        return {"matches": []}
    if start.id == end.id or count == 1:
        return {"matches": [_match(start, 1.0)]}
    path = path_of_at_most(recommender, start, end, count)
    scores = [1.0, *similarities(recommender, [entry.to_seed for entry in path[1:]])]
    return {
        "matches": [_match(entry.track, score) for entry, score in zip(path, scores, strict=True)]
    }


def _similar_to_track(recommender: Recommender, given: Input) -> dict[str, Any]:
    # Navidrome says here neither album nor duration: of several recordings each is a seed.
    song = SongDescription(
        title=given["name"],
        artists=_shown_artists(given["artist"]),
        musicbrainz_track_id=given["mbid"],
    )
    return _songs(recommender, recommender.matching_tracks(song), given["count"])


def _similar_to_album(recommender: Recommender, given: Input) -> dict[str, Any]:
    tracks = _tracks_where(recommender, Where(album=(given["name"],)), given["name"])
    mbid = given["mbid"].lower()
    exact = [one for one in tracks if mbid and one.musicbrainz_album_id == mbid]
    artists = {artist_key(name) for name in _shown_artists(given["artist"])} - {None}
    # "Various Artists" is nobody's name: then no artist's own album of this name is meant.
    of_artist = [
        one
        for one in tracks
        if (artists & artist_keys(one) if artists else artist_key(one.album_artist) is None)
    ]
    return _songs(recommender, exact or of_artist, given["count"])


def _similar_to_artist(recommender: Recommender, given: Input) -> dict[str, Any]:
    name, mbid = given["name"], given["mbid"].lower()
    # Navidrome has a page for a guest too, whom the catalog knows only by a credit.
    names = (name, *_credits(recommender, name))
    tracks = _tracks_where(recommender, Where(artist=names), name)
    exact = [one for one in tracks if mbid and mbid in _artist_ids(one)]
    # Whoever has another id is a namesake; most libraries have tracks without ids.
    others = [one for one in tracks if not mbid or _ids_by_key(one).get(artist_key(name)) is None]
    return _songs(recommender, exact or others, given["count"])


def _credits(recommender: Recommender, name: str) -> list[str]:
    """Artists, as tags write them, who are several of whom one has a name."""
    key = artist_key(name)
    if key is None:
        return []
    return [
        credit
        for credit in recommender.artists(name)
        if key in map(artist_key, credited_artists(credit))
    ]


def _tracks_where(recommender: Recommender, where: Where, name: str) -> list[Track]:
    return recommender.tracks(recommender.ids(where)) if name.strip() else []


def _track(recommender: Recommender, song: Input) -> Track | None:
    """The track that is a song of Navidrome; None where none is known to be."""
    names = (song["artist"], *(artist["name"] for artist in song["artists"]))
    duration_s = song["durationMs"] / 1000 if song["durationMs"] else song["duration"]
    found = recommender.matching_tracks(
        SongDescription(
            title=song["name"],
            artists=tuple(name for name in names if name),
            album=song["album"],
            duration_s=duration_s,
            musicbrainz_track_id=song["mbid"],
            isrc=song["isrc"],
        )
    )
    return found[0] if found else None


def _songs(recommender: Recommender, seeds: Sequence[Track], count: int) -> dict[str, Any]:
    matches = _matches(recommender, _spread(seeds), count, RADIO)
    return {"songs": [match["song"] for match in matches]}


def _spread(tracks: Sequence[Track]) -> Sequence[Track]:
    """At most `MOST_SEEDS` tracks, from all over a list."""
    every = math.ceil(len(tracks) / MOST_SEEDS) or 1
    return tracks[::every]


def _matches(
    recommender: Recommender, seeds: Sequence[Track], count: int, ranking: Ranking
) -> list[dict[str, Any]]:
    if not seeds or count < 1:
        return []
    ids = [seed.id for seed in seeds]
    answer = recommender.similar_to_tracks(ids, n=min(count, MOST), ranking=ranking)
    tracks = recommender.tracks([one.id for one in answer])
    scores = similarities(recommender, [one.cosine for one in answer])
    return [_match(track, score) for track, score in zip(tracks, scores, strict=True)]


def _match(track: Track, similarity: float) -> dict[str, Any]:
    return {"song": song_json(track), "similarity": similarity}


def song_json(track: Track) -> dict[str, Any]:
    """A track as Navidrome's SongRef, old and new fields; without what is not known."""
    ids = track.musicbrainz_artist_ids
    song = {
        "name": display_title(track),
        "mbid": track.musicbrainz_track_id,
        "isrc": track.isrc,
        "artist": track.artist,
        "artistMbid": ids[0] if len(ids) == 1 and not track.artists[1:] else None,
        "artists": _artists_json(track),
        "album": track.album,
        "albumMbid": track.musicbrainz_album_id,
        "duration": round(track.duration_s, 3),
        "durationMs": round(1000 * track.duration_s),
    }
    return {name: value for name, value in song.items() if value}


def _artists_json(track: Track) -> list[dict[str, str]]:
    """A track's artists, each by itself, and as the tag has them where it names them in one text.

    Navidrome finds a song by any of them.
    """
    names = track.artists or ((track.artist,) if track.artist else ())
    ids = _ids_by_name(names, track.musicbrainz_artist_ids)
    single = _each(names)
    shown = names if single == names else (*names, *single)
    return [{"name": name, **({"mbid": ids[name]} if name in ids else {})} for name in shown]


def _ids_by_key(track: Track) -> dict[str | None, str]:
    """MusicBrainz's ids of a track's artists and its album's by `artist_key`, where it is known."""
    artists = track.artists or ((track.artist,) if track.artist else ())
    of_album = track.album_artists or ((track.album_artist,) if track.album_artist else ())
    ids = {
        **_ids_by_name(of_album, track.musicbrainz_album_artist_ids),
        **_ids_by_name(artists, track.musicbrainz_artist_ids),
    }
    return {artist_key(name): mbid for name, mbid in ids.items()}


def _artist_ids(track: Track) -> tuple[str, ...]:
    return (*track.musicbrainz_artist_ids, *track.musicbrainz_album_artist_ids)


def _ids_by_name(names: tuple[str, ...], ids: tuple[str, ...]) -> dict[str, str]:
    """Ids of artists by name; none where there are not as many, and whose is whose is unknown."""
    single = _each(names)
    return dict(zip(single, ids, strict=True)) if len(ids) == len(single) else {}


def _each(names: tuple[str, ...]) -> tuple[str, ...]:
    """Each artist of a tag: Navidrome cuts a tag of one value, and no other."""
    return credited_artists(names[0]) if len(names) == 1 else names


def _shown_artists(text: str) -> tuple[str, ...]:
    """The text by which Navidrome shows artists, then each of them where they are several."""
    parts = tuple(dict.fromkeys(part.strip() for part in text.split(_JOINED) if part.strip()))
    return (text, *parts) if len(parts) > 1 else (text,)


CALLS: dict[str, Callable[[Recommender, Input], dict[str, Any]]] = {
    "nd_get_sonic_similar_tracks": _sonic_similar,
    "nd_find_sonic_path": _sonic_path,
    "nd_get_similar_songs_by_track": _similar_to_track,
    "nd_get_similar_songs_by_album": _similar_to_album,
    "nd_get_similar_songs_by_artist": _similar_to_artist,
}
"""What the plugin exports."""
