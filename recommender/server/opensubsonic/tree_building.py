"""The tree of artists, albums and songs, made from rows of tracks."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from indexer.text_folding import fold
from recommender.retrieval.names import album_key, folded, genres_by_key
from recommender.server.opensubsonic.library_tree import (
    ALBUM,
    ARTIST,
    UNKNOWN_ALBUM,
    UNKNOWN_ARTIST,
    VARIOUS_ARTISTS,
    Album,
    Artist,
    Genre,
    LibraryTree,
    digest,
    search_text,
    sort_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from indexer.catalog.album_queries import AlbumRow


def build_tree(rows: Iterable[AlbumRow]) -> LibraryTree:
    """The tree of tracks."""
    drafts: dict[tuple[str, str], _Draft] = {}
    tracks: list[_Row] = []
    musicbrainz: dict[str, str] = {}
    for row in rows:
        names = row.artist_names or (UNKNOWN_ARTIST,)
        key = _album_key(row, names)
        draft = drafts.get(key)
        if draft is None:
            draft = drafts[key] = _Draft(len(drafts), row)
        draft.add(row, names)
        at = row.disc_number or 0, row.track_number or 0
        tracks.append(_Row(draft.number, *at, row.path, row.id, names, row.genre))
        for name, identifier in row.musicbrainz_ids():
            musicbrainz.setdefault(folded(name), identifier)
    finished = [(digest("\0".join(key)), draft, *draft.by()) for key, draft in drafts.items()]
    finished.sort(
        key=lambda one: (sort_name(one[2]), one[1].year or 9999, fold(one[1].name), one[0])
    )
    number_of = {one[1].number: number for number, one in enumerate(finished)}
    tracks.sort(key=lambda one: (number_of[one.draft], *one[1:5]))
    albums, start = [], 0
    for number, (identifier, draft, artist, artists) in enumerate(finished):
        end = start + draft.songs
        songs = slice(start, end)
        albums.append(draft.album(f"{ALBUM}{identifier}", number, artist, artists, songs))
        start = end
    return _tree(albums, tracks, musicbrainz)


class _Row(NamedTuple):
    """A track, by which album it is in and where there."""

    draft: int
    disc: int
    number: int
    path: bytes
    id: int
    artists: tuple[str, ...]
    genre: str | None


def _tree(
    albums: Sequence[Album], tracks: Sequence[_Row], musicbrainz: Mapping[str, str]
) -> LibraryTree:
    """The tree of albums, given their tracks in order and MusicBrainz ids by folded name."""
    mentions = _mentions(albums, tracks)
    order = sorted(mentions, key=lambda key: (sort_name(mentions[key].name), key))
    artists = tuple(
        Artist(
            f"{ARTIST}{digest(key)}",
            mentions[key].name,
            number,
            tuple(mentions[key].albums),
            tuple(sorted(mentions[key].roles)),
            musicbrainz.get(key),
            search_text(mentions[key].name),
        )
        for number, key in enumerate(order)
    )
    songs = np.array([one.id for one in tracks], np.int64)
    rows = [mentions[key].rows for key in order]
    ends = np.cumsum([len(one) for one in rows], dtype=np.int64)
    flat = np.fromiter((row for one in rows for row in one), np.int64)
    return LibraryTree(artists, tuple(albums), songs, _genres(tracks, songs), songs[flat], ends)


class _Mention:
    """Where one artist is named; albums in their order, each once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.albums: dict[int, None] = {}
        self.rows: list[int] = []
        self.roles: set[str] = set()


def _mentions(albums: Sequence[Album], tracks: Sequence[_Row]) -> dict[str, _Mention]:
    """Where each artist is named, by folded name."""
    found: dict[str, _Mention] = {}
    of_name: dict[str, _Mention] = {}

    def mention(name: str, album: Album, role: str) -> _Mention:
        one = of_name.get(name)
        if one is None:
            one = of_name[name] = found.setdefault(folded(name), _Mention(name))
        one.albums[album.number] = None
        one.roles.add(role)
        return one

    for album in albums:
        for name in album.artists:
            mention(name, album, "albumartist")
        for row in range(album.songs.start, album.songs.stop):
            for name in dict.fromkeys(tracks[row].artists):
                mention(name, album, "artist").rows.append(row)
    return found


def _genres(tracks: Sequence[_Row], songs: NDArray[np.int64]) -> dict[str, Genre]:
    """Genres that tracks name, by name."""
    spellings: dict[str, Counter[str]] = {}
    rows: dict[str, list[int]] = {}
    for row, track in enumerate(tracks):
        for key, name in genres_by_key(track.genre).items():
            spellings.setdefault(key, Counter())[name] += 1
            rows.setdefault(key, []).append(row)
    names = {key: found.most_common(1)[0][0] for key, found in spellings.items()}
    return {
        key: Genre(name, songs[rows[key]], len({tracks[row].draft for row in rows[key]}))
        for key, name in sorted(names.items(), key=lambda one: folded(one[1]))
    }


class _Draft:
    """An album while its songs are read."""

    def __init__(self, number: int, first: AlbumRow) -> None:
        self.number = number
        self.name = first.album or UNKNOWN_ALBUM
        self.musicbrainz_id = first.musicbrainz_album_id
        self.songs = 0
        self.year: int | None = None
        self.duration_s = 0.0
        self.added_at = float("inf")
        self._genres: dict[str, Counter[str]] = {}
        self._shown: tuple[str, tuple[str, ...]] | None = None
        self._artists: set[tuple[str, ...]] = set()

    def add(self, row: AlbumRow, names: tuple[str, ...]) -> None:
        """Count a track in."""
        self.songs += 1
        self.duration_s += row.duration_s
        self.added_at = min(self.added_at, row.added_at)
        if row.year is not None and (self.year is None or row.year < self.year):
            self.year = row.year
        for key, name in genres_by_key(row.genre).items():
            self._genres.setdefault(key, Counter())[name] += 1
        if self._shown is None and row.album_artist_names:
            names_shown = row.album_artist_names
            self._shown = row.album_artist or names_shown[0], names_shown
        self._artists.add(names)

    def by(self) -> tuple[str, tuple[str, ...]]:
        """The album's artist as shown, and each by itself."""
        if self._shown is not None:
            return self._shown
        firsts = {folded(names[0]): names[0] for names in sorted(self._artists)}
        if len(firsts) > 1:
            return VARIOUS_ARTISTS, (VARIOUS_ARTISTS,)
        (name,) = firsts.values()
        return name, (name,)

    def album(
        self, album_id: str, number: int, artist: str, artists: tuple[str, ...], songs: slice
    ) -> Album:
        """The album."""
        genres = sorted(self._genres.values(), key=lambda found: -found.total())
        return Album(
            album_id,
            self.name,
            number,
            artist,
            artists,
            self.year,
            tuple(found.most_common(1)[0][0] for found in genres),
            self.duration_s,
            self.added_at,
            folded(artist) == folded(VARIOUS_ARTISTS),
            self.musicbrainz_id,
            search_text(self.name, artist),
            songs,
        )


def _album_key(row: AlbumRow, names: tuple[str, ...]) -> tuple[str, str]:
    """What all songs of an album share."""
    if row.album:
        return album_key(row)
    return "", folded((row.album_artist_names or names)[0])
