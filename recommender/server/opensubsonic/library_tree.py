"""Artists, their albums and the songs of these, made from the tags of all present tracks.

Made once for each state of the catalog and kept in columns: a hundred thousand songs take a second
to read and a few megabytes.

An album is known by its MusicBrainz id; without one by its name and its album artist; where the
files name none, by its name and its folder, folders of single discs being taken together. Songs
without an album are one album of their artist. Ids are digests of these, so that they stay the same
from one start of the server to another and as an album grows.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from indexer.errors import UnknownTrack
from indexer.filesystem import display_path
from indexer.text_folding import fold
from recommender.retrieval.names import split_genres

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from indexer.catalog.album_queries import AlbumRow

SONG, ALBUM, ARTIST = "tr-", "al-", "ar-"
"""What ids of songs, albums and artists begin with."""
UNKNOWN_ARTIST = "[Unknown Artist]"
UNKNOWN_ALBUM = "[Unknown Album]"
VARIOUS_ARTISTS = "Various Artists"
IGNORED_ARTICLES = "The El La Los Las Le Les Die Der Das"
"""Words that names of artists may begin with and are not sorted by."""

_ARTICLE = re.compile(rf"(?:{'|'.join(fold(IGNORED_ARTICLES).split())})\s+(?=\S)")
_DISC_FOLDER = re.compile(r"(.*)/(?:cd|dis[ck])[ ._-]?\d{1,2}\b[^/]*", re.IGNORECASE)


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
    """

    id: str
    name: str
    sort_name: str
    number: int
    albums: tuple[int, ...]
    roles: tuple[str, ...]
    musicbrainz_id: str | None


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
    songs: slice

    @property
    def song_count(self) -> int:
        """How many songs it has."""
        return int(self.songs.stop - self.songs.start)


@dataclass(frozen=True, eq=False)
class LibraryTree:
    """Artists, albums and songs of one state of a catalog; never changes.

    Attributes
    ----------
    artists : tuple of Artist, by sort name
    albums : tuple of Album, by artist, year and name
    songs : int64 (n,)
        Ids of all tracks, album after album.
    """

    artists: tuple[Artist, ...]
    albums: tuple[Album, ...]
    songs: NDArray[np.int64]
    _artist_songs: NDArray[np.int64]
    _artist_ends: NDArray[np.int64]
    _by_id: dict[str, int] = field(default_factory=dict)

    def artist(self, artist_id: str) -> Artist:
        """The artist with an id.

        Raises
        ------
        UnknownTrack
        """
        found = self._by_id.get(artist_id) if artist_id.startswith(ARTIST) else None
        if found is None:
            raise UnknownTrack(f"no artist has the id {artist_id!r}: getArtists lists them")
        return self.artists[found]

    def album(self, album_id: str) -> Album:
        """The album with an id.

        Raises
        ------
        UnknownTrack
        """
        found = self._by_id.get(album_id) if album_id.startswith(ALBUM) else None
        if found is None:
            raise UnknownTrack(f"no album has the id {album_id!r}: getAlbumList2 lists them")
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

    def albums_of_songs(self, track_ids: Iterable[int]) -> dict[int, Album]:
        """The albums of tracks by the tracks' ids; of tracks that came just now, none."""
        wanted = np.fromiter(track_ids, np.int64)
        if not len(self.songs):
            return {}
        rows = np.minimum(np.searchsorted(self._sorted[0], wanted), len(self.songs) - 1)
        found = self._sorted[0][rows] == wanted
        at = self._sorted[1][rows]
        ends = self._album_ends
        numbers = np.searchsorted(ends, at, "right")
        return {
            int(track_id): self.albums[number]
            for track_id, number, is_there in zip(wanted, numbers.tolist(), found, strict=True)
            if is_there
        }

    def __post_init__(self) -> None:
        self._by_id.update({album.id: album.number for album in self.albums})
        self._by_id.update({artist.id: artist.number for artist in self.artists})
        order = np.argsort(self.songs)
        ends = np.array([album.songs.stop for album in self.albums], np.int64)
        object.__setattr__(self, "_sorted", (self.songs[order], order))
        object.__setattr__(self, "_album_ends", ends)

    _sorted: tuple[NDArray[np.int64], NDArray[np.int64]] = field(init=False)
    _album_ends: NDArray[np.int64] = field(init=False)


def song_id(track_id: int) -> str:
    """The id by which clients know a track."""
    return f"{SONG}{track_id}"


def artist_id(name: str) -> str:
    """The id of the artist with a name, however it is spelt."""
    return f"{ARTIST}{_digest(_folded(name))}"


def sort_name(name: str) -> str:
    """What a name is sorted by: folded, without an article before it."""
    return _ARTICLE.sub("", _folded(name), count=1)


