"""Answers: scores, near-duplicates, caps, reasons, and the note when an answer is short."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from indexer.errors import InvalidOption
from recommender import Ranking, Recommender, Where
from recommender.retrieval.explanations import shared_tags
from tests.catalogs import DIM, Planted, plant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TAGS = ("piano", "loud", "common")


def toward(axis: int, nearness: float, other: int) -> list[float]:
    """A unit vector with a given cosine to one axis."""
    vector = np.zeros(DIM)
    vector[axis], vector[other] = nearness, np.sqrt(1 - nearness**2)
    return vector.tolist()


@pytest.fixture(scope="module")
def recommender(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recommender]:
    """Track 1 is the seed; 2 and 3 are one piece, 4 to 7 one artist's, 8 to 40 strangers."""
    common = {"common": 0.8}
    rng = np.random.default_rng(0)
    tracks = [
        Planted("Seed", {"piano": 0.7, **common}, vector=toward(0, 1.0, 1), tempo_bpm=120,
                musical_key="Am"),
        Planted("Piece", {"piano": 0.5, **common}, vector=toward(0, 0.95, 1), artist="Twice",
                album="First", duration_s=200, tempo_bpm=123, musical_key="A minor"),
        Planted("Piece", {"loud": 0.6, **common}, vector=toward(0, 0.949, 1), artist="Twice",
                album="Second", duration_s=260, tempo_bpm=60, musical_key="A major"),
        *(
            Planted(f"Four {n}", {"loud": 0.9, **common}, vector=toward(0, 0.9 - n / 50, 2 + n),
                    artist="Four", album=f"Album {n // 2}")
            for n in range(4)
        ),
        *(
            Planted(f"Stranger {n}", common, vector=[0.3, *rng.normal(size=DIM - 1)],
                    artist=f"Stranger {n}")
            for n in range(33)
        ),
    ]  # fmt: skip
    with Recommender.open(plant(tmp_path_factory.mktemp("answers"), TAGS, tracks)) as opened:
        yield opened


def ids(answer: Any) -> list[int]:
    return [one.id for one in answer]


def test_near_duplicates_are_one_neighbour_that_lists_the_others(recommender: Recommender) -> None:
    answer = recommender.similar_to_track(1, 5)
    assert ids(answer) == [2, 4, 5, 6, 7]
    (other,) = answer[0].duplicates
    assert (other.id, other.title, other.artist) == (3, "Piece", "Twice")
    assert other.cosine == pytest.approx(0.949, abs=1e-3)
    assert ids(recommender.similar_to_track(1, 3, ranking=Ranking(collapse=False))) == [2, 3, 4]


def test_near_duplicates_of_the_seed_are_no_answers(recommender: Recommender) -> None:
    assert 3 not in ids(recommender.similar_to_track(2, 40))
    assert 3 in ids(recommender.similar_to_track(2, 40, ranking=Ranking(collapse=False)))
    assert 2 in ids(recommender.similar_to_track(2, 40, include_same=True))
    # Nor are those of a track that is disliked.
    assert 3 not in ids(recommender.similar_to_tracks([1], [2], 40))


def test_caps_leave_room_for_others(recommender: Recommender) -> None:
    capped = recommender.similar_to_track(1, 6, ranking=Ranking(per_artist=1))
    artists = [one.artist for one in capped]
    assert artists[:2] == ["Twice", "Four"]
    assert len(set(artists)) == len(artists) == 6
    albums = recommender.similar_to_track(1, 4, ranking=Ranking(per_album=1))
    assert ids(albums)[:3] == [2, 4, 6]


def test_diversity_spreads_an_answer(recommender: Recommender) -> None:
    def alike(ranking: Ranking) -> float:
        found = ids(recommender.similar_to_track(1, 6, ranking=ranking))
        assert len(found) == 6
        vectors = recommender.vectors(found)
        return float((vectors @ vectors.T)[np.triu_indices(6, 1)].mean())

    assert ids(recommender.similar_to_track(1, 6, ranking=Ranking(diversity=0.5)))[0] == 2
    assert alike(Ranking(diversity=0.5)) < alike(Ranking()) - 0.1


def test_the_score_is_the_share_of_random_pairs_that_are_less_alike(
    recommender: Recommender,
) -> None:
    vectors = recommender.vectors(recommender.ids())
    pairs = (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]
    answer = recommender.similar_to_track(1, 39, ranking=Ranking(collapse=False))
    assert len(answer) == 39
    for one in answer:
        assert one.score == pytest.approx((pairs < one.cosine).mean(), abs=2 / len(pairs))
    scores = [one.score for one in answer]
    assert scores == sorted(scores, reverse=True)
    assert len(answer.to_frame()["score"]) == 39


