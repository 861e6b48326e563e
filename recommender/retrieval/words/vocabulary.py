"""From words as people write them to what a catalog knows: tags, genres, years, measures.

Words are compared without case, accents, hyphens, spaces and plurals: "hip hop", "Hip-Hop" and
"hiphop" are one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from indexer.text_folding import fold
from recommender.retrieval.words.comparatives import positive_form
from recommender.retrieval.words.synonyms import (
    CONCEPTS,
    DECADES,
    FILLERS,
    JOINTS,
    MEASURES,
    NEGATIONS,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LONGEST_PHRASE = 5
"""Most words that are looked up together as one name."""
NEAREST = 3
"""Known words suggested for an unknown one."""
SHOWN = 12
"""Number of known words that an error lists."""
FIRST_YEAR, LAST_YEAR = 1000, 2999
_PIECE = re.compile(r"[,;|/]+|[^\s,;|/]+")
_PARTING = re.compile(r"[,;|/]+")
_MINUS = re.compile(r"^[-\u2013\u2212!]+(?=\w)")
_YEAR = re.compile(r"[12]\d{3}")
_DECADE = re.compile(r"(?:(1\d|20)?(\d0))s")
_BPM = re.compile(r"(\d{2,3})bpm")
_MODE = re.compile(r"\b(?:major|minor|dur|moll)\b")
_APOSTROPHES = re.compile("['\u2019\u2018`]")
_WORD = re.compile(r"\w+")

Years = tuple[int | None, int | None]


@dataclass(frozen=True)
class Word:
    """One thing that is asked for, and what it was taken for.

    Attributes
    ----------
    text : str
        As it was asked for.
    wanted : bool
        False where it is to be kept away from.
    tags, genres : tuple of str
        Any of them will do.
    years : first and last year, or None
        None at either end leaves it open.
    measure : str or None
        A field of `indexer.catalog.records.Track`, e.g. "tempo_bpm".
    target : str or float
        "high", "low", or the value the measure should be near.
    by : str
        "name", "synonym", "opposite" (no vocals: instrumental) or "meaning": how it was matched.
    """

    text: str
    wanted: bool = True
    tags: tuple[str, ...] = ()
    genres: tuple[str, ...] = ()
    years: Years | None = None
    measure: str | None = None
    target: str | float = "high"
    by: str = "name"

    @property
    def avoided(self) -> bool:
        """Whether the text is to be kept away from, be it by looking for its opposite."""
        return not self.wanted or self.by == "opposite"

    @property
    def meaning(self) -> Word:
        """What it was taken for: equal for words that look for the same."""
        return replace(self, text="", by="")


@dataclass(frozen=True)
class Unknown:
    """A part of the text that means nothing here.

    Attributes
    ----------
    text : str
    nearest : tuple of str
        Known words like it, the most alike first.
    wanted : bool
        False where it was to be kept away from.
    guessable : bool
        False where the word is in the thesaurus, but nothing stands for it: a piano, to a model
        that has no tag for pianos, or a musical key. A guess by meaning would be another thing.
    unmeasured : str or None
        The field of a track that it is about, where no track has it.
    """

    text: str
    nearest: tuple[str, ...] = ()
    wanted: bool = True
    guessable: bool = True
    unmeasured: str | None = None

    @property
    def hint(self) -> str:
        """What to ask for instead."""
        if _MODE.search(self.text):
            return "musical keys are asked for with --musical-key 'A minor'"
        if self.unmeasured is not None:
            return f"no track of the catalog has a known {self.unmeasured.partition('_')[0]}"
        if self.nearest:
            return f"the nearest known are {', '.join(self.nearest)}"
        return "`soundalike find --list` prints what is known"


@dataclass(frozen=True)
class Request:
    """A text as the known and unknown words in it."""

    words: tuple[Word, ...]
    unknown: tuple[Unknown, ...]


class Vocabulary:
    """Words that can be searched for in a catalog.

    Parameters
    ----------
    tags : sequence of str
        The model's tag names.
    genres : iterable of str
        The library's own genres, each once.
    measures : iterable of str
        The measured fields that at least one track has.
    """

    def __init__(
        self, tags: Sequence[str], genres: Iterable[str] = (), measures: Iterable[str] = ()
    ) -> None:
        self.tags = tuple(tags)
        self.genres = tuple(sorted(genres))
        self.measures = {word: m for word, m in MEASURES.items() if m[0] in set(measures)}
        self._tags: dict[str, list[str]] = {}
        self._genres: dict[str, list[str]] = {}
        exact = {_key(tag) for tag in self.tags}
        for tag in self.tags:
            for name in dict.fromkeys(_key(name) for name in _names(tag)):
                # Where "happy" is a tag, "happy music" is not meant: networks differ in how
                # readily they give a tag, and the readier one would decide.
                if name == _key(tag) or name not in exact:
                    self._tags.setdefault(name, []).append(tag)
        for genre in self.genres:
            for name in _endings(genre):
                self._genres.setdefault(name, []).append(genre)
        self._concepts = {
            _key(word): row for kind in CONCEPTS for row in kind for word in row.words
        }
        self._has_tempo = "tempo_bpm" in set(measures)
        self._words_by_key: dict[str, Word] = {}
        listed = (word for kind in CONCEPTS for row in kind for word in row.words)
        for name in (*self.tags, *self.genres, *listed):
            found = self.word(name)
            if found is not None:
                self._words_by_key.setdefault(_key(name), found)
        for name, (measure, target) in self.measures.items():
            self._words_by_key.setdefault(_key(name), Word(name, measure=measure, target=target))

    @property
    def synonyms(self) -> dict[str, Word]:
        """Known words other than tags and genres themselves, with their meanings."""
        own = {_key(name) for name in (*self.tags, *self.genres)}
        return {word.text: word for key, word in self._words_by_key.items() if key not in own}

    @property
    def words_by_name(self) -> dict[str, Word]:
        """All known words by name."""
        return {word.text: word for word in self._words_by_key.values()}

    def word(self, phrase: str) -> Word | None:
        """Meaning of a phrase as tag, genre, synonym or measure; None if it is not known.

        A comparative that is not known itself means the word it is made of: "calmer" is "calm".
        """
        found = self._named(phrase)
        if found is None and (plain := _positive(phrase)) is not None:
            found = self._named(plain)
        return found

    def opposite(self, phrase: str) -> Word | None:
        """What there is instead of a phrase: instrumental for vocals; None where nothing is."""
        found = self.word(f"no {phrase}")
        return None if found is None else replace(found, text=phrase, by="opposite")

    def negated(self, word: Word) -> Word:
        """The word that keeps away from what another one looks for, and the other way round."""
        if word.by == "opposite":
            return self.word(word.text) or replace(word, wanted=not word.wanted)
        opposite = self.opposite(word.text) if word.wanted else None
        return opposite or replace(word, wanted=not word.wanted)

    def plain(self, word: Word) -> Word:
        """The word that is looked for or kept away from, as one that is looked for."""
        return self.negated(word) if word.avoided else word

    def unknown_message(self, request: Request) -> str:
        """One sentence on a request that cannot be answered, which names known words."""
        some = f"known are, among others, {', '.join((*self.tags, *self.genres)[:SHOWN])}"
        if not request.unknown:
            return f"the text names nothing to search for: {some}"
        asked = ", ".join(repr(one.text) for one in request.unknown)
        hints = list(dict.fromkeys(one.hint for one in request.unknown))
        if not any(one.nearest for one in request.unknown):
            hints.append(some)
        return f"no tag or genre fits {asked}: {'; '.join(hints)}"

    def _named(self, phrase: str) -> Word | None:
        key = _key(phrase)
        if not key:
            return None
        if key in self._words_by_key:
            return replace(self._words_by_key[key], text=phrase)
        tags, genres = self._tags.get(key, []), self._genres.get(key, [])
        by = "name" if tags or genres else "synonym"
        concept = self._concepts.get(key)
        if concept is not None:
            tags = tags or _names_of(self._tags, concept.words)
            genres = genres or _names_of(self._genres, concept.words)
            if not tags and not genres:
                tags = _names_of(self._tags, concept.near)
                genres = _names_of(self._genres, concept.near)
        if tags or genres:
            return Word(phrase, tags=tuple(tags), genres=tuple(genres), by=by)
        word = self._measure_word(key)
        return None if word is None else replace(word, text=phrase)

    def read(self, text: str) -> Request:
        """Split a text into known and unknown words."""
        return _Reader(self, text).read()

    def nearest(self, text: str) -> tuple[str, ...]:
        """Known words of the same kind as a known text, else those spelled like it."""
        near: dict[Word, str] = {}
        for key in self._kin(_key(text)) or get_close_matches(
            _key(text), self._words_by_key, cutoff=0.7
        ):
            word = self._words_by_key[key]
            near.setdefault(word.meaning, word.text)
        return tuple(near.values())[:NEAREST]

    def _kin(self, key: str) -> list[str]:
        """Known words of the kind of a concept: other moods, voices, instruments or styles."""
        for kind in CONCEPTS:
            names = [[_key(word) for word in row.words] for row in kind]
            own = next((position for position, row in enumerate(names) if key in row), None)
            if own is not None:
                order = sorted(range(len(names)), key=lambda position: abs(position - own))
                return [
                    names[position][0]
                    for position in order
                    if names[position][0] in self._words_by_key
                ]
        return []

    def has_concept(self, phrase: str) -> bool:
        """Whether a phrase is in the thesaurus, even if no tag or genre stands for it."""
        key = _key(_positive(phrase) or phrase)
        return key in self._concepts or key in map(_key, MEASURES)

    def unmeasured(self, phrase: str) -> str | None:
        """The field that a phrase such as "fast" is about, where no track has it."""
        key = _key(_positive(phrase) or phrase)
        if _BPM.fullmatch(key) and not self._has_tempo:
            return "tempo_bpm"
        return next(
            (
                field
                for name, (field, _) in MEASURES.items()
                if key == _key(name) and name not in self.measures
            ),
            None,
        )

    def decade_tags(self, first: int, last: int) -> tuple[str, ...]:
        """Tags of a decade, such as "80s" for the 1980s."""
        names = [f"{first}s", f"{first % 100:02}s"]
        return tuple(
            tag
            for name in names
            if _decade(name) == (first, last)
            for tag in self._tags.get(name, [])
        )

    def _measure_word(self, key: str) -> Word | None:
        bpm = _BPM.fullmatch(key)
        if bpm and self._has_tempo:
            return Word(key, measure="tempo_bpm", target=float(bpm[1]))
        for name, (measure, target) in self.measures.items():
            if key == _key(name):
                return Word(name, measure=measure, target=target)
        return None


class _Reader:
    """Reads a text from left to right, each time taking the longest known name."""

    def __init__(self, vocabulary: Vocabulary, text: str) -> None:
        self._known = vocabulary
        self._tokens: list[str | None] = []
        self._minus: set[int] = set()
        for piece in _PIECE.findall(text):
            if _PARTING.fullmatch(piece):
                self._tokens.append(None)
                continue
            if _MINUS.match(piece):
                self._minus.add(len(self._tokens))
            self._tokens += tokens(piece)
        self._words: list[Word] = []
        self._unknown: list[Unknown] = []
        self._run: list[str] = []
        self._wanted = True
        self._last_wanted = True
        self._joined = False

    def read(self) -> Request:
        position = 0
        while position < len(self._tokens):
            position += self._step(position)
        self._end_run()
        return Request(tuple(self._words), tuple(dict.fromkeys(self._unknown)))

    def _step(self, position: int) -> int:
        """Read what begins at a position; returns how many tokens it has."""
        token = self._tokens[position]
        if token is None or position in self._minus:
            self._end_run()
            self._wanted, self._joined = position not in self._minus, False
        if token is None:
            return 1
        for count in range(min(LONGEST_PHRASE, len(self._tokens) - position), 0, -1):
            phrase = self._phrase(position, count)
            word = phrase and (self._years(position, count) or self._word(phrase))
            if word:
                self._end_run()
                self._take(word)
                return count
        if token in NEGATIONS:
            self._end_run()
            self._wanted, self._joined = False, False
        elif token in ("or", "nor"):
            self._end_run()
            self._join()
        elif token in JOINTS:
            self._end_run()
            self._wanted = True
        elif token not in FILLERS or self._run:
            self._run.append(token)
        return 1

    def _phrase(self, position: int, count: int) -> str | None:
        """Tokens as one phrase; None where a comma or a minus sign separates them."""
        span = self._tokens[position : position + count]
        if None in span or self._minus & set(range(position + 1, position + count)):
            return None
        return " ".join(token for token in span if token is not None)

    def _word(self, phrase: str) -> Word | None:
        # "not" has opposites of its own: a song without voices is an instrumental.
        opposite = None if self._wanted else self._known.opposite(phrase)
        return opposite or self._known.word(phrase)

    def _years(self, position: int, count: int) -> Word | None:
        span = [token for token in self._tokens[position : position + count] if token is not None]
        years = _years(span)
        if years is None:
            return None
        first, last = years
        tags: tuple[str, ...] = ()
        if first is not None and last is not None:
            tags = self._known.decade_tags(first, last)
        return Word(" ".join(span), tags=tags, years=years)

    def _take(self, word: Word) -> None:
        self._last_wanted = self._wanted
        word = replace(word, wanted=self._wanted or word.by == "opposite")
        last = self._words[-1] if self._words else None
        if self._joined and last is not None and _joinable(last) and _joinable(word):
            self._words[-1] = replace(
                last,
                text=f"{last.text} or {word.text}",
                tags=tuple(dict.fromkeys((*last.tags, *word.tags))),
                genres=tuple(dict.fromkeys((*last.genres, *word.genres))),
            )
        elif all(word.meaning != other.meaning for other in self._words):
            self._words.append(word)
        self._wanted, self._joined = True, False

    def _join(self) -> None:
        """After "or": alternatives of one word; "no drums or vocals" wants neither."""
        self._wanted = self._last_wanted
        self._joined = self._last_wanted and bool(self._words)

    def _end_run(self) -> None:
        """Record the tokens since the last known word as unknown."""
        run, self._run = self._run, []
        while run and run[-1] in FILLERS:
            run.pop()
        if not run:
            return
        parts = (" ".join(run), *run)
        self._unknown.append(
            Unknown(
                parts[0],
                next((near for part in parts if (near := self._known.nearest(part))), ()),
                self._wanted,
                not (_MODE.search(parts[0]) or any(map(self._known.has_concept, parts))),
                next((m for part in parts if (m := self._known.unmeasured(part))), None),
            )
        )
        self._last_wanted, self._wanted, self._joined = self._wanted, True, False


def tokens(text: str) -> list[str]:
    """Words of a text without case and accents: "R&B, Lo-Fi" -> r, and, b, lo, fi."""
    plain = _APOSTROPHES.sub("", fold(text)).replace("&", " and ").replace("_", " ")
    return _WORD.findall(plain)


def _positive(phrase: str) -> str | None:
    """The positive form of a phrase that is one comparative."""
    words = tokens(phrase)
    return positive_form(words[0]) if len(words) == 1 else None


def _key(text: str) -> str:
    """Text that spellings of a name share."""
    return "".join(_singular(token) for token in tokens(text))


def _singular(word: str) -> str:
    if len(word) <= 3 or word[0].isdigit() or word.endswith(("ss", "us", "is")):
        return word
    # The blues is not the plural of a colour.
    if word == "blues" or not word.endswith("s"):
        return word
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    return word[:-2] if word.endswith(("ches", "shes", "xes", "sses")) else word[:-1]


def _names(tag: str) -> list[str]:
    """Names of a tag: "Violin, fiddle" is a violin too, and "Classical music" classical."""
    names = [tag, *tag.split(",")]
    plain = [re.sub(r"(?i)^music of |\s+music$", "", name.strip()) for name in names]
    return [name for name in (*names, *plain) if name.strip()]


def _endings(genre: str) -> list[str]:
    """Keys of a genre: "Gothic Death Metal" is death metal, and metal, but not gothic."""
    words = tokens(genre)
    if len(words) > 1 and words[-1] == "music":
        words = words[:-1]
    return list(dict.fromkeys(_key(" ".join(words[start:])) for start in range(len(words))))


def _names_of(names: dict[str, list[str]], words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(name for word in words for name in names.get(_key(word), [])))


def _joinable(word: Word) -> bool:
    return word.years is None and word.measure is None


def _years(span: Sequence[str]) -> Years | None:
    """First and last year that words mean: 90s, nineties, 1994, 1990 to 1995, before 1980."""
    if len(span) == 1:
        return _decade(span[0]) or _year(span[0])
    if len(span) == 2:
        known = _decade(span[1]) or _year(span[1])
        if known is not None and span[0] in ("since", "newer"):
            return known[0], None
        if known is not None and span[0] == "after":
            return known[1] + 1, None
        if known is not None and span[0] in ("before", "until", "till", "older"):
            return None, known[0] - (span[0] in ("before", "older"))
        first, last = _year(span[0]), _year(span[1])
        return (first[0], last[0]) if first and last and first <= last else None
    if len(span) == 3 and span[1] in ("to", "until", "till", "and"):
        return _years((span[0], span[2])) if _year(span[0]) else None
    if len(span) == 4 and span[0] in ("between", "from"):
        return _years(span[1:])
    return None


def _year(token: str) -> tuple[int, int] | None:
    return (int(token), int(token)) if _YEAR.fullmatch(token) else None


def _decade(token: str) -> tuple[int, int] | None:
    """First and last year of a decade, or of a century: the 1800s, but not the 2000s."""
    fit = _DECADE.fullmatch(token)
    if token in DECADES:
        first = DECADES[token]
    elif fit is None:
        return None
    else:
        short = int(fit[2])
        # Two digits are of the last hundred years: the 30s are the 1930s, the 20s our own.
        first = 100 * (int(fit[1]) if fit[1] else (19 if short >= 30 else 20)) + short
    return first, first + (99 if first % 100 == 0 and first < 2000 else 9)
