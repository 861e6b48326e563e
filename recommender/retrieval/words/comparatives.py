"""Comparatives and superlatives: "calmer", "saddest", "happiest" by what they are made of."""

from __future__ import annotations

from recommender.retrieval.words.synonyms import MEASURES, MOODS

_ENDINGS = ("er", "est")
_GRADABLE = frozenset(
    [*MEASURES, *(word for concept in MOODS for word in (*concept.words, *concept.near))]
)
"""Words that have degrees: a manner is not what a man is more of."""


def positive_form(word: str) -> str | None:
    """The word that a comparative or superlative is made of; None where it is neither.

    Moods and measures have degrees, and adjectives in -y: jazzier, groovier.

    Parameters
    ----------
    word : str
        Folded, one word.
    """
    for ending in _ENDINGS:
        stem = word.removesuffix(ending)
        if stem == word or len(stem) < 2:
            continue
        if stem.endswith("i"):
            return f"{stem[:-1]}y"
        bases = [stem, f"{stem}e"]
        if stem[-1] == stem[-2]:
            bases.append(stem[:-1])
        return next((base for base in bases if base in _GRADABLE), None)
    return None
