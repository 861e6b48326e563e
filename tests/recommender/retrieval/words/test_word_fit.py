from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from recommender import Recommender, Where
from recommender.retrieval.words import word_fit
from recommender.retrieval.words.vocabulary import Word
from recommender.retrieval.words.word_fit import percentiles
from tests.catalogs import DIM, Planted, plant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TAGS = ("piano", "sad", "80s")
COUNT = 400
NEAR_ZOUK = np.eye(DIM)[0]


def made_up() -> list[Planted]:
    rng = np.random.default_rng(5)
    tracks = []
    for number in range(COUNT):
        values = rng.beta(0.3, 3, len(TAGS)).astype(np.float16).astype(float)
        tracks.append(
            Planted(
                str(number),
                dict(zip(TAGS, values.tolist(), strict=True)),
                genre="Zouk" if number < 30 else str(rng.choice(["Rock", "Jazz"])),
                year=int(rng.integers(1970, 2000)) if rng.random() < 0.7 else None,
                tempo_bpm=float(rng.uniform(60, 180)) if rng.random() < 0.8 else None,
                vector=rng.normal(size=DIM) + (2 if number < 60 else 0) * NEAR_ZOUK,
            )
        )
    return tracks


@pytest.fixture(scope="module")
def recommender(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recommender]:
    with Recommender.open(plant(tmp_path_factory.mktemp("words"), TAGS, made_up())) as opened:
        yield opened


def fits(word: Word, tracks: list[Planted]) -> np.ndarray:
    """What the words are ranked by, straight from the tracks."""
    said = np.zeros(COUNT)
    if word.years is not None:
        first, last = word.years
        for row, track in enumerate(tracks):
            if track.year is not None and (first or 0) <= track.year <= (last or 9999):
                said[row] = 1
            elif track.year is not None and not word.tags:
                said[row] = -1
    if word.measure is not None:
        tempi = np.array([np.nan if one.tempo_bpm is None else one.tempo_bpm for one in tracks])
        if isinstance(word.target, float):
            tempi = -np.abs(np.log2(tempi / word.target))
        sound = np.nan_to_num(percentiles(-tempi if word.target == "low" else tempi), nan=0.5)
    elif word.tags:
        absent = [[1 - one.activations[tag] for tag in word.tags] for one in tracks]
        sound = percentiles(-np.prod(absent, axis=1))
    else:
        sound = np.full(COUNT, 0.5)
    return said + sound


@pytest.mark.parametrize(
    "word",
    [
        Word("piano", tags=("piano",)),
        Word("no piano", wanted=False, tags=("piano",)),
        Word("piano or sad", tags=("piano", "sad")),
        Word("any", tags=TAGS),
        Word("the 80s", tags=("80s",), years=(1980, 1989)),
        Word("since 1990", years=(1990, None)),
        Word("fast", measure="tempo_bpm", target="high"),
        Word("slow", measure="tempo_bpm", target="low"),
        Word("120 bpm", measure="tempo_bpm", target=120.0),
    ],
    ids=lambda word: word.text,
)
def test_percentiles_are_those_of_sorted_values(recommender: Recommender, word: Word) -> None:
    found = recommender.word_percentiles([word], range(1, COUNT + 1))[:, 0]
    wanted = percentiles(fits(word, made_up()))
    # What float16 takes for equal is: a few tracks.
    np.testing.assert_allclose(found, wanted if word.wanted else 1 - wanted, atol=3 / COUNT)


def test_scores_are_geometric_means_of_percentiles(recommender: Recommender) -> None:
    words = [Word("piano", tags=("piano",)), Word("slow", measure="tempo_bpm", target="low")]
    ids, scores = recommender.word_scores(words, where=Where(genre=("jazz",)))
    assert ids.tolist() == recommender.ids(Where(genre=("jazz",))).tolist()
    each = recommender.word_percentiles(words, ids)
    np.testing.assert_allclose(scores, np.sqrt(each.prod(axis=1)), rtol=1e-5)


def test_the_first_of_a_genre_without_a_tag_are_the_same_in_a_large_library(
    recommender: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zouk = Word("zouk", genres=("Zouk",))
    ids, exact = recommender.word_scores([zouk])
    assert set(ids[np.argsort(-exact)[:30]]) == set(range(1, 31))
    monkeypatch.setattr(word_fit, "LIKENESS_TRACKS", 100)
    with Recommender.open(plant(tmp_path, TAGS, made_up())) as large:
        _, scores = large.word_scores([zouk])
        first = np.argsort(-exact, kind="stable")[:60]
        assert np.argsort(-scores, kind="stable")[:60].tolist() == first.tolist()
        np.testing.assert_allclose(scores[first], exact[first], atol=1e-6)
        assert scores.min() > 0
