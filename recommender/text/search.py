"""Search by words: the model's tags, the files' genres, years, tempo, and lyrics.

A word gives each track a percentile: the share of the library that it fits less well. So a rare tag
counts as much as a common one, and 0.98 means the same for every word, model and library. A track's
score is the geometric mean of its percentiles, which is high only where all words fit.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, overload

import numpy as np

from indexer.errors import InvalidOption, QueryError
from recommender.retrieval.lookup import count_noun, result_count
from recommender.retrieval.names import genre_key, genres_by_key
from recommender.text.fusion import blend_scores, check_weight, percentiles
from recommender.text.vocabulary import (
    NEAREST,
    Request,
    Unknown,
    Vocabulary,
    Word,
)

if TYPE_CHECKING:
    from typing import SupportsIndex

    from numpy.typing import NDArray

    from indexer.catalog.records import Track
    from recommender.engine import Recommender
    from recommender.retrieval.where import Where
    from recommender.text.lyrics import LyricVectors
    from recommender.text.text_embedding import TextModel

MEASURES = ("tempo_bpm", "loudness_lufs")
"""Fields of a track that words such as "fast" and "quiet" refer to."""
LIKENESS = 0.5
"""Least cosine at which two texts count as the same in meaning ..."""
NEARLY = 0.05
"""... together with all whose cosine is within this of the best."""
SUGGESTED = 0.4
"""Least cosine at which a known word is suggested for an unknown one."""
SHOWN = 12
"""Number of known words that an error lists."""


@dataclass(frozen=True)
class Match:
    """How well one word fits one track.

    Attributes
    ----------
    word : str
    percentile : float
        Share of the library that it fits less well, in (0, 1).
    because : str
        Reason: "mellow 0.61" (the model's probability), "genre Jazz", "1994", "92 BPM".
    """

    word: str
    percentile: float
    because: str


@dataclass(frozen=True)
class Hit:
    """A track found, with its score and how well each word fits.

    Attributes
    ----------
    score : float
        Geometric mean of the percentiles, in (0, 1); with lyrics, blended with theirs.
    matches : tuple of Match
        One for each of `SearchResult.words`.
    lyrics : float or None
        The percentile of its lyrics among all lyrics; None where it has none or the weight is 0.
    """

    id: int
    key: str
    title: str | None
    artist: str | None
    score: float
    matches: tuple[Match, ...]
    lyrics: float | None = None


@dataclass(frozen=True)
class SearchResult(Sequence[Hit]):
    """Tracks found, best first; equal scores in the order of their ids.

    Attributes
    ----------
    text : str
        The text searched for.
    words : tuple of Word
        Words of it that are known.
    unknown : tuple of Unknown
        Words of it that are not known and were left out.
    hits : tuple of Hit
    note : str or None
        Why there are fewer than n, and which years no track is known to be of.
    """

    text: str
    words: tuple[Word, ...]
    unknown: tuple[Unknown, ...]
    hits: tuple[Hit, ...]
    note: str | None = None

    def __len__(self) -> int:
        return len(self.hits)

    @overload
    def __getitem__(self, row: int) -> Hit: ...
    @overload
    def __getitem__(self, row: slice) -> tuple[Hit, ...]: ...
    def __getitem__(self, row: int | slice) -> Hit | tuple[Hit, ...]:
        return self.hits[row]

    def to_json(self) -> dict[str, object]:
        """The result as plain values."""
        return {
            "text": self.text,
            "words": [asdict(word) for word in self.words],
            "unknown": [{"text": one.text, "nearest": one.nearest} for one in self.unknown],
            "hits": [asdict(hit) for hit in self.hits],
            "note": self.note,
        }


def vocabulary(recommender: Recommender) -> Vocabulary:
    """Words that can be searched for in a catalog.

    Raises
    ------
    QueryError
        The catalog holds no tracks yet.
    """
    model = recommender.model
    tracks = recommender.tracks(recommender.ids())
    return _vocabulary(model.tag_names, tracks, _genres(tracks))


def find(
    recommender: Recommender,
    text: str,
    n: SupportsIndex = 10,
    *,
    where: Where | None = None,
    text_model: TextModel | None = None,
    lyrics: LyricVectors | None = None,
    lyrics_weight: float = 0.0,
) -> SearchResult:
    """The n tracks that fit a text such as "calm piano, 90s, no vocals" best.

    Parameters
    ----------
    text : str
        Words for sound, genre, years and tempo, in any order; "no X", "without X" and "-X" keep
        away from X, "X or Y" takes either.
    where : Where, optional
        Which tracks may be answers. Percentiles are of the whole library all the same.
    text_model : TextModel, optional
        Matches by meaning words that are not known by name.
    lyrics : LyricVectors, optional
        The lyrics of the catalog, brought up to date.
    lyrics_weight : float
        How much the lyrics' likeness to the text counts, 0 to 1; needs both of the former. The
        rest is the words' share. Tracks without lyrics count as 0.5.

    Returns
    -------
    Found
        Several files of one recording are one hit.

    Raises
    ------
    QueryError
        No word is known and lyrics are not asked; the message lists known words.
    InvalidOption
    """
    n = result_count(n)
    check_weight(lyrics_weight)
    if lyrics_weight > 0 and (lyrics is None or text_model is None):
        raise InvalidOption("a weight for lyrics needs lyrics and a text model: give both")
    if lyrics_weight > 0 and not lyrics:
        raise QueryError(
            "no lyrics were found: put them in the files' tags, or in .lrc or .txt files of the "
            "same names beside them"
        )
    model, ids = recommender.model, recommender.ids()
    tracks = recommender.tracks(ids)
    genres = _genres(tracks)
    known = _vocabulary(model.tag_names, tracks, genres)
    request = _read_request(known, text, text_model)
    if not request.words and not (lyrics_weight > 0 and text.strip()):
        raise QueryError(_unknown_words_message(request, known))
    library = _Library(recommender, ids, tracks, genres)
    levels = [library.percentile(word) for word in request.words]
    scores = np.exp(sum(map(np.log, levels), np.zeros(len(ids))) / max(1, len(levels)))
    lyric_percentiles = np.full(len(ids), np.nan)
    if lyrics is not None and text_model is not None and lyrics_weight > 0:
        lyric_percentiles = percentiles(lyrics.likeness(ids, text_model.embed([text])[0]))
        scores = blend_scores(
            scores if levels else np.full(len(ids), 0.5), lyric_percentiles, lyrics_weight
        )
    may = np.isin(ids, recommender.ids(where)) if where is not None else np.ones(len(ids), bool)
    hits = []
    for row in _distinct_recordings(np.lexsort((ids, -scores)), may, tracks, n):
        track = tracks[row]
        hits.append(
            Hit(
                track.id,
                track.key,
                track.title,
                track.artist,
                round(float(scores[row]), 4),
                tuple(
                    Match(_word_text(word), round(float(level[row]), 4), library.because(word, row))
                    for word, level in zip(request.words, levels, strict=True)
                ),
                None
                if math.isnan(lyric_percentiles[row])
                else round(float(lyric_percentiles[row]), 4),
            )
        )
    notes = (_undated_note(request.words, tracks), _note(len(hits), n, where))
    note = "; ".join(one for one in notes if one is not None) or None
    return SearchResult(text, request.words, request.unknown, tuple(hits), note)


def by_meaning(request: Request, known: Vocabulary, model: TextModel) -> Request:
    """The request with unknown words replaced by known ones of similar meaning, where any are.

    An unknown phrase gets the tags and genres of each known word whose embedding has a cosine of at
    least `LIKENESS` with its own and is within `NEARLY` of the best.
    """
    known_words = [word for word in known.words_by_name.values() if word.tags or word.genres]
    if not known_words or not any(one.guessable for one in request.unknown):
        return request
    names = model.embed([word.text for word in known_words])
    cosines = model.embed([one.text for one in request.unknown]) @ names.T
    words: list[Word] = []
    unknown: list[Unknown] = []
    for one, likeness in zip(request.unknown, cosines, strict=True):
        best = np.argsort(-likeness, kind="stable")[:NEAREST].tolist()
        if not one.guessable or likeness.max() < LIKENESS:
            names_near = tuple(
                known_words[number].text for number in best if likeness[number] >= SUGGESTED
            )
            unknown.append(replace(one, nearest=one.nearest or names_near))
            continue
        like = [
            known_words[number] for number in best if likeness[number] >= likeness.max() - NEARLY
        ]
        words.append(
            Word(
                one.text,
                wanted=one.wanted,
                tags=tuple(dict.fromkeys(tag for word in like for tag in word.tags)),
                genres=tuple(dict.fromkeys(genre for word in like for genre in word.genres)),
                by="meaning",
            )
        )
    return Request((*request.words, *words), tuple(unknown))


class _Library:
    """Tracks of a catalog, and how well words fit each of them."""

    def __init__(
        self,
        recommender: Recommender,
        ids: NDArray[np.int64],
        tracks: Sequence[Track],
        genres: Sequence[dict[str, str]],
    ) -> None:
        self._recommender = recommender
        self._ids = ids
        self._tracks = tracks
        self._tag_names = recommender.model.tag_names
        # Damaged activations are no reason to be found.
        self._activations = np.nan_to_num(recommender.activations(ids), nan=-1.0)
        self._genres = genres

    def percentile(self, word: Word) -> NDArray[np.float64]:
        """Share of the library (tracks,) that a word fits less well than each track."""
        fit = percentiles(self._file_fit(word) + self._sound_fit(word))
        return fit if word.wanted else 1.0 - fit

    def because(self, word: Word, row: int) -> str:
        """Why a word fits a track, in a few characters; "" where nothing shows it."""
        track = self._tracks[row]
        if (genre := self._genre(word, row)) is not None:
            return f"genre {genre}"
        if word.years is not None and _within(track.year, word.years):
            return str(track.year)
        if word.measure is not None:
            return _measure(track, word.measure)
        if not word.tags:
            return ""
        probabilities = self._activations[row, self._columns(word)]
        best = int(np.argmax(probabilities))
        return f"{word.tags[best]} {max(0.0, float(probabilities[best])):.2f}"

    def _file_fit(self, word: Word) -> NDArray[np.float64]:
        """1 where the file's tags fit the word, -1 where its year does not, else 0; (tracks,)."""
        certain = np.zeros(len(self._tracks))
        if word.genres:
            certain[[self._genre(word, row) is not None for row in range(len(certain))]] = 1.0
        if word.years is not None:
            years = word.years
            certain[[_within(track.year, years) for track in self._tracks]] = 1.0
            # A reissue has a late year and an early sound: where sound can tell, it may.
            if not word.tags:
                dated = np.array([track.year is not None for track in self._tracks])
                certain[dated & (certain == 0)] = -1.0
        return certain

    def _sound_fit(self, word: Word) -> NDArray[np.float64]:
        """How well the sound of each track fits a word, in (0, 1); (tracks,)."""
        if word.measure is not None:
            return self._measure_fit(word.measure, word.target)
        if word.tags:
            # The probability that any of the tags applies, as if they were independent.
            return percentiles(
                1.0 - np.prod(1.0 - self._activations[:, self._columns(word)], axis=1)
            )
        if word.genres:
            return self._like_the_genre(word)
        return np.full(len(self._tracks), 0.5)

    def _columns(self, word: Word) -> list[int]:
        return [self._tag_names.index(tag) for tag in word.tags]

    def _genre(self, word: Word, row: int) -> str | None:
        """Genre in a track's tags that a word stands for; None where there is none."""
        of_track = self._genres[row]
        return next((of_track[k] for g in word.genres if (k := genre_key(g)) in of_track), None)

    def _like_the_genre(self, word: Word) -> NDArray[np.float64]:
        """Likeness to the mean of the tracks of a genre that the model has no tag for."""
        members = [self._genre(word, row) is not None for row in range(len(self._tracks))]
        vectors = self._recommender.vectors(self._ids)
        return percentiles(vectors @ vectors[members].mean(axis=0))

    def _measure_fit(self, field: str, target: str | float) -> NDArray[np.float64]:
        values = np.array(
            [math.nan if (v := getattr(t, field)) is None else v for t in self._tracks],
            dtype=np.float64,
        )
        if isinstance(target, float):
            values = -np.abs(np.log2(np.maximum(values, 1.0) / target))
        elif target == "low":
            values = -values
        return np.nan_to_num(percentiles(values), nan=0.5)


def _read_request(known: Vocabulary, text: str, model: TextModel | None) -> Request:
    request = known.read(text)
    return request if model is None else by_meaning(request, known, model)


def _vocabulary(
    tags: Sequence[str], tracks: Sequence[Track], genres: Sequence[dict[str, str]]
) -> Vocabulary:
    spellings: dict[str, Counter[str]] = {}
    for of_track in genres:
        for key, genre in of_track.items():
            spellings.setdefault(key, Counter())[genre] += 1
    return Vocabulary(
        tags,
        [counts.most_common(1)[0][0] for counts in spellings.values()],
        [field for field in MEASURES if any(getattr(t, field) is not None for t in tracks)],
    )


def _genres(tracks: Sequence[Track]) -> list[dict[str, str]]:
    """Genres of each track, by `genre_key`."""
    of_tag = {tag: genres_by_key(tag) for tag in {track.genre for track in tracks}}
    return [of_tag[track.genre] for track in tracks]


def _within(year: int | None, years: tuple[int | None, int | None]) -> bool:
    first, last = years
    return year is not None and (first or 0) <= year and (last is None or year <= last)


def _measure(track: Track, field: str) -> str:
    value = getattr(track, field)
    if value is None:
        return ""
    return f"{value:.0f} BPM" if field == "tempo_bpm" else f"{value:.1f} LUFS"


def _word_text(word: Word) -> str:
    return word.text if word.wanted else f"not {word.text}"


def _distinct_recordings(
    order: NDArray[np.intp], may: NDArray[np.bool_], tracks: Sequence[Track], n: int
) -> list[int]:
    distinct: list[int] = []
    seen: set[int] = set()
    for row in order.tolist():
        if may[row] and tracks[row].recording_id not in seen:
            seen.add(tracks[row].recording_id)
            distinct.append(row)
            if len(distinct) == n:
                break
    return distinct


def _undated_note(words: Sequence[Word], tracks: Sequence[Track]) -> str | None:
    """Note on wanted years that no track is known to be of; None where there are none."""
    years = [
        word.text
        for word in words
        if word.years is not None
        and word.wanted
        and not word.tags
        and not any(_within(track.year, word.years) for track in tracks)
    ]
    return f"no track is known to be of {', '.join(years)}" if years else None


def _note(count: int, n: int, where: Where | None) -> str | None:
    if count == n:
        return None
    if where is not None and str(where):
        kept = "no track" if count == 0 else f"only {count} of the {n} tracks asked for"
        return f"the filter ({where}) keeps {kept}"
    return f"the catalog holds no more than {count_noun(count, 'recording')}"


def _unknown_words_message(request: Request, known: Vocabulary) -> str:
    some = ", ".join((*known.tags, *known.genres)[:SHOWN])
    if not request.unknown:
        return f"the text names nothing to search for: known are, among others, {some}"
    asked = ", ".join(repr(one.text) for one in request.unknown)
    hints = "; ".join(dict.fromkeys(one.hint for one in request.unknown))
    return f"no tag or genre fits {asked}: {hints}"