def index_letter(sorted_by: str) -> str:
    """The letter under which an index lists what is sorted by a text; "#" for all that is none."""
    first = sorted_by[:1].upper()
    return first if first.isalpha() else "#"


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
        tracks.append(_Row(draft.number, *at, row.path, row.id, names))
        for name, identifier in row.musicbrainz_ids():
            musicbrainz.setdefault(_folded(name), identifier)
    finished = [(_digest("\0".join(key)), draft, *draft.by()) for key, draft in drafts.items()]
    finished.sort(
        key=lambda one: (sort_name(one[2]), one[1].year or 9999, fold(one[1].name), one[0])
    )
    number_of = {one[1].number: number for number, one in enumerate(finished)}
    tracks.sort(key=lambda one: (number_of[one.draft], *one[1:5]))
    albums, start = [], 0
    for number, (digest, draft, artist, artists) in enumerate(finished):
        end = start + draft.songs
        albums.append(draft.album(f"{ALBUM}{digest}", number, artist, artists, slice(start, end)))
        start = end
    songs = np.array([one.id for one in tracks], np.int64)
    return _with_artists(albums, songs, [one.artists for one in tracks], musicbrainz)


class _Row(NamedTuple):
    """A track, by which album it is in and where there."""

    draft: int
    disc: int
    number: int
    path: bytes
    id: int
    artists: tuple[str, ...]


def _with_artists(
    albums: Sequence[Album],
    songs: NDArray[np.int64],
    names: Sequence[tuple[str, ...]],
    musicbrainz: Mapping[str, str],
) -> LibraryTree:
    """The tree of albums, given the artists of each song and MusicBrainz ids by folded name."""
    spelling: dict[str, str] = {}
    of_albums: dict[str, dict[int, None]] = {}
    roles: dict[str, set[str]] = {}
    own: dict[str, list[int]] = {}
    folded: dict[str, str] = {}

    def note(name: str, album: int, role: str) -> str:
        key = folded.get(name)
        if key is None:
            key = folded[name] = _folded(name)
        spelling.setdefault(key, name)
        of_albums.setdefault(key, {})[album] = None
        roles.setdefault(key, set()).add(role)
        return key

    for album in albums:
        for name in album.artists:
            note(name, album.number, "albumartist")
        for row in range(album.songs.start, album.songs.stop):
            for name in names[row]:
                own.setdefault(note(name, album.number, "artist"), []).append(row)
    order = sorted(spelling, key=lambda key: (sort_name(spelling[key]), key))
    artists = tuple(
        Artist(
            f"{ARTIST}{_digest(key)}",
            spelling[key],
            sort_name(spelling[key]),
            number,
            tuple(of_albums[key]),
            tuple(sorted(roles[key])),
            musicbrainz.get(key),
        )
        for number, key in enumerate(order)
    )
    rows = [own.get(key, []) for key in order]
    ends = np.cumsum([len(one) for one in rows], dtype=np.int64)
    flat = np.fromiter((row for one in rows for row in one), np.int64)
    return LibraryTree(artists, tuple(albums), songs, songs[flat], ends)


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
        self._genres: Counter[str] = Counter()
        self._shown: tuple[str, tuple[str, ...]] | None = None
        self._artists: set[tuple[str, ...]] = set()

    def add(self, row: AlbumRow, names: tuple[str, ...]) -> None:
        self.songs += 1
        self.duration_s += row.duration_s
        self.added_at = min(self.added_at, row.added_at)
        if row.year is not None and (self.year is None or row.year < self.year):
            self.year = row.year
        self._genres.update(split_genres(row.genre))
        if self._shown is None and row.album_artist_names:
            names_shown = row.album_artist_names
            self._shown = row.album_artist or names_shown[0], names_shown
        self._artists.add(names)

    def by(self) -> tuple[str, tuple[str, ...]]:
        """The album's artist as shown, and each by itself."""
        if self._shown is not None:
            return self._shown
        firsts = {_folded(names[0]): names[0] for names in sorted(self._artists)}
        if len(firsts) > 1:
            return VARIOUS_ARTISTS, (VARIOUS_ARTISTS,)
        (name,) = firsts.values()
        return name, (name,)

    def album(
        self, album_id: str, number: int, artist: str, artists: tuple[str, ...], songs: slice
    ) -> Album:
        return Album(
            album_id,
            self.name,
            number,
            artist,
            artists,
            self.year,
            tuple(genre for genre, _ in self._genres.most_common()),
            self.duration_s,
            self.added_at,
            _folded(artist) == _folded(VARIOUS_ARTISTS),
            self.musicbrainz_id,
            songs,
        )


def _album_key(row: AlbumRow, names: tuple[str, ...]) -> tuple[str, str]:
    """What all songs of an album share."""
    if not row.album:
        return "", _folded((row.album_artist_names or names)[0])
    if row.musicbrainz_album_id:
        return "", row.musicbrainz_album_id
    if row.album_artist:
        return _folded(row.album), _folded(row.album_artist)
    folder = display_path(row.path.rpartition(b"/")[0])
    disc = _DISC_FOLDER.fullmatch(folder)
    return _folded(row.album), f"/{disc[1] if disc else folder}"


def _folded(text: str) -> str:
    return " ".join(fold(text).split())


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=10).hexdigest()
