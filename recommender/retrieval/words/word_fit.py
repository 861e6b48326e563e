"""How well words fit tracks: the model's tags, the files' genres, years, tempo and loudness.

A word gives each track a percentile: the share of the library that it fits less well. So a rare tag
counts as much as a common one, and 0.98 means the same for every word, model and library.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from indexer.facets.columns import ACTIVATIONS
from indexer.facets.part import RANKS
from indexer.vectors.base import sample_ids
from recommender.retrieval.names import genre_key, genres_by_key
from recommender.retrieval.words.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from indexer.catalog.records import StoredModel, Track
    from indexer.facets.columns import Columns
    from indexer.facets.facets import Facets
    from indexer.facets.part import Part
    from indexer.vectors.base import VectorIndex
    from recommender.retrieval.words.vocabulary import Word

KEPT_WORDS = 16
"""Words whose percentiles are kept, the latest used ones: up to a megabyte each."""
LIKENESS_TRACKS = 8_192
"""The likeness to a genre is computed for so many tracks at most: those that are most alike, and a
sample of all, by which the others are ranked."""
MEASURES = ("tempo_bpm", "loudness_lufs")
_BLOCK = 1 << 16
_HALF = 0x3800
"""The rank of 0.5 among the numbers from 0 to 1 that float16 has."""
_UNION_CODES = 2 * _HALF + 1
_MEASURE_CODES = 1 << 16
_MIDDLE = 0.5
"""Of tracks of which nothing is known."""

Rows: TypeAlias = "slice | NDArray[np.int64]"


def percentiles(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Share of the values (n,) below each of them, equal ones counted half; NaN stays NaN."""
    known = np.sort(values[~np.isnan(values)])
    below = np.searchsorted(known, values, "left") + np.searchsorted(known, values, "right")
    shares: NDArray[np.float64] = below / max(1, 2 * len(known))
    shares[np.isnan(values)] = np.nan
    return shares


def reason(
    word: Word, track: Track, activations: NDArray[np.float32], tag_names: Sequence[str]
) -> str:
    """Why a word fits a track, in a few characters; "" where nothing shows it.

    "mellow 0.61" (the model's probability), "genre Jazz", "1994", "92 BPM".

    Parameters
    ----------
    activations : float32 (tags,)
        Of the track.
    """
    of_track = genres_by_key(track.genre)
    for genre in word.genres:
        if (key := genre_key(genre)) in of_track:
            return f"genre {of_track[key]}"
    if word.years is not None and track.year is not None:
        first, last = word.years
        if (first or 0) <= track.year and (last is None or track.year <= last):
            return str(track.year)
    if word.measure is not None:
        value = getattr(track, word.measure)
        if value is None:
            return ""
        return f"{value:.0f} BPM" if word.measure == "tempo_bpm" else f"{value:.1f} LUFS"
    if not word.tags:
        return ""
    probabilities = [float(activations[tag_names.index(tag)]) for tag in word.tags]
    # Damaged activations are no reason.
    known = [0.0 if math.isnan(one) else one for one in probabilities]
    best = max(range(len(known)), key=known.__getitem__)
    return f"{word.tags[best]} {known[best]:.2f}"


