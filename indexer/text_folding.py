"""Text for comparing names: without case, accents and typographic punctuation.

`fold` follows Unicode: compatibility decomposition (NFKD), marks removed where they are accents,
case folding, and two small tables for what Unicode leaves apart: letters without decomposition,
and punctuation that taggers set and people do not type.
"""

from __future__ import annotations

import re
import unicodedata

_LETTERS = str.maketrans(
    {
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "ħ": "h",
        "ŧ": "t",
        "ı": "i",
        "ə": "e",
        "æ": "ae",
        "œ": "oe",
        "þ": "th",
        "ŋ": "ng",
        "ɖ": "d",
        "ĸ": "k",
    }
)
"""Latin letters that Unicode does not decompose, as people type them, in lower case."""

_PUNCTUATION = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201b\u02bb\u02bc\u02b9\u2032\u00b4\u0060\ua78c\uff07", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033\u301d\u301e\u301f", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2043\ufe58\u2e3a", "-"),
        **dict.fromkeys("\u2044\u2215", "/"),
        "\u301c": "~",
        "\u00d7": "x",
        "\u266f": "#",
        "\u266d": "b",
        # Soft hyphen, zero-width space and joiners, marks of direction, byte-order mark.
        **dict.fromkeys("\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff", ""),
    }
)
"""Punctuation by the character that a keyboard has for it."""

_STRESS = "\u0300\u0301"
_CYRILLIC_VOWELS = frozenset("аеиоуыэюяіАЕИОУЫЭЮЯІ")

_UNSPACED = re.compile("([\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])")
"""Kana and ideographs, which are written without spaces between words."""


def fold(text: str) -> str:
    """Text for comparing names: without case, accents and typographic punctuation.

    Marks are removed from Latin and Greek letters; from Cyrillic ones only the stress, and ё
    becomes е: й and ї are letters of their own, as が is.
    """
    if text.isascii():
        return text.replace("`", "'").lower()
    decomposed = unicodedata.normalize("NFKD", text.translate(_PUNCTUATION))
    # Compatibility forms decompose to typographic punctuation too.
    folded = _without_accents(decomposed.translate(_PUNCTUATION)).casefold().translate(_LETTERS)
    return unicodedata.normalize("NFC", folded)


def searchable(text: str) -> str:
    """Folded text with one space between words, ideographs and kana being words of their own."""
    folded = fold(text)
    return " ".join((folded if folded.isascii() else _UNSPACED.sub(r" \1 ", folded)).split())


def _without_accents(decomposed: str) -> str:
    letters = []
    base = ""
    for letter in decomposed:
        if not unicodedata.combining(letter):
            base = letter
        elif _is_accent(letter, base):
            continue
        letters.append(letter)
    return "".join(letters)


def _is_accent(mark: str, base: str) -> bool:
    """Whether a combining mark is an accent of its base, and not part of another letter."""
    if "\u0400" <= base <= "\u052f":
        return base in _CYRILLIC_VOWELS and (mark in _STRESS or (mark == "\u0308" and base in "еЕ"))
    is_latin = base.isalpha() and (base < "\u0370" or "\u1e00" <= base <= "\u1eff")
    is_greek = "\u0370" <= base <= "\u03ff" or "\u1f00" <= base <= "\u1fff"
    return is_latin or is_greek
