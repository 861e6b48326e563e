"""A library as a list: searched as one types, a page at a time, and counted by its facets."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.errors import InvalidOption
from recommender.retrieval.lookup import LARGEST_ID
from recommender.retrieval.names import genres_by_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from indexer.catalog.reader import Catalog
    from indexer.catalog.records import Track
    from indexer.facets.columns import Columns
    from indexer.facets.part import Part

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
KEPT_TEXTS = 4
"""Texts whose tracks are kept, the latest used ones; a byte a track each."""
_DECADES = 1_000
_STARTS, _WORDS, _PARTS = range(3)
"""How well a text fits: title or artist start so; each word begins a word; holds each word."""


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


class TextFits:
    """How well texts fit the tracks of a catalog. Several threads may use one."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[Columns, NDArray[np.int8]]] = OrderedDict()

    def fit(self, text: str, columns: Columns) -> NDArray[np.int8] | None:
        """How well each row (size,) fits a text, 0 best; -1 where it does not; None: all do."""
        text = " ".join(text.split())
        if not text:
            return None
        with self._lock:
            kept = self._kept.get(text)
            if kept is not None and kept[0] is columns:
                self._kept.move_to_end(text)
                return kept[1]
        fit = self._search(text, columns)
        with self._lock:
            self._kept[text] = columns, fit
            self._kept.move_to_end(text)
            while len(self._kept) > KEPT_TEXTS:
                self._kept.popitem(last=False)
        return fit

    def _search(self, text: str, columns: Columns) -> NDArray[np.int8]:
        found = self._catalog.database.search_titles(text)
        fit = np.full(columns.size, -1, np.int8)
        for how, ids in ((_PARTS, found.parts), (_WORDS, found.words), (_STARTS, found.starts)):
            rows = columns.rows_of(ids)
            fit[rows[rows >= 0]] = how
        return fit


def page_of(
    columns: Columns,
    mask: NDArray[np.bool_],
    fit: NDArray[np.int8] | None,
    n: int,
    after: tuple[int, int] | None,
) -> tuple[NDArray[np.int64], tuple[int, int] | None]:
    """Ids of the n tracks in a mask that fit best after those of earlier pages.

    Equal ones are in the order: artist, album, number, title.

    Parameters
    ----------
    mask : bool (size,)
        Which rows are in the list.
    fit : int8 (size,), or None
        How well they fit, 0 best; None: all alike.
    after : (fit, id) of the last track of the page before

    Returns
    -------
    ids : int64
    after : (fit, id) of the last of them; None where no more come
    """
    order = columns.order
    places = np.flatnonzero(mask[order])
    fits = np.zeros(0, np.int8)
    if fit is not None:
        fits = fit[order[places]]
        by_fit = np.argsort(fits, kind="stable")
        places, fits = places[by_fit], fits[by_fit]
    begin = 0
    if after is not None:
        last, track_id = after
        first, end = (
            np.searchsorted(fits, [last, last + 1]) if fit is not None else (0, len(places))
        )
        (row,) = columns.rows_of(np.array([track_id]))
        # Where the track has gone meanwhile, the page begins with the next kind of fit.
        begin = int(end)
        if row >= 0:
            # Tracks that fit alike are in the list's order.
            place = np.flatnonzero(order == row)[0]
            begin = int(first + np.searchsorted(places[first:end], place, "right"))
    page = order[places[begin : begin + n]]
    ids = columns.at(page.astype(np.int64), lambda part, at: part.column("ids")[at])
    if begin + n >= len(places) or not len(page):
        return ids, None
    return ids, (0 if fit is None else int(fits[begin + len(page) - 1]), int(ids[-1]))


def count_values(
    facet: str, columns: Columns, mask: NDArray[np.bool_], most: int
) -> tuple[FacetValue, ...]:
    """The values of a facet that most of the rows in a mask (size,) have, most frequent first.

    Equally frequent ones are in the order of their names.
    """
    counts = _COUNTERS[facet](columns, mask, most)
    order = sorted(
        ((name, count) for name, count in counts.items() if count),
        key=lambda one: (-one[1], one[0]),
    )
    return tuple(FacetValue(name, count) for name, count in order[:most])


def tempo_bounds(value: str) -> tuple[float | None, float | None]:
    """Least and most tempo of a class of the facet `tempo`, as `Where.tempo` takes it."""
    low = TEMPI.index(int(value))
    high = np.nextafter(TEMPI[low + 1], 0) if low + 1 < len(TEMPI) else None
    return float(TEMPI[low]), None if high is None else float(high)


def format_cursor(after: tuple[int, int] | None) -> str | None:
    """A place in a list as text, for whoever asks for the next page."""
    return None if after is None else f"{after[0]}.{after[1]}"


