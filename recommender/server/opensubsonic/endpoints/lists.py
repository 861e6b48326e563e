"""Endpoints that list: albums in many orders, genres, songs of a genre, random songs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.text_folding import fold
from recommender.retrieval.where import Where
from recommender.server.opensubsonic.entries import album_entries, album_folders, songs
from recommender.server.opensubsonic.refusals import GENERIC, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from recommender.server.opensubsonic.library_tree import Album
    from recommender.server.opensubsonic.parameters import Parameters
    from recommender.server.opensubsonic.server import RestServer

MOST = 500
"""Albums or songs of one answer."""
YEARS = {"least": -9999, "most": 9999}


def get_album_list(server: RestServer, parameters: Parameters) -> dict[str, Any]:
    """A page of a list of albums, as folders."""
    return {"albumList": {"album": album_folders(server, _page(server, parameters))}}


def get_album_list2(server: RestServer, parameters: Parameters) -> dict[str, Any]:
    """A page of a list of albums."""
    return {"albumList2": {"album": album_entries(server, _page(server, parameters))}}


def get_genres(server: RestServer, _parameters: Parameters) -> dict[str, Any]:
    """Genres that tags name, with counts."""
    return {
        "genres": {
            "genre": [
                {"value": one.name, "songCount": len(one.songs), "albumCount": one.album_count}
                for one in server.tree.genres.values()
            ]
        }
    }


def get_songs_by_genre(server: RestServer, parameters: Parameters) -> dict[str, Any]:
    """A page of the songs of a genre, album after album."""
    found = server.tree.genre_songs(parameters.required("genre"))
    count = parameters.whole("count", 10, most=MOST)
    offset = parameters.whole("offset", 0)
    return {"songsByGenre": {"song": songs(server, found[offset : offset + count])}}


def get_random_songs(server: RestServer, parameters: Parameters) -> dict[str, Any]:
    """Songs drawn at random, of a genre and of some years where these are asked for."""
    genre = parameters.text("genre")
    first, last = (
        parameters.whole(name, 0, **YEARS) if parameters.text(name) else None
        for name in ("fromYear", "toYear")
    )
    if first is not None and last is not None and first > last:
        first, last = last, first
    years = None if first is last is None else (first, last)
    ids = server.recommender.ids(Where(year=years))
    if genre:
        ids = np.intersect1d(ids, server.tree.genre_songs(genre))
    size = min(parameters.whole("size", 10, most=MOST), len(ids))
    drawn = np.random.default_rng().choice(ids, size, replace=False)
    return {"randomSongs": {"song": songs(server, drawn)}}


def _page(server: RestServer, parameters: Parameters) -> Sequence[Album]:
    """The albums of a page of the list that a request names."""
    size = parameters.whole("size", 10, most=MOST)
    offset = parameters.whole("offset", 0)
    kind = parameters.required("type")
    listing = _LISTINGS.get(kind)
    if listing is None:
        raise Refused(GENERIC, f"type is one of {', '.join(_LISTINGS)}, not {kind[:40]!r}")
    return listing(server, parameters)[offset : offset + size]


def _random(server: RestServer, _parameters: Parameters) -> Sequence[Album]:
    albums = server.tree.albums
    return [albums[number] for number in np.random.default_rng().permutation(len(albums)).tolist()]


def _newest(server: RestServer, _parameters: Parameters) -> Sequence[Album]:
    return sorted(server.tree.albums, key=lambda album: -album.added_at)


def _highest(server: RestServer, _parameters: Parameters) -> Sequence[Album]:
    """Albums that have a rating, the best first."""
    marks = server.marks()
    rated = [
        (album, mark.rating)
        for album in server.tree.albums
        if (mark := marks.get(album.id)) is not None and mark.rating is not None
    ]
    return [album for album, _ in sorted(rated, key=lambda one: -one[1])]


def _starred(server: RestServer, _parameters: Parameters) -> Sequence[Album]:
    """Albums that have a star, the latest first."""
    marks = server.marks()
    starred = [
        (album, mark.starred_at)
        for album in server.tree.albums
        if (mark := marks.get(album.id)) is not None and mark.starred_at is not None
    ]
    return [album for album, _ in sorted(starred, key=lambda one: -one[1])]


def _by_plays(_server: RestServer, _parameters: Parameters) -> Sequence[Album]:
    """None: nothing here counts what is played."""
    return ()


def _by_name(server: RestServer, _parameters: Parameters) -> Sequence[Album]:
    return sorted(server.tree.albums, key=lambda album: fold(album.name))


def _by_artist(server: RestServer, _parameters: Parameters) -> Sequence[Album]:
    return server.tree.albums


def _by_year(server: RestServer, parameters: Parameters) -> Sequence[Album]:
    """Albums of some years, the latest first where the years are given so."""
    for name in ("fromYear", "toYear"):
        parameters.required(name)
    first = parameters.whole("fromYear", 0, **YEARS)
    last = parameters.whole("toYear", 0, **YEARS)
    least, most = min(first, last), max(first, last)
    dated = [(album, album.year) for album in server.tree.albums if album.year is not None]
    found = [one for one in dated if least <= one[1] <= most]
    return [album for album, _ in sorted(found, key=lambda one: one[1], reverse=first > last)]


def _by_genre(server: RestServer, parameters: Parameters) -> Sequence[Album]:
    """Albums with a song of a genre."""
    tree = server.tree
    numbers = tree.album_numbers(tree.genre_songs(parameters.required("genre")))
    return [tree.albums[number] for number in np.unique(numbers).tolist()]


_LISTINGS: dict[str, Callable[[RestServer, Parameters], Sequence[Album]]] = {
    "random": _random,
    "newest": _newest,
    "highest": _highest,
    "frequent": _by_plays,
    "recent": _by_plays,
    "starred": _starred,
    "alphabeticalByName": _by_name,
    "alphabeticalByArtist": _by_artist,
    "byYear": _by_year,
    "byGenre": _by_genre,
}

ENDPOINTS = {
    "getAlbumList": get_album_list,
    "getAlbumList2": get_album_list2,
    "getGenres": get_genres,
    "getSongsByGenre": get_songs_by_genre,
    "getRandomSongs": get_random_songs,
}
