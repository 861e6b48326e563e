"""A library as a list: searched as one types, counted by genre, artist, decade and more.

It is made from the catalog as a whole, once for each state of it, and held in memory: some 300
bytes a track.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.text_folding import fold
from recommender.retrieval.library_statistics import strongest
from recommender.retrieval.names import genres_by_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from indexer.catalog.listing_queries import ListedTrack
    from indexer.catalog.records import Track

FACETS = ("genre", "artist", "decade", "musical_key", "tempo", "tag")
"""What tracks are counted by."""
OF_FACET: dict[str, dict[str, Any]] = {
    "genre": {"genre": ()},
    "artist": {"artist": ()},
    "decade": {"year": None},
    "musical_key": {"musical_key": ()},
    "tempo": {"tempo": None},
    # Of several tags all must hold: each narrows the others.
    "tag": {},
}
"""What a `Where` that asks nothing of a facet says."""
TEMPI = (0, 70, 90, 110, 130, 150)
"""Least tempo of each class, in beats a minute; the last one has no upper end."""

_STARTS, _WORDS, _HOLDS = range(3)
"""How well a text fits: its title or artist starts so; each word starts a word; holds each word."""


@dataclass(frozen=True, eq=False)
class Facet:
    """Which values each track has; it can have several, and none.

    Attributes
    ----------
    values : tuple of str
    rows, codes : int64 (m,)
        Row of a track and index of a value that it has.
    """

    values: tuple[str, ...]
    rows: NDArray[np.int64]
    codes: NDArray[np.int64]

    @classmethod
    def of(cls, tracks: Sequence[Mapping[str, str]]) -> Facet:
        """The facet of tracks whose values are given as spellings by a key that they share."""
        spelling: dict[str, str] = {}
        number: dict[str, int] = {}
        rows, codes = [], []
        for row, values in enumerate(tracks):
            for key, text in values.items():
                spelling.setdefault(key, text)
                rows.append(row)
                codes.append(number.setdefault(key, len(number)))
        return cls(
            tuple(spelling[key] for key in number),
            np.array(rows, dtype=np.int64),
            np.array(codes, dtype=np.int64),
        )

    def count(self, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        """How many of the tracks in a mask (tracks,) have each value, (values,)."""
        return np.bincount(self.codes[mask[self.rows]], minlength=len(self.values))


@dataclass(frozen=True)
class FacetValue:
    """A value that a filter can ask for, and how many tracks would remain."""

    value: str
    count: int


@dataclass(frozen=True)
class Listing:
    """A page of a list of tracks.

    Attributes
    ----------
    tracks : tuple of Track
    total : int
        How many tracks the whole list has.
    after : str or None
        The cursor with which the next page begins; None on the last page.
    note : str or None
        Why the list is empty.
    """

    tracks: tuple[Track, ...]
    total: int
    after: str | None
    note: str | None


@dataclass(frozen=True, eq=False)
class TrackTable:
    """Names and facts of all tracks, in the order: artist, album, number, title.

    Attributes
    ----------
    ids : int64 (n,)
    texts : n strings
        Folded: title, artist, album, each word with a space before it.
    starts : n pairs of strings
        Folded title and artist.
    facets : dict of str to Facet
        Those of `FACETS` but the tags.
    tag_names : tuple of str
    tags : uint8 (n, ceil(tags / 8))
        A bit for each tag that is among a track's, as in `Where.tags` without a level.
    """

    ids: NDArray[np.int64]
    texts: tuple[str, ...]
    starts: tuple[tuple[str, str], ...]
    facets: Mapping[str, Facet]
    tag_names: tuple[str, ...]
    tags: NDArray[np.uint8]

    @classmethod
    def of(
        cls,
        tracks: Iterable[ListedTrack],
        activations: NDArray[np.float16],
        ids: NDArray[np.int64],
        tag_names: tuple[str, ...],
    ) -> TrackTable:
        """The table of tracks.

        Parameters
        ----------
        activations : float16 (len(ids), tags)
            Of the tracks `ids`, ascending; a track without is in no list.
        """
        known = set(ids.tolist())
        ordered = sorted((one for one in tracks if one.id in known), key=_sort_key)
        of_row = np.array([one.id for one in ordered], dtype=np.int64)
        packed = np.packbits(strongest(activations), axis=1)
        names = [(fold(_title(one)), fold(one.artist or "")) for one in ordered]
        return cls(
            of_row,
            tuple(
                " " + " ".join(f"{title} {artist} {fold(one.album or '')}".split())
                for (title, artist), one in zip(names, ordered, strict=True)
            ),
            tuple(names),
            {
                "genre": Facet.of([genres_by_key(one.genre) for one in ordered]),
                "artist": Facet.of([_artists(one) for one in ordered]),
                "decade": Facet.of([_as_facet(_decade(one.year)) for one in ordered]),
                "musical_key": Facet.of([_as_facet(one.musical_key) for one in ordered]),
                "tempo": Facet.of([_as_facet(_tempo_class(one.tempo_bpm)) for one in ordered]),
            },
            tag_names,
            packed[np.searchsorted(ids, of_row)],
        )

    def mask(self, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which tracks (n,) are among the ids, ascending."""
        rows = np.minimum(np.searchsorted(ids, self.ids), max(0, len(ids) - 1))
        return ids[rows] == self.ids if len(ids) else np.zeros(len(self.ids), np.bool_)

    def search(self, text: str) -> NDArray[np.int8]:
        """How well each track (n,) fits a text, 0 best; -1 where it does not.

        Every word must be in title, artist or album, without regard to case and accents.
        """
        words = fold(text).split()
        fit = np.full(len(self.ids), -1, dtype=np.int8)
        if not words:
            fit[:] = 0
            return fit
        whole = " ".join(words)
        first, *others = words
        for row, of_track in enumerate(self.texts):
            if first not in of_track or not all(word in of_track for word in others):
                continue
            if self.starts[row][0].startswith(whole) or self.starts[row][1].startswith(whole):
                fit[row] = _STARTS
            else:
                fit[row] = _WORDS if all(f" {word}" in of_track for word in words) else _HOLDS
        return fit

    def page(
        self, fit: NDArray[np.int8], n: int, after: tuple[int, int] | None
    ) -> tuple[NDArray[np.int64], tuple[int, int] | None]:
        """Ids of the n tracks that fit best after those of earlier pages.

        Parameters
        ----------
        fit : int8 (n,), as `search`
        after : (fit, id) of the last track of the page before

        Returns
        -------
        ids : int64
        after : (fit, id) of the last of them; None where no more come
        """
        rows = np.flatnonzero(fit >= 0)
        rows = rows[np.argsort(fit[rows], kind="stable")]
        if after is not None:
            last, track_id = after
            at = np.flatnonzero(self.ids == track_id)
            # Where the track has gone meanwhile, the page begins with the next kind of fit.
            row = int(at[0]) if len(at) else len(self.ids)
            rows = rows[(fit[rows] > last) | ((fit[rows] == last) & (rows > row))]
        page = rows[:n]
        more = len(rows) > len(page) and len(page) > 0
        end = (int(fit[page[-1]]), int(self.ids[page[-1]])) if more else None
        return self.ids[page], end

    def count(self, facet: str, mask: NDArray[np.bool_], most: int) -> tuple[FacetValue, ...]:
        """The values that most of the tracks in a mask (n,) have, most frequent first."""
        if facet == "tag":
            values = self.tag_names
            bits = np.unpackbits(self.tags[mask], axis=1, count=len(values))
            counts = bits.sum(axis=0, dtype=np.int64)
        else:
            values, counts = self.facets[facet].values, self.facets[facet].count(mask)
        order = sorted(range(len(values)), key=lambda row: (-counts[row], values[row]))
        return tuple(
            FacetValue(values[row], int(counts[row])) for row in order[:most] if counts[row]
        )