def parse_cursor(text: str | None) -> tuple[int, int] | None:
    """A place in a list, as `format_cursor` wrote it.

    Raises
    ------
    InvalidOption
    """
    if text is None:
        return None
    fit, _, track_id = text.partition(".")
    if not (fit.isascii() and fit.isdigit() and track_id.isascii() and track_id.isdigit()):
        raise InvalidOption(f"{text!r} is no place in a list: leave the cursor out")
    place = int(fit[:3]), int(track_id[:20])
    if place[1] > LARGEST_ID:
        raise InvalidOption(f"{text!r} is no place in a list: leave the cursor out")
    return place


def _parts(columns: Columns, mask: NDArray[np.bool_]) -> Iterator[tuple[Part, NDArray[np.bool_]]]:
    """Each part that has tracks, with its own share of a mask (size,)."""
    start = 0
    for part in columns.parts:
        if len(part):
            yield part, mask[start : start + len(part)]
        start += len(part)


def _genres(columns: Columns, mask: NDArray[np.bool_], _most: int) -> dict[str, int]:
    spellings: dict[str, Counter[str]] = {}
    for part, there in _parts(columns, mask):
        numbers = _count_numbers(part.column("genre")[there], len(part.genres))
        for row in np.flatnonzero(numbers).tolist():
            for key, genre in genres_by_key(part.genres[row]).items():
                spellings.setdefault(key, Counter())[genre] += int(numbers[row])
    return {found.most_common(1)[0][0]: found.total() for found in spellings.values()}


def _artists(columns: Columns, mask: NDArray[np.bool_], most: int) -> dict[str, int]:
    names = columns.base.texts("artists")
    counts = np.zeros(len(names), np.int64)
    new: dict[str, int] = {}
    for part, there in _parts(columns, mask):
        of_part = part.column("artists")[there[part.column("artists_row")]]
        found = _count_numbers(of_part, len(part.texts("artists")))
        if part is columns.base:
            counts += found
            continue
        texts, spelling = part.texts("artists"), part.texts("spelling")
        for number in np.flatnonzero(found).tolist():
            place, is_there = names.insertion(texts[number])
            if is_there:
                counts[place] += found[number]
            else:
                new[spelling[number]] = int(found[number])
    # By count, then by folded name, which is the order of the numbers.
    most = min(most, len(counts))
    least = max(1, int(np.partition(counts, -most)[-most])) if most else 1
    frequent = np.flatnonzero(counts >= least)
    best = frequent[np.argsort(-counts[frequent], kind="stable")[:most]]
    spelling = columns.base.texts("spelling")
    return {**new, **{spelling[number]: int(counts[number]) for number in best.tolist()}}


def _decades(columns: Columns, mask: NDArray[np.bool_], _most: int) -> dict[str, int]:
    counts = np.zeros(_DECADES, np.int64)
    for part, there in _parts(columns, mask):
        years = part.column("year")[there]
        decades = years[~np.isnan(years)].astype(np.int64) // 10
        counts += np.bincount(np.clip(decades, 0, _DECADES - 1), minlength=_DECADES)
    return {str(10 * decade): int(counts[decade]) for decade in np.flatnonzero(counts).tolist()}


def _musical_keys(columns: Columns, mask: NDArray[np.bool_], _most: int) -> dict[str, int]:
    total: dict[str, int] = {}
    for part, there in _parts(columns, mask):
        numbers = _count_numbers(part.column("musical_key")[there], len(part.musical_keys))
        for text, count in zip(part.musical_keys, numbers.tolist(), strict=True):
            total[text] = total.get(text, 0) + count
    return total


def _tempi(columns: Columns, mask: NDArray[np.bool_], _most: int) -> dict[str, int]:
    reached = np.zeros(len(TEMPI) + 1, np.int64)
    for part, there in _parts(columns, mask):
        tempi = part.column("tempo_bpm")[there]
        reached[0] += np.count_nonzero(~np.isnan(tempi))
        for row, least in enumerate(TEMPI[1:], start=1):
            reached[row] += np.count_nonzero(tempi >= least)
    return {str(low): int(reached[row] - reached[row + 1]) for row, low in enumerate(TEMPI)}


def _tags(columns: Columns, mask: NDArray[np.bool_], _most: int) -> dict[str, int]:
    return dict(zip(columns.tag_names, columns.count_strongest(mask).tolist(), strict=True))


_COUNTERS = {
    "genre": _genres,
    "artist": _artists,
    "decade": _decades,
    "musical_key": _musical_keys,
    "tempo": _tempi,
    "tag": _tags,
}


def _count_numbers(numbers: NDArray[np.int32], texts: int) -> NDArray[np.int64]:
    """How often each number of a text is there; -1 is none."""
    return np.bincount(numbers[numbers >= 0], minlength=texts)