def test_a_least_score_ends_the_answer_and_says_so(recommender: Recommender) -> None:
    answer = recommender.similar_to_track(1, 30, ranking=Ranking(min_score=0.9))
    assert 1 < len(answer) < 30
    assert all(one.score is not None and one.score >= 0.9 for one in answer)
    whole = recommender.similar_to_track(1, 39)
    assert len(answer) == sum(one.score is not None and one.score >= 0.9 for one in whole)
    assert answer.note == (
        f"{len(answer)} of the 30 asked for: the others are below the score 0.9, "
        "1 folded into others as near-duplicates"
    )
    assert recommender.similar_to_track(1, 3, ranking=Ranking(min_score=0.5)).note is None


def test_a_short_answer_says_what_starved_it(recommender: Recommender) -> None:
    where = Where(artist=("Twice", "Four"))
    answer = recommender.similar_to_track(1, 6, where=where, ranking=Ranking(per_artist=1))
    assert ids(answer) == [2, 4]
    assert answer.note == (
        "2 of the 6 asked for: the filter (artist Twice or Four) keeps 6 of 40, "
        "1 folded into others as near-duplicates, 3 beyond 1 per artist"
    )
    answer = recommender.similar_to_track(1, 8, where=where, ranking=Ranking(per_album=1))
    assert answer.note == (
        "3 of the 8 asked for: the filter (artist Twice or Four) keeps 6 of 40, "
        "1 folded into others as near-duplicates, 2 beyond 1 per album"
    )
    assert json.loads(json.dumps(answer.to_json()))["note"] == answer.note
    assert recommender.similar_to_track(1, 2, where=where).note is None


def test_why_names_what_both_have_and_most_have_not(recommender: Recommender) -> None:
    plain = recommender.similar_to_track(1, 4)
    assert plain[0].why is None
    answer = recommender.similar_to_track(1, 4, why=True)
    assert ids(answer) == ids(plain)
    assert answer[0].why is not None
    assert answer[0].why.tags == ("piano",)
    assert (answer[0].why.tempo_bpm, answer[0].why.musical_key) == (123.0, "A minor")
    assert str(answer[0].why) == "piano; both 123 BPM, A minor"
    assert answer[1].why is not None
    assert str(answer[1].why) == ""
    assert answer.to_frame()["why"][0] == "piano; both 123 BPM, A minor"
    assert json.loads(json.dumps(answer.to_json()))["neighbours"][0]["why"]["tags"] == ["piano"]


def test_why_names_the_nearest_of_several_seeds(recommender: Recommender) -> None:
    answer = recommender.similar_to_tracks([1, 7], n=3, strategy="best_score", why=True)
    reasons = {one.id: one.why for one in answer}
    assert reasons[2] is not None
    assert reasons[2].seed == "Band - Seed"
    near_seven = recommender.similar_to_tracks([2, 7], [1], 39, strategy="best_score", why=True)
    seven = recommender.vectors([7])[0] @ recommender.vectors(ids(near_seven)).T
    two = recommender.vectors([2])[0] @ recommender.vectors(ids(near_seven)).T
    for one, to_seven, to_two in zip(near_seven, seven, two, strict=True):
        assert one.why is not None
        assert one.why.seed == ("Four - Four 3" if to_seven > to_two else "Twice - Piece")
    vector = recommender.similar_to_vector(recommender.vectors([1])[0], 2, why=True)
    assert vector[0].why is not None
    assert vector[0].why.tags == ()


def test_shared_tags_come_by_what_they_tell() -> None:
    names = ("a", "b", "c", "d")
    one = np.array([0.9, 0.5, 0.05, 0.4], np.float32)
    other = np.array([0.9, 0.5, 0.9, 0.3], np.float32)
    median_random_cosine = np.array([0.9, 0.1, 0.01, 0.2], np.float32)
    assert shared_tags(one, other, median_random_cosine, names) == ("b", "d")
    assert shared_tags(one, np.full(4, np.nan, np.float32), median_random_cosine, names) == ()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"diversity": 1.5}, "diversity is 1.5"),
        ({"diversity": float("nan")}, "diversity is nan"),
        ({"per_artist": 0}, "0 per artist leaves nothing"),
        ({"per_album": 1.5}, "whole number"),
        ({"min_score": -0.1}, "least score is -0.1"),
        ({"min_score": float("nan")}, "least score is nan"),
    ],
    ids=str,
)
def test_a_ranking_without_sense_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        Ranking(**values)


def test_many_near_duplicates_and_a_crowded_artist_do_not_starve_an_answer(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    near = [
        Planted(f"Near {n}", vector=toward(0, 0.99 - n / 5000, 1 + n % 6), artist="Crowd")
        for n in range(120)
    ]
    far = [
        Planted(f"Far {n}", vector=[0.5, *rng.normal(size=DIM - 1)], artist=f"Far {n}")
        for n in range(40)
    ]
    tracks = [Planted("Seed", vector=toward(0, 1.0, 1)), *near, *far]
    with Recommender.open(plant(tmp_path, TAGS, tracks)) as recommender:
        answer = recommender.similar_to_track(1, 20, ranking=Ranking(per_artist=1, collapse=False))
        assert len({one.artist for one in answer}) == 20
        assert answer.note is None
