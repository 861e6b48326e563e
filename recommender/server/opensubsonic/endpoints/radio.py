"""Endpoints that answer by sound: what is like a song, an album, an artist, and ways between songs.

Nothing here is by plays. What the listener has starred or disliked steers the radio of
getSimilarSongs and nothing else (see `recommender.retrieval.leaning`). The answers hold at most so
many songs of one artist and of one album.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recommender.players.paths import path_of_at_most
from recommender.players.similarity import similarities
from recommender.retrieval.lookup import require_present
from recommender.retrieval.ranking import RADIO, Ranking
from recommender.retrieval.where import Where
from recommender.server.opensubsonic.entries import artist_entries, artist_folders, songs
from recommender.server.opensubsonic.library_tree import (
    ALBUM,
    ARTIST,
    song_id,
)
from recommender.server.opensubsonic.marks import taste
from recommender.server.opensubsonic.parameters import track_id_of
from recommender.server.opensubsonic.refusals import MISSING_PARAMETER, Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from recommender.retrieval.answers import Answer
    from recommender.server.opensubsonic.library_tree import Artist
    from recommender.server.opensubsonic.parameters import Parameters
    from recommender.server.opensubsonic.server import RestServer

MOST = 500
MOST_ON_PATH = 101
"""Songs of a path: more take many seconds."""
MOST_ARTISTS = 100
MOST_SEEDS = 64
"""Songs that stand for an album or an artist at most."""


def get_similar_songs(server: RestServer, parameters: Parameters) -> dict[str, Any]:
    """Songs that sound like a song, an album or an artist."""
    return {"similarSongs": {"song": _like(server, parameters)}}


def get_similar_songs2(server: RestServer, parameters: Parameters) -> dict[str, Any]:
    """The same; by the protocol of an artist, and so of albums and songs too."""
    return {"similarSongs2": {"song": _like(server, parameters)}}


def get_sonic_similar_tracks(server: RestServer, parameters: Parameters) -> dict[str, Any]:
    """Songs that sound like a song, each with how alike it is."""
    track = require_present(server.recommender.track(parameters.track_id()))
    count = parameters.whole("count", 10, most=MOST)
    answer = sounding_like(server, [track.id], count) if count else ()
    return {
        "sonicMatch": _matches(server, [one.id for one in answer], [one.cosine for one in answer])
    }


def find_sonic_path(server: RestServer, parameters: Parameters) -> dict[str, Any]:
    """Songs that lead from one to another, each with how alike it is to the first.

    Where the library has too few between for so many songs, there are fewer.
    """
    start, end = (
        require_present(server.recommender.track(parameters.track_id(name)))
        for name in ("startSongId", "endSongId")
    )
    count = parameters.whole("count", 25, least=2, most=MOST_ON_PATH)
    if start.id == end.id:
        return {"sonicMatch": _matches(server, [start.id], [1.0])}
    found = path_of_at_most(server.recommender, start, end, count)
    ids, cosines = [one.track.id for one in found], [one.to_seed for one in found]
    return {"sonicMatch": _matches(server, ids, cosines)}


def get_top_songs(server: RestServer, parameters: Parameters) -> dict[str, Any]:
    """The songs of an artist that are most typical: nearest to the mean of all of them."""
    wanted, name = parameters.text("id"), parameters.text("artist")
    if not wanted and not name:
        raise Refused(MISSING_PARAMETER, "the artist's id or name is missing")
    tree = server.tree
    artist = tree.artist(wanted) if wanted else tree.artist_named(name)
    count = parameters.whole("count", 50, most=MOST)
    if artist is None or not count:
        return {"topSongs": {"song": []}}
    ids = _with_embedding(server, tree.artist_songs(artist))
    if not len(ids):
        return {"topSongs": {"song": []}}
    mean = server.recommender.vectors(ids).mean(axis=0)
    if not np.linalg.norm(mean) > 1e-6:
        return {"topSongs": {"song": songs(server, ids[:count])}}
    found = server.recommender.similar_to_vector(
        mean, count, where=Where(among=tuple(ids.tolist()))
    )
    return {"topSongs": {"song": songs(server, [one.id for one in found])}}


def get_artist_info(server: RestServer, parameters: Parameters) -> dict[str, Any]:
    """Artists who sound like one, as older clients ask for them."""
    artist, similar = _similar_artists(server, parameters)
    return {
        "artistInfo": {
            "musicBrainzId": artist.musicbrainz_id,
            "similarArtist": artist_folders(server, similar),
        }
    }


def get_artist_info2(server: RestServer, parameters: Parameters) -> dict[str, Any]:
    """Artists who sound like one; there is no biography."""
    artist, similar = _similar_artists(server, parameters)
    return {
        "artistInfo2": {
            "musicBrainzId": artist.musicbrainz_id,
            "similarArtist": artist_entries(server, similar),
        }
    }


def sounding_like(server: RestServer, liked: Sequence[int], n: int) -> Answer:
    """The n tracks that sound most like some, as radio plays them."""
    return server.recommender.similar_to_tracks(liked, n=n, ranking=RADIO)


def _like(server: RestServer, parameters: Parameters) -> list[dict[str, Any]]:
    """Songs that sound like what an id means."""
    seeds = _seeds(server, parameters.required("id"))
    count = parameters.whole("count", 50, most=MOST)
    if not count or not len(seeds):
        return []
    likes = taste(server.marks(), server.tree)
    answer = server.recommender.radio(
        seeds.tolist(), count, liked=likes.liked, disliked=likes.disliked, ranking=RADIO
    )
    return songs(server, [one.id for one in answer])


def _seeds(server: RestServer, wanted: str) -> NDArray[np.int64]:
    """Ids of the tracks that stand for a song, an album or an artist.

    Raises
    ------
    UnknownTrack, Refused
    """
    tree = server.tree
    if wanted.startswith(ALBUM):
        return _some(_with_embedding(server, tree.album_songs(tree.album(wanted))))
    if wanted.startswith(ARTIST):
        return _some(_with_embedding(server, tree.artist_songs(tree.artist(wanted))))
    return np.array([require_present(server.recommender.track(track_id_of(wanted))).id])


def _some(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """At most `MOST_SEEDS` of the ids, evenly from all of them."""
    if len(ids) <= MOST_SEEDS:
        return ids
    return ids[np.linspace(0, len(ids) - 1, MOST_SEEDS).astype(np.int64)]


def _with_embedding(server: RestServer, ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those of the ids that can be answers, in their order."""
    return ids[np.isin(ids, server.recommender.ids())]


