"""Columns of some tracks, by ascending id; made of rows of the catalog.

Columns, n tracks long where nothing else is said:

- `ids` int64
- `year`, `duration_s`, `tempo_bpm`, `loudness_lufs`, `added_at` float64, NaN where unknown
- `genre`, `album`, `musical_key` int32: numbers of the part's own texts, -1 where there is none.
  A genre is a text as the catalog shows it, an album is folded
- `genres_row`, `genres` int32 (m,): further genres of tracks that have several
- `artists_row`, `artists` int32 (m,): every folded name among artists and album artists
- `order` int32: rows by artist, album, number and title; `sort_key` 32 bytes: what that order is
  by, in that order (see `sort_keys`)
- `activations` uint16 (tags, n): ranks among the numbers from 0 to 1 that float16 has, from 1 on;
  what is damaged is 0
- in a file also `tag_counts` uint32 (tags, RANKS): how many tracks have each rank; `levels` uint16
  (tags,): the least rank of the strongest tenth; `strongest` uint64 (tags, ceil(n / 64)):
  their bits
- texts, ascending: `genre`, `album`, `musical_key`, `artists`; and, in the order of the latter,
  `spelling`: an artist's name as one track has it. Each is two arrays, see `text_arrays`
"""

from __future__ import annotations

import posixpath
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from indexer.facets.texts import Texts
from indexer.text_folding import fold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from indexer.catalog.facet_queries import FacetRow

NUMBERS = ("year", "duration_s", "tempo_bpm", "loudness_lufs", "added_at")
CODES = ("genre", "album", "musical_key")
SEVERAL = ("genres", "artists")
TEXTS = ("genre", "album", "musical_key", "artists", "spelling")
RANKS = 0x3C00 + 2
"""How many ranks activations have: the numbers from 0 to 1 that float16 has, and 0."""
STRONGEST = 0.1
"""The part of the tracks that are the strongest of a tag."""
KEY_BYTES = 32
_TITLE_BYTES = 16
NO_ARTIST = 0xFFFF_FFFF


class Arrays(Protocol):
    """Arrays by name: in memory, or in a file of `indexer.mapped_arrays`."""

    def __contains__(self, name: str) -> bool: ...

    def array(self, name: str) -> NDArray[Any]:
        """An array, unchecked."""

    def checked(self, name: str) -> NDArray[Any]:
        """A whole array, checked."""

    def require_intact(self, name: str, rows: NDArray[np.integer] | slice | None = None) -> None:
        """Check some rows of an array."""


class HeldArrays(dict[str, "NDArray[Any]"]):
    """Arrays in memory."""

    def array(self, name: str) -> NDArray[Any]:
        """An array."""
        return self[name]

    checked = array

    def require_intact(self, name: str, rows: NDArray[np.integer] | slice | None = None) -> None:
        """Nothing: memory is not checked."""


