from __future__ import annotations

import pytest

from indexer.errors import InvalidOption, QueryError
from recommender.retrieval.words.steering import (
    MOST_WORDS,
    as_texts,
    read_steering,
    steering_label,
)
from recommender.retrieval.words.vocabulary import Vocabulary

KNOWN = Vocabulary(
    ("rock", "Mellow", "sad", "piano", "instrumental", "male vocalists"), ["Zouk"], ["tempo_bpm"]
)


def labels(more: tuple[str, ...] = (), less: tuple[str, ...] = ()) -> list[str]:
    return [steering_label(word) for word in read_steering(KNOWN, more, less)]


def test_words_of_both_directions() -> None:
    assert labels(("calmer", "more piano"), ("sad",)) == ["more calm", "more piano", "less sad"]
    assert labels(("faster", "90s", "zouk")) == ["more fast", "more 90s", "more zouk"]
    assert labels(("calm, piano",)) == ["more calm", "more piano"]
    assert labels() == []


def test_less_of_what_has_an_opposite_looks_for_that() -> None:
    (word,) = read_steering(KNOWN, (), ("vocals",))
    assert (word.tags, word.wanted, steering_label(word)) == (
        ("instrumental",),
        True,
        "less vocals",
    )
    only = Vocabulary(("instrumental",))
    assert read_steering(only, (), ("vocals",)) == (word,)
    (without,) = read_steering(Vocabulary(("male vocalists",)), (), ("vocals",))
    assert (without.tags, without.wanted) == (("male vocalists",), False)


def test_a_negation_turns_the_direction() -> None:
    assert labels(("less sad",)) == labels((), ("sad",)) == ["less sad"]
    assert labels((), ("not sad",)) == ["more sad"]
    assert labels(("less vocals",)) == ["less vocals"]
    assert labels((), ("not vocals",)) == ["more vocals"]


def test_the_same_thing_twice_counts_once() -> None:
    assert labels(("calm", "relaxing", "calmest")) == ["more calm"]
    assert labels(("instrumental",), ("vocals",)) == ["more instrumental"]


@pytest.mark.parametrize(
    ("more", "less"),
    [
        (("calm",), ("calm",)),
        (("calm",), ("relaxing",)),
        (("vocals",), ("singing",)),
        (("sad", "not sad"), ()),
        ((), ("calm", "not calm")),
        (("fast",), ("faster",)),
    ],
)
def test_more_and_less_of_one_word_is_refused(more: tuple[str, ...], less: tuple[str, ...]) -> None:
    with pytest.raises(InvalidOption, match=r"more and less of '\w+' are asked for: choose one"):
        read_steering(KNOWN, more, less)


@pytest.mark.parametrize("text", ["xylophnoe", "calm xylophnoe", "calm, A minor", "guitar", "loud"])
@pytest.mark.parametrize("is_more", [True, False])
def test_an_unknown_word_is_refused_and_known_ones_are_named(text: str, is_more: bool) -> None:
    more, less = ((text,), ()) if is_more else ((), (text,))
    with pytest.raises(QueryError, match=r"rock|piano|sad") as raised:
        read_steering(KNOWN, more, less)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["", "  ", "the music", "no", ","])
def test_a_text_that_names_nothing_is_refused(text: str) -> None:
    for more, less in (((text,), ()), ((), (text,))):
        with pytest.raises(QueryError, match="names nothing"):
            read_steering(KNOWN, more, less)


def test_a_measure_that_no_track_has() -> None:
    with pytest.raises(QueryError, match="no track of the catalog has a known tempo"):
        read_steering(Vocabulary(("rock",)), ("faster",), ())


def test_so_many_words_and_no_more() -> None:
    tags = tuple(f"tag{number}" for number in range(MOST_WORDS + 1))
    many = Vocabulary(tags)
    assert len(read_steering(many, tags[:-1], ())) == MOST_WORDS
    with pytest.raises(InvalidOption, match="too many"):
        read_steering(many, tags, ())


def test_one_text_is_a_list_of_one() -> None:
    assert as_texts("calm") == ["calm"]
    assert as_texts(iter(("calm", "sad"))) == ["calm", "sad"]
    for given in (7, None, ("calm", 7), b"calm"):
        with pytest.raises(InvalidOption, match="no word to steer by"):
            as_texts(given)  # type: ignore[arg-type]
