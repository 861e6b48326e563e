"""Steering by words: "like these, but calmer", beside the seeds of a question.

Candidates come from the seeds. Each word then moves them up or down, whatever the other words do:

    relevance = cosine + sum over the words of WEIGHT (1 - median random cosine) (percentile - 1/2)

The percentile is the share of the library that the word fits less well, or one minus that where
less of it is wanted; the cosine is the candidate's relevance without words. A word moves a track by
half of WEIGHT at most, as a part of the distance (1 - cosine) of random pairs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from indexer.errors import InvalidOption, QueryError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import NDArray

    from recommender.retrieval.words.vocabulary import Vocabulary, Word

WEIGHT = 0.6
"""Taken by the rule of `scripts/evaluation/steering.py`; what is reported are other songs."""
POOL = 500
"""So many of the nearest tracks, at least, are what words choose from."""
MOST_WORDS = 16

Texts: TypeAlias = "str | Iterable[str]"
"""One text or several."""


@dataclass(frozen=True, eq=False)
class Steered:
    """What words do to candidates.

    Attributes
    ----------
    relevance : float64 (c,)
        With what all words add.
    percentiles : float64 (c, words)
        Share of the library that a word fits less well; less is wanted: one minus that.
    shifts : float64 (c, words)
        What a word adds to the candidate's relevance, on the scale of a cosine.
    moved : int64 (c, words)
        By how many places among the candidates it moves this one up; down is negative.
    """

    relevance: NDArray[np.float64]
    percentiles: NDArray[np.float64]
    shifts: NDArray[np.float64]
    moved: NDArray[np.int64]

    def at(self, rows: Any) -> Steered:
        """What words do to some of the candidates."""
        return Steered(*(getattr(self, field.name)[rows] for field in fields(self)))


def as_texts(given: Texts) -> list[str]:
    """One text or several as a list.

    Raises
    ------
    InvalidOption
        It is something else.
    """
    texts = [given] if isinstance(given, str) or not isinstance(given, Iterable) else list(given)
    for text in texts:
        if not isinstance(text, str):
            raise InvalidOption(f"{text!r} is no word to steer by: give texts, such as 'calm'")
    return texts


def read_steering(
    vocabulary: Vocabulary, more: Sequence[str], less: Sequence[str]
) -> tuple[Word, ...]:
    """The words that texts such as "calmer" and "more piano" ask for more and less of, each once.

    Raises
    ------
    QueryError
        One is not known; the message names some that are.
    InvalidOption
        More and less of one are wanted, or there are more than `MOST_WORDS`.
    """
    words = [word for text in more for word in _read(vocabulary, text)]
    for text in less:
        opposite = vocabulary.opposite(text)
        words += [opposite] if opposite else map(vocabulary.negated, _read(vocabulary, text))
    asked: dict[Word, bool] = {}
    distinct: dict[Word, Word] = {}
    for word in words:
        meaning = vocabulary.plain(word).meaning
        if asked.setdefault(meaning, word.avoided) != word.avoided:
            raise InvalidOption(f"more and less of {word.text!r} are asked for: choose one")
        distinct.setdefault(word.meaning, word)
    if len(distinct) > MOST_WORDS:
        raise InvalidOption(f"{len(distinct)} words are too many to steer by: give {MOST_WORDS}")
    return tuple(distinct.values())


def steering_label(word: Word) -> str:
    """A word as it steers: "more piano", "less vocals"."""
    return f"{'less' if word.avoided else 'more'} {word.text}"


def steering_title(label: str, words: Sequence[Word]) -> str:
    """The label of seeds with the words that steer: "A - B, more piano, less vocals"."""
    return ", ".join([label, *map(steering_label, words)])


def word_shifts(
    percentiles: NDArray[np.float64], *, median_random_cosine: float, weight: float = WEIGHT
) -> NDArray[np.float64]:
    """What words of these percentiles add to a candidate's relevance, on the scale of a cosine."""
    return weight * (1.0 - median_random_cosine) * (percentiles - 0.5)


def steer(
    percentiles: NDArray[np.float64],
    relevance: NDArray[np.float32],
    *,
    median_random_cosine: float,
) -> Steered:
    """What words of percentiles (c, words) do to candidates of a relevance without them, (c,)."""
    shifts = word_shifts(percentiles, median_random_cosine=median_random_cosine)
    steered = relevance + shifts.sum(axis=1)
    moved = [_places(steered - shift) - _places(steered) for shift in shifts.T]
    return Steered(steered, percentiles, shifts, np.stack(moved, axis=1))


def _places(relevance: NDArray[np.float64]) -> NDArray[np.int64]:
    """The place of each candidate, (c,): 0 is the most relevant; of equals the first."""
    places = np.empty(len(relevance), np.int64)
    places[np.argsort(-relevance, kind="stable")] = np.arange(len(relevance))
    return places


def _read(vocabulary: Vocabulary, text: str) -> tuple[Word, ...]:
    request = vocabulary.read(text)
    if request.unknown or not request.words:
        raise QueryError(vocabulary.unknown_message(request))
    return request.words