@dataclass(frozen=True, eq=False)
class WordTable:
    """The percentile of each track that a word can tell from others, for one state of a library.

    Attributes
    ----------
    columns : Columns
        That state.
    word : Word
        As one that is wanted.
    percentiles : float32
        By number of a track, see `numbers`.
    alike : float32 (m,) by ids int64 (m,), ascending
        Of a genre without a tag: percentiles of tracks that are known one by one.
    """

    columns: Columns
    word: Word
    percentiles: NDArray[np.float32]
    alike_ids: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    alike: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))

    def of(self, part: Part, rows: Rows, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """For some rows of a part what `values` has for each percentile of the table.

        Parameters
        ----------
        values : float32
            As many as percentiles, followed by those of `alike`.
        """
        found: NDArray[np.float32] = values[_numbers(self.word, self.columns, part, rows)]
        if len(self.alike_ids):
            ids = part.column("ids")[rows]
            at = np.minimum(np.searchsorted(self.alike_ids, ids), len(self.alike_ids) - 1)
            known = self.alike_ids[at] == ids
            found[known] = values[len(self.percentiles) + at[known]]
        return found

    def all_percentiles(self, *, wanted: bool) -> NDArray[np.float32]:
        """Percentiles of the table and of those that are alike; one minus them where unwanted."""
        every = np.concatenate([self.percentiles, self.alike])
        return every if wanted else np.subtract(1.0, every, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class WordFit:
    """How well words fit each track of a library; what is computed is kept.

    Attributes
    ----------
    facets : Facets
    model : StoredModel
    index : VectorIndex
        The library's own: to be asked while the library's lock is held.
    """

    facets: Facets
    model: StoredModel
    index: VectorIndex
    _kept: OrderedDict[Word, WordTable] = field(default_factory=OrderedDict)
    _known: list[tuple[Columns, Vocabulary]] = field(default_factory=list)

    @property
    def vocabulary(self) -> Vocabulary:
        """Words that can be asked for: tags, the library's genres, what is measured."""
        return self.facets.ask(self._vocabulary)

    def tables(self, words: Sequence[Word]) -> list[WordTable]:
        """Percentiles of words, by which `word_scores` and `percentiles_in` rank tracks."""
        return self.facets.ask(lambda columns: [self._table(word, columns) for word in words])

    def percentiles_of(self, words: Sequence[Word], ids: NDArray[np.int64]) -> NDArray[np.float64]:
        """Share of the library that words fit less well than some tracks, (len(ids), words)."""
        tables = self.tables(words)
        return self.facets.ask(partial(percentiles_in, words, tables, ids))

    def _vocabulary(self, columns: Columns) -> Vocabulary:
        if not self._known or self._known[0][0] is not columns:
            self._known[:] = [(columns, _vocabulary(self.model.tag_names, columns))]
        return self._known[0][1]

    def _table(self, word: Word, columns: Columns) -> WordTable:
        meaning = replace(word.meaning, wanted=True)
        kept = self._kept.get(meaning)
        if kept is None or kept.columns is not columns:
            kept = self._made(meaning, columns)
            self._kept[meaning] = kept
            if len(self._kept) > KEPT_WORDS:
                self._kept.popitem(last=False)
        self._kept.move_to_end(meaning)
        return kept

    def _made(self, word: Word, columns: Columns) -> WordTable:
        if word.genres and not word.tags and word.measure is None:
            return _like_the_genre(word, columns, self.index)
        counts = _count(word, columns)
        sound = _sound_percentiles(word, counts.sum(axis=0))
        # Percentiles of the sum of what the files say and of what the sound is like.
        said = np.arange(len(counts)) - len(counts) // 2
        fit = said[:, np.newaxis] + sound
        return WordTable(columns, word, _weighted_percentiles(fit.ravel(), counts.ravel()))


def word_scores(
    words: Sequence[Word], tables: Sequence[WordTable], columns: Columns
) -> NDArray[np.float32]:
    """The geometric mean of the percentiles of all words, for each row (columns.size,)."""
    logs = [
        np.log(table.all_percentiles(wanted=word.wanted).astype(np.float64)).astype(np.float32)
        for word, table in zip(words, tables, strict=True)
    ]

    def scores(part: Part) -> NDArray[np.float32]:
        total = np.zeros(len(part), np.float32)
        for start in range(0, len(part), _BLOCK):
            rows = slice(start, min(start + _BLOCK, len(part)))
            for table, values in zip(tables, logs, strict=True):
                total[rows] += table.of(part, rows, values)
        np.divide(total, max(1, len(words)), out=total)
        return np.exp(total, out=total)

    return columns.each(scores)


def percentiles_in(
    words: Sequence[Word], tables: Sequence[WordTable], ids: NDArray[np.int64], columns: Columns
) -> NDArray[np.float64]:
    """Percentiles of some tracks, (len(ids), words); 0.5 of those that are not there."""
    rows = columns.rows_of(ids)
    there = rows >= 0
    found = np.full((len(ids), len(words)), _MIDDLE)
    for column, (word, table) in enumerate(zip(words, tables, strict=True)):
        values = table.all_percentiles(wanted=word.wanted)
        found[there, column] = columns.at(rows[there], partial(table.of, values=values))
    return found


def _vocabulary(tag_names: Sequence[str], columns: Columns) -> Vocabulary:
    spellings: dict[str, Counter[str]] = {}
    alive = columns.alive
    start = 0
    for part in columns.parts:
        numbers = part.column("genre")[alive[start : start + len(part)]]
        counts = np.bincount(numbers[numbers >= 0], minlength=len(part.genres))
        for row in np.flatnonzero(counts).tolist():
            for key, genre in genres_by_key(part.genres[row]).items():
                spellings.setdefault(key, Counter())[genre] += int(counts[row])
        start += len(part)
    return Vocabulary(
        tag_names,
        [names.most_common(1)[0][0] for names in spellings.values()],
        [name for name in MEASURES if columns.mask(partial(_is_known, name)).any()],
    )


def _is_known(name: str, part: Part) -> NDArray[np.bool_]:
    known: NDArray[np.bool_] = ~np.isnan(part.column(name))
    return known


def _numbers(word: Word, columns: Columns, part: Part, rows: Rows) -> NDArray[np.intp]:
    """Numbers of tracks that a word tells apart: what the file says, times what the sound is like.

    The former is 0 where the file's year does not fit, 2 where its genre or year do, else 1.
    """
    sound = _sound_numbers(word, columns, part, rows)
    said = _file_numbers(word, part, rows)
    numbers: NDArray[np.intp] = sound if said is None else sound + _number_count(word) * said
    return numbers


def _number_count(word: Word) -> int:
    """How many numbers the sound has."""
    if word.measure is not None:
        return _MEASURE_CODES + 1
    if word.tags:
        return RANKS if len(word.tags) == 1 else _UNION_CODES
    return 1


def _sound_numbers(word: Word, columns: Columns, part: Part, rows: Rows) -> NDArray[np.intp]:
    if word.measure is not None:
        return _measure_numbers(part.column(word.measure)[rows], word.target)
    tags = [columns.tag_names.index(tag) for tag in word.tags]
    if len(tags) == 1:
        return part.activations(tags[0])[rows].astype(np.intp)
    if tags:
        return _union_numbers([part.activations(tag)[rows] for tag in tags])
    return np.zeros(len(part.arrays.array("ids")[rows]), np.intp)


def _union_numbers(activations: Sequence[NDArray[np.uint16]]) -> NDArray[np.intp]:
    """Ranks of the probability that any of the tags applies, as if they were independent.

    The smaller of it and of one minus it is rounded as float16: both ends keep their order.
    """
    none = 1.0 - ACTIVATIONS[activations[0]]
    for others in activations[1:]:
        none *= 1.0 - ACTIVATIONS[others]
    low = (1.0 - none).astype(np.float16).view(np.uint16)
    high = none.astype(np.float16).view(np.uint16)
    return np.where(none > _MIDDLE, low, np.uint16(2 * _HALF) - high).astype(np.intp)


def _measure_numbers(values: NDArray[np.float64], target: str | float) -> NDArray[np.intp]:
    """Ranks of measured values as float16, the better the higher; the last is of unknown ones."""
    if isinstance(target, float):
        values = -np.abs(np.log2(np.maximum(values, 1.0) / target))
    elif target == "low":
        values = -values
    bits = values.astype(np.float16).view(np.uint16).astype(np.intp)
    ranks = np.where(bits < 0x8000, bits + 0x8000, 0xFFFF - bits)
    return np.where(np.isnan(values), _MEASURE_CODES, ranks)


def _file_numbers(word: Word, part: Part, rows: Rows) -> NDArray[np.intp] | None:
    """See `_numbers`; None where the word is not about files."""
    if word.years is None and not word.genres:
        return None
    fits = np.zeros(len(part.arrays.array("ids")[rows]), np.bool_)
    if word.genres:
        fits |= _genre_table(word, part)[part.column("genre")[rows]]
    if word.years is None:
        return 1 + fits.astype(np.intp)
    first, last = word.years
    years = part.column("year")[rows]
    fits |= (years >= (first or 0)) & (years <= (np.inf if last is None else last))
    # A reissue has a late year and an early sound: where sound can tell, it may.
    if word.tags:
        return 1 + fits.astype(np.intp)
    return np.where(fits, 2, np.isnan(years).astype(np.intp))


def _genre_table(word: Word, part: Part) -> NDArray[np.bool_]:
    """For each genre text of a part whether a word stands for it; last, for none, that not."""
    keys = {genre_key(genre) for genre in word.genres}
    return np.array(
        [*(not keys.isdisjoint(genres_by_key(text)) for text in part.genres), False], np.bool_
    )


def _count(word: Word, columns: Columns) -> NDArray[np.int64]:
    """How many tracks have each number, (3, sound numbers); (1, ...) if it is not about files."""
    count = _number_count(word)
    about_files = word.years is not None or bool(word.genres)
    if not about_files and len(word.tags) == 1 and word.measure is None:
        return columns.tag_counts(columns.tag_names.index(word.tags[0]))[np.newaxis]
    counts = np.zeros((3 if about_files else 1) * count, np.int64)
    for part in columns.parts:
        for start in range(0, len(part), _BLOCK):
            rows = slice(start, min(start + _BLOCK, len(part)))
            counts += np.bincount(_numbers(word, columns, part, rows), minlength=len(counts))
    if len(columns.gone):
        gone = _numbers(word, columns, columns.base, columns.gone)
        counts -= np.bincount(gone, minlength=len(counts))
    return counts.reshape(-1, count)


def _sound_percentiles(word: Word, counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """The percentile of each number of the sound; of unknown measures, 0.5."""
    if word.measure is None:
        return _ranked_percentiles(counts)
    return np.append(_ranked_percentiles(counts[:-1]), _MIDDLE)


def _ranked_percentiles(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of the values below each, equal ones counted half, by how many there are of each."""
    shares: NDArray[np.float64] = (np.cumsum(counts) - counts / 2) / max(1, counts.sum())
    return shares


def _weighted_percentiles(
    fit: NDArray[np.float64], counts: NDArray[np.int64]
) -> NDArray[np.float32]:
    """The percentile of each fit, of which there are so many, none too; of the same the same."""
    there = np.flatnonzero(counts)
    values, which = np.unique(fit[there], return_inverse=True)
    below = np.concatenate([[0.0], np.cumsum(np.bincount(which, counts[there], len(values)))])
    total = max(1.0, below[-1])
    shares = (
        below[np.searchsorted(values, fit, "left")] + below[np.searchsorted(values, fit, "right")]
    ) / (2 * total)
    # What no track has is above or below them all, and never beyond.
    found: NDArray[np.float32] = np.clip(shares, 0.5 / total, 1 - 0.5 / total).astype(np.float32)
    return found


def _like_the_genre(word: Word, columns: Columns, index: VectorIndex) -> WordTable:
    """Likeness to the mean of the tracks of a genre that the model has no tag for.

    In a large library it is computed for those of the genre, for the nearest to their mean and for
    a sample; the others count as being in the middle of those that are left.
    """
    has_genre = columns.mask(lambda part: _genre_table(word, part)[part.column("genre")])
    of_genre = sample_ids(columns.ids(has_genre), LIKENESS_TRACKS)
    every = columns.ids() if len(columns) <= LIKENESS_TRACKS else None
    members = of_genre[index.holds(of_genre)]
    if not len(members):
        return _without_likeness(word, columns)
    mean = index.reconstruct(members).mean(axis=0)
    if every is None:
        unit = mean / max(float(np.linalg.norm(mean)), 1e-12)
        nearest, _ = index.search(unit[np.newaxis].astype(np.float32), LIKENESS_TRACKS)
        known = np.union1d(nearest[0], members)
    else:
        known = every[index.holds(every)]
    likeness = index.reconstruct(known) @ mean
    rows = columns.rows_of(known)
    known, likeness, rows = (one[rows >= 0] for one in (known, likeness, rows))
    total, count = len(columns), int(np.count_nonzero(has_genre))
    of_known = np.zeros(len(known), np.float64)
    middle = []
    for is_one, size, below in ((False, total - count, 0), (True, count, total - count)):
        own = has_genre[rows] == is_one
        # What is not known is less alike than what is.
        unknown = size - np.count_nonzero(own)
        shares = percentiles(likeness[own]) * np.count_nonzero(own)
        of_known[own] = (below + unknown + shares) / max(1, total)
        middle.append((below + unknown / 2) / max(1, total))
    table = np.clip([_MIDDLE, *middle], 0.5 / max(1, total), 1.0).astype(np.float32)
    return WordTable(columns, word, table, known, of_known.astype(np.float32))


def _without_likeness(word: Word, columns: Columns) -> WordTable:
    counts = _count(word, columns)
    fit = np.array([-1.0, 0.0, 1.0]) + _MIDDLE
    return WordTable(columns, word, _weighted_percentiles(fit, counts.ravel()))