class Part:
    """Columns of some tracks; see the module. `IndexFileError` where a mapped one is damaged.

    Attributes
    ----------
    arrays : Arrays
    """

    def __init__(self, arrays: Arrays) -> None:
        self.arrays = arrays

    def __len__(self) -> int:
        return len(self.arrays.array("ids"))

    @property
    def tag_count(self) -> int:
        """How many tags the model has."""
        return len(self.arrays.array("activations"))

    def column(self, name: str) -> NDArray[Any]:
        """A column by its name."""
        return self.arrays.checked(name)

    def texts(self, name: str) -> Texts:
        """The texts that a column's numbers stand for."""
        content, ends = text_names(name)
        return Texts(self.arrays.checked(content), self.arrays.checked(ends))

    @cached_property
    def genres(self) -> tuple[str, ...]:
        """All texts of the column `genre`, of which there are few."""
        return tuple(self.texts("genre"))

    @cached_property
    def musical_keys(self) -> tuple[str, ...]:
        """All texts of the column `musical_key`."""
        return tuple(self.texts("musical_key"))

    def activations(self, tag: int) -> NDArray[np.uint16]:
        """The ranks (n,) of a tag's activations."""
        self.arrays.require_intact("activations", slice(tag, tag + 1))
        row: NDArray[np.uint16] = self.arrays.array("activations")[tag]
        return row

    def strongest(self, tag: int) -> NDArray[np.uint64]:
        """Bits of the tracks, see `pack_bits`, that are among the strongest of a tag; of a file."""
        self.arrays.require_intact("strongest", slice(tag, tag + 1))
        bits: NDArray[np.uint64] = self.arrays.array("strongest")[tag]
        return bits

    def tag_counts(self, tag: int) -> NDArray[np.int64]:
        """How many tracks have each rank of a tag's activations, (RANKS,)."""
        if "tag_counts" in self.arrays:
            self.arrays.require_intact("tag_counts", slice(tag, tag + 1))
            counts: NDArray[np.int64] = self.arrays.array("tag_counts")[tag].astype(np.int64)
            return counts
        return np.bincount(self.activations(tag), minlength=RANKS)


def text_names(name: str) -> tuple[str, str]:
    """Names of the two arrays that hold the texts of a column."""
    return f"{name}_texts", f"{name}_ends"


def text_arrays(name: str, texts: Texts) -> dict[str, NDArray[Any]]:
    """The two arrays of some texts, by their names."""
    content, ends = text_names(name)
    return {content: texts.content, ends: texts.ends}