def tempo_bounds(value: str) -> tuple[float | None, float | None]:
    """Least and most tempo of a class of the facet `tempo`, as `Where.tempo` takes it."""
    low = TEMPI.index(int(value))
    high = np.nextafter(TEMPI[low + 1], 0) if low + 1 < len(TEMPI) else None
    return float(TEMPI[low]), None if high is None else float(high)


def _title(track: ListedTrack) -> str:
    return track.title or posixpath.basename(track.key)


def _sort_key(track: ListedTrack) -> tuple[str, str, int, str, int]:
    artist = fold(track.album_artist or track.artist or "")
    # What has no artist comes last.
    return (
        artist or "\U0010ffff",
        fold(track.album or ""),
        track.track_number or 0,
        fold(_title(track)),
        track.id,
    )


def _artists(track: ListedTrack) -> dict[str, str]:
    names = (track.artist, track.album_artist, *track.artists, *track.album_artists)
    return {fold(name): name for name in reversed(names) if name}


def _as_facet(value: str | None) -> dict[str, str]:
    return {} if value is None else {value: value}


def _decade(year: int | None) -> str | None:
    return None if year is None else str(year // 10 * 10)


def _tempo_class(bpm: float | None) -> str | None:
    return None if bpm is None else str(max(least for least in TEMPI if least <= max(0.0, bpm)))
