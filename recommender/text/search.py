"""Search by words: the model's tags, the files' genres, years, tempo, and lyrics.

A word gives each track a percentile: the share of the library that it fits less well. So a rare tag
counts as much as a common one, and 0.98 means the same for every word, model and library. A track's
score is the geometric mean of its percentiles, which is high only where all words fit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, overload

import numpy as np

from indexer.errors import InvalidOption, QueryError
from recommender.retrieval.answers import WordMatch
from recommender.retrieval.lookup import count_noun, result_count
from recommender.retrieval.where import Where
from recommender.retrieval.words.vocabulary import (
    NEAREST,
    Request,
    Unknown,
    Vocabulary,
    Word,
)
from recommender.retrieval.words.word_fit import percentiles, reason
from recommender.text.fusion import blend_scores, check_weight

if TYPE_CHECKING:
    from typing import SupportsIndex

    from numpy.typing import NDArray

    from indexer.catalog.records import Track
    from recommender.engine import Recommender
    from recommender.text.lyrics import LyricVectors
    from recommender.text.text_embedding import TextModel

LIKENESS = 0.5
"""Least cosine at which two texts count as the same in meaning ..."""
NEARLY = 0.05
"""... together with all whose cosine is within this of the best."""
SUGGESTED = 0.4
"""Least cosine at which a known word is suggested for an unknown one."""
_BATCH = 256
"""Tracks looked up at once for the first n recordings."""


@dataclass(frozen=True)
class Hit:
    """A track found, with its score and how well each word fits.

    Attributes
    ----------
    score : float
        Geometric mean of the percentiles, in (0, 1); with lyrics, blended with theirs.
    matches : tuple of WordMatch
        One for each of `SearchResult.words`.
    lyrics : float or None
        The percentile of its lyrics among all lyrics; None where it has none or the weight is 0.
    """

    id: int
    key: str
    title: str | None
    artist: str | None
    score: float
    matches: tuple[WordMatch, ...]
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
    known = recommender.vocabulary
    request = _read_request(known, text, text_model)
    if not request.words and not (lyrics_weight > 0 and text.strip()):
        raise QueryError(known.unknown_message(request))
    ids, scores = recommender.word_scores(request.words, where=where)
    lyric_percentiles = np.full(len(ids), np.nan)
    if lyrics is not None and text_model is not None and lyrics_weight > 0:
        every = recommender.ids()
        of_every = percentiles(lyrics.likeness(every, text_model.embed([text])[0]))
        lyric_percentiles = of_every[np.searchsorted(every, ids)]
        of_words = scores.astype(np.float64) if request.words else np.full(len(ids), 0.5)
        scores = blend_scores(of_words, lyric_percentiles, lyrics_weight).astype(np.float32)
    rows, tracks = _distinct_recordings(recommender, ids, scores, n)
    levels = recommender.word_percentiles(request.words, ids[rows])
    activations = recommender.activations(ids[rows])
    tag_names = recommender.model.tag_names
    hits = []
    for row, track, of_track, of_words in zip(
        rows.tolist(), tracks, activations, levels.tolist(), strict=True
    ):
        hits.append(
            Hit(
                track.id,
                track.key,
                track.title,
                track.artist,
                round(float(scores[row]), 4),
                tuple(
                    WordMatch(
                        _word_text(word),
                        round(level, 4),
                        reason(word, track, of_track, tag_names),
                    )
                    for word, level in zip(request.words, of_words, strict=True)
                ),
                None
                if math.isnan(lyric_percentiles[row])
                else round(float(lyric_percentiles[row]), 4),
            )
        )
    notes = (_undated_note(recommender, request.words), _note(len(hits), n, where))
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


def _read_request(known: Vocabulary, text: str, model: TextModel | None) -> Request:
    request = known.read(text)
    return request if model is None else by_meaning(request, known, model)


def _word_text(word: Word) -> str:
    return f"not {word.text}" if word.avoided else word.text


def _distinct_recordings(
    recommender: Recommender, ids: NDArray[np.int64], scores: NDArray[np.float32], n: int
) -> tuple[NDArray[np.intp], list[Track]]:
    """Rows of the n best scores that are different recordings, and their tracks.

    Equal scores are in the order of ids, which are ascending.
    """
    found: dict[int, tuple[int, Track]] = {}
    count, done = max(_BATCH, 2 * n), 0
    while len(found) < n and done < len(ids):
        best = _best_rows(scores, count)
        for start in range(done, len(best), _BATCH):
            rows = best[start : start + _BATCH]
            for row, track in zip(rows.tolist(), recommender.tracks(ids[rows]), strict=True):
                found.setdefault(track.recording_id, (row, track))
            if len(found) >= n:
                break
        count, done = 4 * count, len(best)
    first = list(found.values())[:n]
    return np.array([row for row, _ in first], np.intp), [track for _, track in first]


def _best_rows(scores: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    """Rows of the `count` largest scores, largest first; of equal ones the first rows."""
    if count >= len(scores):
        return np.argsort(-scores, kind="stable")
    least = np.partition(scores, -count)[-count]
    above = np.flatnonzero(scores > least)
    ties = np.flatnonzero(scores == least)[: count - len(above)]
    return np.concatenate([above[np.argsort(-scores[above], kind="stable")], ties])


def _undated_note(recommender: Recommender, words: Sequence[Word]) -> str | None:
    """Note on wanted years that no track is known to be of; None where there are none."""
    years = [
        word.text
        for word in words
        if word.years is not None
        and word.wanted
        and not word.tags
        and not len(recommender.ids(Where(year=word.years)))
    ]
    return f"no track is known to be of {', '.join(years)}" if years else None


def _note(count: int, n: int, where: Where | None) -> str | None:
    if count == n:
        return None
    if where is not None and str(where):
        kept = "no track" if count == 0 else f"only {count} of the {n} tracks asked for"
        return f"the filter ({where}) keeps {kept}"
    return f"the catalog holds no more than {count_noun(count, 'recording')}"