def _similar_artists(server: RestServer, parameters: Parameters) -> tuple[Artist, list[Artist]]:
    """The artist that a request names, and others who have songs that sound like the artist's."""
    tree = server.tree
    wanted = parameters.required("id")
    artist = tree.artist(wanted)
    count = parameters.whole("count", 20, most=MOST_ARTISTS)
    seeds = _seeds(server, wanted)
    if not count or not len(seeds):
        return artist, []
    # The artist's own songs may come among them.
    answer = server.recommender.similar_to_tracks(
        seeds.tolist(), n=count + 1, ranking=Ranking(per_artist=1)
    )
    similar: dict[str, Artist] = {}
    for track in server.recommender.tracks([one.id for one in answer]):
        name = (*track.artists, track.artist)[0]
        found = tree.artist_named(name) if name else None
        if found is not None and found.id != artist.id:
            similar.setdefault(found.id, found)
    return artist, list(similar.values())[:count]


def _matches(
    server: RestServer, ids: Sequence[int], cosines: Sequence[float]
) -> list[dict[str, Any]]:
    """Tracks with how alike they are: 1 is the same sound, 0 the most different."""
    scores = similarities(server.recommender, cosines)
    of_song = {song_id(track_id): score for track_id, score in zip(ids, scores, strict=True)}
    return [
        {"entry": entry, "similarity": round(of_song[entry["id"]], 4)}
        for entry in songs(server, ids)
    ]


ENDPOINTS = {
    "getSimilarSongs": get_similar_songs,
    "getSimilarSongs2": get_similar_songs2,
    "getSonicSimilarTracks": get_sonic_similar_tracks,
    "findSonicPath": find_sonic_path,
    "getTopSongs": get_top_songs,
    "getArtistInfo": get_artist_info,
    "getArtistInfo2": get_artist_info2,
}
