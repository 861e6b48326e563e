"""Weighted combination of likeness by sound and by lyrics, each as a percentile."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from indexer.errors import InvalidOption, QueryError
from recommender.retrieval.words.word_fit import percentiles

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from recommender.retrieval.answers import Answer
    from recommender.text.lyrics import LyricVectors

POOL = 200
"""Number of neighbours by sound that `blend` chooses from."""


def blend_scores(
    sound: NDArray[np.float64], lyrics: NDArray[np.float64], weight: float
) -> NDArray[np.float64]:
    """Weighted geometric mean of two percentiles (n,); lyrics that are NaN count as 0.5.

    sound^(1 - weight) * lyrics^weight, so that 0 is sound alone and 1 lyrics alone.
    """
    known = np.where(np.isnan(lyrics), 0.5, lyrics)
    shares: NDArray[np.float64] = sound ** (1.0 - weight) * known**weight
    return shares


def blend(
    answer: Answer,
    vector: NDArray[np.float32] | None,
    lyrics: LyricVectors,
    *,
    weight: float,
    n: int,
) -> Answer:
    """The n neighbours most like the seed by sound and lyrics together.

    Parameters
    ----------
    answer : Answer
        More neighbours by sound than n, such as `POOL`.
    vector : float32 (dim,) or None
        The seed's lyrics, as `LyricVectors.vector` gives them; of several seeds, their
        mean at unit length.
    lyrics : LyricVectors
        Brought up to date.
    weight : float
        The lyrics' share, 0 to 1: see `blend_scores`. Percentiles are among the neighbours given.

    Raises
    ------
    QueryError
        The seed has no lyrics.
    InvalidOption
        The weight is not within 0 and 1.
    """
    check_weight(weight)
    if vector is None:
        raise QueryError(
            f"no lyrics of {answer.seed} were found: put them in its tags or in a .lrc or .txt "
            "file of the same name beside it"
        )
    ids = np.array([one.id for one in answer.neighbours], dtype=np.int64)
    cosines = np.array([one.steered_cosine for one in answer.neighbours], dtype=np.float64)
    lyric_percentiles = percentiles(lyrics.likeness(ids, vector))
    scores = blend_scores(percentiles(cosines), lyric_percentiles, weight)
    order = np.lexsort((ids, -scores))[:n]
    return replace(
        answer,
        neighbours=tuple(answer.neighbours[row] for row in order),
        note=answer.note if len(order) < n else None,
    )


def check_weight(weight: float) -> None:
    """Refuse a weight of lyrics that is not within 0 and 1.

    Raises
    ------
    InvalidOption
    """
    if not 0 <= weight <= 1:
        raise InvalidOption(f"the lyrics' weight is {weight:g}: give 0 (sound only) to 1")
