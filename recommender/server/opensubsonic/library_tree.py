"""Artists, their albums and the songs of these, made from the tags of all present tracks.

Made once for each state of the catalog and kept in columns: a hundred thousand songs take a second
to read and a few megabytes.

An album is known by its `recommender.retrieval.names.album_key`. Songs without an album are one
album of their artist. Ids are digests of these, so that they stay the same from one start of the
server to another and as an album grows.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from indexer.catalog.track_names import spaced_words
from indexer.errors import UnknownTrack
from indexer.text_folding import fold, searchable
from recommender.retrieval.names import folded, genres_by_key
from recommender.server.opensubsonic.rendering import writable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

SONG, ALBUM, ARTIST = "tr-", "al-", "ar-"
"""What ids of songs, albums and artists begin with."""
UNKNOWN_ARTIST = "[Unknown Artist]"
UNKNOWN_ALBUM = "[Unknown Album]"
VARIOUS_ARTISTS = "Various Artists"
IGNORED_ARTICLES = "The El La Los Las Le Les"
"""Words that names of artists may begin with and are not sorted by."""

_ARTICLE = re.compile(rf"^(?:{'|'.join(fold(IGNORED_ARTICLES).split())})\s+(?=\S)")


@dataclass(frozen=True, slots=True)
class Artist:
    """An artist: of whole albums, of songs, or both.

    Attributes
    ----------
    number : int
        Its index in `LibraryTree.artists`.
    albums : tuple of int
        Indexes of the albums that are the artist's or hold a song of the artist's.
    roles : tuple of str
        "albumartist", "artist" or both.
    search_text : str
        The name, by `search_text`.
    """

    id: str
    name: str
    number: int
    albums: tuple[int, ...]
    roles: tuple[str, ...]
    musicbrainz_id: str | None
    search_text: str


@dataclass(frozen=True, slots=True)
class Album:
    """An album.

    Attributes
    ----------
    number : int
        Its index in `LibraryTree.albums`.
    artist : str
        The album's artist as shown.
    artists : tuple of str
        Each of them by itself.
    genres : tuple of str
        The most frequent first.
    is_compilation : bool
        Whether its songs are by several artists, none of whom is the album's.
    added_at : float
        When its first song came into the catalog.
    search_text : str
        Name and artist, by `search_text`.
    songs : slice
        Its songs in `LibraryTree.songs`, by disc, number and path.
    """

    id: str
    name: str
    number: int
    artist: str
    artists: tuple[str, ...]
    year: int | None
    genres: tuple[str, ...]
    duration_s: float
    added_at: float
    is_compilation: bool
    musicbrainz_id: str | None
    search_text: str
    songs: slice

    @property
    def song_count(self) -> int:
        """How many songs it has."""
        return int(self.songs.stop - self.songs.start)


@dataclass(frozen=True, eq=False)
class Genre:
    """A genre: its most frequent spelling, ids of its songs, album after album, and of how many."""

    name: str
    songs: NDArray[np.int64]
    album_count: int


@dataclass(frozen=True, eq=False)
class LibraryTree:
    """Artists, albums and songs of one state of a catalog; never changes.

    Attributes
    ----------
    artists : tuple of Artist, by sort name
    albums : tuple of Album, by artist, year and name
    songs : int64 (n,)
        Ids of all tracks, album after album.
    genres : mapping of str to Genre
        By `recommender.retrieval.names.genre_key`, in the order of their names.
    """

    artists: tuple[Artist, ...]
    albums: tuple[Album, ...]
    songs: NDArray[np.int64]
    genres: Mapping[str, Genre]
    _artist_songs: NDArray[np.int64]
    _artist_ends: NDArray[np.int64]
    _by_id: dict[str, int] = field(init=False)
    _album_ends: NDArray[np.int64] = field(init=False)
    _sorted: tuple[NDArray[np.int64], NDArray[np.int64]] = field(init=False)

    def __post_init__(self) -> None:
        """Note what is looked up by."""
        order = np.argsort(self.songs)
        ends = np.array([album.songs.stop for album in self.albums], np.int64)
        by_id = {one.id: one.number for one in self.albums}
        by_id.update({one.id: one.number for one in self.artists})
        for one in self.artists:
            # Clients ask by the name that they saw.
            if (seen := writable(one.name)) != one.name:
                by_id.setdefault(artist_id(seen), one.number)
        object.__setattr__(self, "_by_id", by_id)
        object.__setattr__(self, "_album_ends", ends)
        object.__setattr__(self, "_sorted", (self.songs[order], order))

    def artist(self, wanted: str) -> Artist:
        """The artist with an id.

        Raises
        ------
        UnknownTrack
        """
        found = self._by_id.get(wanted) if wanted.startswith(ARTIST) else None
        if found is None:
            raise UnknownTrack(f"no artist has the id {wanted[:80]!r}: getArtists lists them")
        return self.artists[found]

    def artist_named(self, name: str) -> Artist | None:
        """The artist with a name, however it is spelt; None: there is none."""
        found = self._by_id.get(artist_id(name))
        return None if found is None else self.artists[found]

    def album(self, wanted: str) -> Album:
        """The album with an id.

        Raises
        ------
        UnknownTrack
        """
        found = self._by_id.get(wanted) if wanted.startswith(ALBUM) else None
        if found is None:
            raise UnknownTrack(f"no album has the id {wanted[:80]!r}: getAlbumList2 lists them")
        return self.albums[found]

    def album_songs(self, album: Album) -> NDArray[np.int64]:
        """Ids of an album's songs in their order."""
        return self.songs[album.songs]

    def artist_albums(self, artist: Artist) -> list[Album]:
        """The albums that are an artist's or hold a song of the artist's."""
        return [self.albums[number] for number in artist.albums]

    def artist_songs(self, artist: Artist) -> NDArray[np.int64]:
        """Ids of the songs by an artist, album after album.

        Of an artist who is named by whole albums only, the songs of these.
        """
        start = self._artist_ends[artist.number - 1] if artist.number else 0
        own = self._artist_songs[start : self._artist_ends[artist.number]]
        if len(own):
            return own
        return np.concatenate([self.album_songs(album) for album in self.artist_albums(artist)])

    def genre_songs(self, text: str) -> NDArray[np.int64]:
        """Ids of the songs of a genre, however it is spelt, album after album.

        Of a text that names several genres, "Rock/Pop", the songs that have all of them.
        """
        found = [
            self.genres[key].songs if key in self.genres else self.songs[:0]
            for key in genres_by_key(text)
        ]
        if not found:
            return self.songs[:0]
        return found[0][np.logical_and.reduce([np.isin(found[0], other) for other in found])]

    def albums_of_songs(self, track_ids: Sequence[int]) -> dict[int, Album]:
        """The albums of tracks by the tracks' ids; of tracks that came just now, none."""
        numbers = self.album_numbers(np.array(track_ids, np.int64)).tolist()
        return {
            track_id: self.albums[number]
            for track_id, number in zip(track_ids, numbers, strict=True)
            if number >= 0
        }

    def album_numbers(self, track_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Indexes in `albums` of the albums of tracks; -1 for tracks that came just now."""
        ids, rows = self._sorted
        if not len(ids):
            return np.full(len(track_ids), -1)
        at = np.minimum(np.searchsorted(ids, track_ids), len(ids) - 1)
        numbers = np.searchsorted(self._album_ends, rows[at], "right")
        return np.where(ids[at] == track_ids, numbers, -1)


def song_id(track_id: int) -> str:
    """The id by which clients know a track."""
    return f"{SONG}{track_id}"


def artist_id(name: str) -> str:
    """The id of the artist with a name, however it is spelt."""
    return f"{ARTIST}{digest(folded(name))}"


def sort_name(name: str) -> str:
    """What a name is sorted by: folded, without an article before it."""
    return _ARTICLE.sub("", folded(name), count=1)


def search_text(*names: str) -> str:
    """Names as they are searched: their words, each after a space; then all of them as they are."""
    whole = searchable(" ".join(names))
    words = spaced_words(whole)
    return words if words == f" {whole}" else f"{words}\n{whole}"


def index_letter(sorted_by: str) -> str:
    """The letter under which an index lists what is sorted by a text; "#" for all that is none."""
    first = sorted_by[:1].upper()
    return first if first.isalpha() else "#"


def digest(text: str) -> str:
    """What an id is made of: the same for the same text at any time."""
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=10).hexdigest()
