"""How well words fit tracks: the model's tags, the files' genres, years, tempo and loudness.

A word gives each track a percentile: the share of the library that it fits less well. So a rare tag
counts as much as a common one, and 0.98 means the same for every word, model and library.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from recommender.retrieval.names import genre_key, genres_by_key
from recommender.retrieval.words.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from indexer.catalog.reader import Catalog
    from indexer.catalog.records import StoredModel, Track
    from indexer.vectors.base import VectorIndex
    from recommender.retrieval.words.vocabulary import Word

KEPT_WORDS = 32
"""Words whose percentiles are kept, the latest used ones: 8 bytes a track each."""
_BLOCK = 8_192


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
class WordFit:
    """How well words fit each track of one state of a library; what is computed is kept.

    Attributes
    ----------
    catalog : Catalog
    model : StoredModel
    index : VectorIndex
        The library's own: to be asked while the library's lock is held.
    """

    catalog: Catalog
    model: StoredModel
    index: VectorIndex
    _kept: OrderedDict[Word, NDArray[np.float64]] = field(default_factory=OrderedDict)

    @cached_property
    def ids(self) -> NDArray[np.int64]:
        """Ids of the tracks, ascending."""
        return self.index.ids()

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Words that can be asked for: tags, the library's genres, what is measured."""
        spellings: dict[str, Counter[str]] = {}
        counts = np.bincount(self._facts.genre_of_track, minlength=len(self._facts.genres))
        for genres, count in zip(self._facts.genres, counts.tolist(), strict=True):
            for key, genre in genres.items():
                spellings.setdefault(key, Counter())[genre] += count
        return Vocabulary(
            self.model.tag_names,
            [names.most_common(1)[0][0] for names in spellings.values()],
            [name for name, values in self._facts.measures.items() if not np.isnan(values).all()],
        )

    def percentiles(self, word: Word) -> NDArray[np.float64]:
        """Share of the library that a word fits less well than each track, (tracks,)."""
        meaning = replace(word.meaning, wanted=True)
        if meaning not in self._kept:
            self._kept[meaning] = percentiles(self._file_fit(word) + self._sound_fit(word))
            if len(self._kept) > KEPT_WORDS:
                self._kept.popitem(last=False)
        self._kept.move_to_end(meaning)
        fit = self._kept[meaning]
        return fit if word.wanted else 1.0 - fit

    def percentiles_of(self, words: Sequence[Word], ids: NDArray[np.int64]) -> NDArray[np.float64]:
        """Percentiles of some of the tracks, which the index holds, (len(ids), words)."""
        rows = np.searchsorted(self.ids, ids)
        return np.stack([self.percentiles(word)[rows] for word in words], axis=1)

    @cached_property
    def _facts(self) -> _Facts:
        return _facts(self.catalog, self.ids)

    def _file_fit(self, word: Word) -> NDArray[np.float64]:
        """1 where the file's tags fit the word, -1 where its year does not, else 0; (tracks,)."""
        certain = np.zeros(len(self.ids))
        if word.genres:
            certain[self._has_genre(word)] = 1.0
        if word.years is not None:
            first, last = word.years
            years = self._facts.years
            certain[(years >= (first or 0)) & (years <= (np.inf if last is None else last))] = 1.0
            # A reissue has a late year and an early sound: where sound can tell, it may.
            if not word.tags:
                certain[~np.isnan(years) & (certain == 0)] = -1.0
        return certain

    def _sound_fit(self, word: Word) -> NDArray[np.float64]:
        """How well the sound of each track fits a word, in (0, 1); (tracks,)."""
        if word.measure is not None:
            return _measure_fit(self._facts.measures[word.measure], word.target)
        if word.tags:
            # The probability that any of the tags applies, as if they were independent.
            return percentiles(1.0 - np.prod(1.0 - self._activations(word.tags), axis=1))
        if word.genres:
            return self._like_the_genre(word)
        return np.full(len(self.ids), 0.5)

    def _activations(self, tags: Sequence[str]) -> NDArray[np.float32]:
        """Activations (tracks, tags); -1 where damaged, which is no reason to be found."""
        from indexer.catalog.filter_queries import tag_activations

        columns = [self.model.tag_names.index(tag) for tag in tags]
        found, values = tag_activations(self.catalog, self.model, columns)
        rows, known = _rows_of(self.ids, found)
        activations = np.full((len(self.ids), len(columns)), np.nan, dtype=np.float32)
        activations[rows] = values[known]
        return np.nan_to_num(activations, nan=-1.0)

    def _has_genre(self, word: Word) -> NDArray[np.bool_]:
        """Whether the genre in a track's tags is one that a word stands for, (tracks,)."""
        keys = {genre_key(genre) for genre in word.genres}
        fits = np.array([not keys.isdisjoint(genres) for genres in self._facts.genres], np.bool_)
        return fits[self._facts.genre_of_track]

    def _like_the_genre(self, word: Word) -> NDArray[np.float64]:
        """Likeness to the mean of the tracks of a genre that the model has no tag for."""
        mean = self.index.reconstruct(self.ids[self._has_genre(word)]).mean(axis=0)
        blocks = [self.ids[at : at + _BLOCK] for at in range(0, len(self.ids), _BLOCK)]
        return percentiles(np.concatenate([self.index.reconstruct(ids) @ mean for ids in blocks]))


@dataclass(frozen=True, eq=False)
class _Facts:
    """What the files and the catalog say of tracks.

    Attributes
    ----------
    genres : list of dict
        By `genre_key`, of each text that is a track's genre.
    genre_of_track : int64 (tracks,)
        Row in `genres`.
    years : float64 (tracks,)
        NaN where unknown.
    measures : dict of float64 (tracks,)
        By field of a track.
    """

    genres: list[dict[str, str]]
    genre_of_track: NDArray[np.int64]
    years: NDArray[np.float64]
    measures: dict[str, NDArray[np.float64]]


def _facts(catalog: Catalog, ids: NDArray[np.int64]) -> _Facts:
    """The facts of the tracks with these ids, which are ascending."""
    from indexer.catalog.filter_queries import track_columns

    stored = track_columns(catalog)
    rows, known = _rows_of(ids, stored.ids)
    number = {text: row for row, text in enumerate(dict.fromkeys((None, *stored.genres)))}
    numbers = np.array([number[text] for text in stored.genres], dtype=np.int64)
    genre_of_track = np.zeros(len(ids), dtype=np.int64)
    genre_of_track[rows] = numbers[known]
    columns = np.full((3, len(ids)), np.nan)
    columns[:, rows] = np.stack([stored.years, stored.tempi_bpm, stored.loudness_lufs])[:, known]
    return _Facts(
        [genres_by_key(text) for text in number],
        genre_of_track,
        columns[0],
        {"tempo_bpm": columns[1], "loudness_lufs": columns[2]},
    )


def _rows_of(
    ids: NDArray[np.int64], found: NDArray[np.int64]
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Rows in ascending ids of those found that are among them, and which these are.

    What a writer adds meanwhile is found, and not yet in the index.
    """
    rows = np.searchsorted(ids, found)
    known = rows < len(ids)
    known[known] = ids[rows[known]] == found[known]
    return rows[known], known


def _measure_fit(values: NDArray[np.float64], target: str | float) -> NDArray[np.float64]:
    if isinstance(target, float):
        values = -np.abs(np.log2(np.maximum(values, 1.0) / target))
    elif target == "low":
        values = -values
    return np.nan_to_num(percentiles(values), nan=0.5)
