from __future__ import annotations

import pytest

from recommender.retrieval.words.comparatives import positive_form
from recommender.retrieval.words.vocabulary import Vocabulary

KNOWN = Vocabulary(("Mellow", "sad", "happy", "metal", "jazz", "male vocalists"), (), ["tempo_bpm"])


@pytest.mark.parametrize(
    ("word", "plain"),
    [
        ("calmer", "calm"),
        ("calmest", "calm"),
        ("sadder", "sad"),
        ("saddest", "sad"),
        ("gentler", "gentle"),
        ("stranger", "strange"),
        ("happier", "happy"),
        ("jazziest", "jazzy"),
        ("faster", "fast"),
        ("louder", "loud"),
    ],
)
def test_a_comparative_is_made_of_its_word(word: str, plain: str) -> None:
    assert positive_form(word) == plain


@pytest.mark.parametrize("word", ["calm", "singer", "manner", "dinner", "er", "forest", ""])
def test_other_words_are_not_comparatives(word: str) -> None:
    assert positive_form(word) is None


@pytest.mark.parametrize(
    ("text", "tag"),
    [("calmer", "Mellow"), ("sadder", "sad"), ("happier", "happy"), ("jazzier", "jazz")],
)
def test_a_comparative_means_the_word(text: str, tag: str) -> None:
    (word,) = KNOWN.read(f"a bit {text}, please").words
    assert word.tags == (tag,)
    assert word == KNOWN.word(word.text)
    assert word.text != text


def test_a_comparative_of_a_measure() -> None:
    (word,) = KNOWN.read("faster").words
    assert (word.text, word.measure, word.target) == ("fast", "tempo_bpm", "high")


def test_a_comparative_that_is_a_name_stays_one() -> None:
    assert Vocabulary(("sadder", "sad")).read("sadder").words[0].tags == ("sadder",)


def test_a_comparative_without_a_tag_is_not_guessed_by_meaning() -> None:
    (darker,) = KNOWN.read("darker").unknown
    assert not darker.guessable
    (louder,) = KNOWN.read("louder").unknown
    assert louder.hint == "no track of the catalog has a known loudness"