class _Numbering:
    """Texts numbered as they come, and in the end by their order."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, text: str | None) -> int:
        return -1 if text is None else self._numbers.setdefault(text, len(self._numbers))

    def sorted(self) -> tuple[list[str], NDArray[np.int32]]:
        """The texts, ascending, and the place of each number among them; that of -1 is -1."""
        # As bytes: Python's own order of texts is that of code points, which is the same.
        texts = sorted(self._numbers)
        places = np.full(len(texts) + 1, -1, np.int32)
        places[[self._numbers[text] for text in texts]] = np.arange(len(texts))
        return texts, places


class PartEncoder:
    """Makes columns of rows that come in blocks, by ascending id.

    Parameters
    ----------
    tags : int
        How many the model has.
    keep : function, optional
        What is kept of a block of activations uint16 (tags, rows), such as a mapped file of them.
    """

    def __init__(
        self,
        tags: int,
        keep: Callable[[NDArray[np.uint16]], NDArray[np.uint16]] = np.ascontiguousarray,
    ) -> None:
        self._tags = tags
        self._keep = keep
        self._rows = 0
        self._blocks: list[dict[str, NDArray[Any]]] = []
        self.activations: list[NDArray[np.uint16]] = []
        self._of = {name: _Numbering() for name in ("genre", "album", "musical_key", "artists")}
        self._spelling: list[str] = []
        self._folded: dict[str, int] = {}

    def add(self, rows: Sequence[FacetRow]) -> None:
        """Go on with a block of rows."""
        # SQLAlchemy comes with the first catalog, not with the import.
        from indexer.catalog.facet_queries import names_of_list

        if not rows:
            return
        columns = dict(zip(_FIELDS, zip(*rows, strict=True), strict=True))
        block: dict[str, NDArray[Any]] = {"ids": np.array(columns["id"], np.int64)}
        for name in NUMBERS:
            block[name] = np.array(columns[name], np.float64)
        genre, musical_key = self._of["genre"].number, self._of["musical_key"].number
        block["genre"] = np.array([genre(text) for text in columns["genre"]], np.int32)
        block["musical_key"] = np.array(
            [musical_key(text) for text in columns["musical_key"]], np.int32
        )
        album = self._of["album"].number
        block["album"] = np.array(
            [album(fold(text) if text else None) for text in columns["album"]], np.int32
        )
        several = [
            (row, genre(text))
            for row, stored in enumerate(columns["genres"], start=self._rows)
            if "," in stored
            for text in _each(names_of_list(stored))
        ]
        block |= _pairs("genres", several)
        artists, first = self._artists(columns)
        block |= _pairs("artists", artists)
        block["first_artist"] = np.array(first, np.int32)
        numbers = (min(max(number or 0, 0), 0xFFFF) for number in columns["track_number"])
        block["track_number"] = np.fromiter(numbers, ">u2", len(rows))
        block["title"] = np.array(
            [
                fold(title or posixpath.basename(key)).encode()[:_TITLE_BYTES]
                for title, key in zip(columns["title"], columns["key"], strict=True)
            ],
            f"S{_TITLE_BYTES}",
        )
        self._blocks.append(block)
        self.activations.append(self._keep(_activations(columns["activations"], self._tags)))
        self._rows += len(rows)

    def columns(self) -> HeldArrays:
        """All columns but the activations, which are `activations`, block by block."""
        names = self._blocks[0].keys() if self._blocks else _BLOCK_DTYPES.keys()
        whole: dict[str, NDArray[Any]] = {
            name: np.concatenate(
                [np.empty(0, _BLOCK_DTYPES[name]), *(block.pop(name) for block in self._blocks)]
            )
            for name in list(names)
        }
        texts: dict[str, Texts] = {}
        for name, numbering in self._of.items():
            found, places = numbering.sorted()
            texts[name] = Texts.of(found)
            whole[name] = places[whole[name]]
            if name == "genre":
                whole["genres"] = places[whole["genres"]]
            elif name == "artists":
                spelling = np.array([*self._spelling, ""], object)
                texts["spelling"] = Texts.of(spelling[np.argsort(places[:-1])].tolist())
                whole["first_artist"] = places[whole["first_artist"]]
        keys = sort_keys(
            2 * whole.pop("first_artist").astype(np.int64) + 1,
            2 * whole["album"].astype(np.int64) + 1,
            whole.pop("track_number"),
            whole.pop("title"),
            whole["ids"],
        )
        order = np.argsort(keys, kind="stable")
        held = HeldArrays(whole)
        held["order"], held["sort_key"] = order.astype(np.int32), keys[order]
        for name, of_column in texts.items():
            held.update(text_arrays(name, of_column))
        return held

    def part(self) -> Part:
        """All columns, in memory."""
        held = self.columns()
        empty = np.empty((self._tags, 0), np.uint16)
        held["activations"] = np.concatenate([empty, *self.activations], axis=1)
        return Part(held)

    def _artists(
        self, columns: Mapping[str, Sequence[Any]]
    ) -> tuple[list[tuple[int, int]], list[int]]:
        """Each row with the number of every artist in it, and by row that it is sorted by."""
        from indexer.catalog.facet_queries import names_of_list

        pairs: list[tuple[int, int]] = []
        first: list[int] = []
        before: tuple[Any, ...] | None = None
        numbers: list[int] = []
        own = -1
        fields = ("artist", "album_artist", "artists", "album_artists")
        for row, names in enumerate(
            zip(*(columns[name] for name in fields), strict=True), start=self._rows
        ):
            if names != before:
                artist, album_artist, artists, album_artists = before = names
                every = (
                    artist,
                    album_artist,
                    *names_of_list(artists),
                    *names_of_list(album_artists),
                )
                numbers = list(dict.fromkeys(self._artist(name) for name in every if name))
                sorted_by = album_artist or artist
                own = self._artist(sorted_by) if sorted_by else -1
            pairs += [(row, number) for number in numbers]
            first.append(own)
        return pairs, first

    def _artist(self, name: str) -> int:
        number = self._folded.get(name)
        if number is None:
            number = self._folded[name] = self._of["artists"].number(fold(name))
            if number == len(self._spelling):
                self._spelling.append(name)
        return number


_FIELDS = (
    *("id", "key", "title", "artist", "artists", "album", "album_artist", "album_artists"),
    *("genre", "genres", "year", "track_number", "added_at", "duration_s", "tempo_bpm"),
    *("musical_key", "loudness_lufs", "activations"),
)
_BLOCK_DTYPES: dict[str, Any] = {
    "ids": np.int64,
    **dict.fromkeys(NUMBERS, np.float64),
    **dict.fromkeys((*CODES, "first_artist"), np.int32),
    **{f"{name}{ending}": np.int32 for name in SEVERAL for ending in ("", "_row")},
    "track_number": ">u2",
    "title": f"S{_TITLE_BYTES}",
}


def encode(blocks: Iterable[Sequence[FacetRow]], tags: int) -> Part:
    """Columns, in memory, of rows that come in blocks by ascending id."""
    encoder = PartEncoder(tags)
    for rows in blocks:
        encoder.add(rows)
    return encoder.part()


def sort_keys(
    artists: NDArray[np.int64],
    albums: NDArray[np.int64],
    track_numbers: NDArray[np.unsignedinteger],
    titles: NDArray[np.bytes_],
    ids: NDArray[np.int64],
) -> NDArray[np.bytes_]:
    """Keys (n,) of 32 bytes whose order is that of lists of tracks.

    Parameters
    ----------
    artists, albums : int64 (n,)
        2 number + 1 of the text; an even one lies between two texts, and -1 is none. What has no
        artist comes last, what has no album first.
    titles : n byte strings
        The first 16 bytes of each folded title.
    """
    keys = np.zeros((len(ids), KEY_BYTES), np.uint8)
    artists = np.where(artists < 0, NO_ARTIST, artists)
    albums = np.where(albums < 0, 0, albums + 1)
    keys[:, 0:4] = artists.astype(">u4").view(np.uint8).reshape(-1, 4)
    keys[:, 4:8] = albums.astype(">u4").view(np.uint8).reshape(-1, 4)
    keys[:, 8:10] = track_numbers.astype(">u2").view(np.uint8).reshape(-1, 2)
    keys[:, 10:26] = titles.astype(f"S{_TITLE_BYTES}").view(np.uint8).reshape(-1, _TITLE_BYTES)
    keys[:, 26:32] = ids.astype(">u8").view(np.uint8).reshape(-1, 8)[:, 2:]
    return keys.view(f"S{KEY_BYTES}").ravel()


def _pairs(name: str, pairs: list[tuple[int, int]]) -> dict[str, NDArray[np.int32]]:
    both = np.array(pairs, np.int32).reshape(-1, 2)
    return {f"{name}_row": both[:, 0], name: both[:, 1]}


def _each(texts: tuple[str, ...]) -> tuple[str, ...]:
    """The texts of a list that has several; of one, which the shown text repeats, none."""
    return texts if len(texts) > 1 else ()


def _activations(stored: Sequence[bytes], tags: int) -> NDArray[np.uint16]:
    """Ranks of activations (tags, rows)."""
    bits = np.frombuffer(b"".join(stored), "<u2").reshape(len(stored), tags)
    # NaN, infinity, and all that is negative or above 1 lie beyond the bits of 1.
    return np.where(bits <= RANKS - 2, bits + np.uint16(1), np.uint16(0)).T


def rank_at(counts: NDArray[np.int64], share: float) -> int:
    """The least rank above or at a share of all activations, by how many have each rank."""
    below = np.cumsum(counts)
    return int(np.searchsorted(below, np.ceil(share * (below[-1] - 1)), "right"))


def pack_bits(mask: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """A mask (n,) as bits, (ceil(n / 64),)."""
    packed = np.zeros(-(-len(mask) // 64) * 8, np.uint8)
    packed[: -(-len(mask) // 8)] = np.packbits(mask)
    return packed.view("<u8")


def rank_of(level: float) -> int:
    """The rank of a probability as the catalog keeps it: 0.4 reaches 0.4."""
    return int(np.abs(np.float16(level)).view(np.uint16)) + 1
