from __future__ import annotations

import pytest

from recommender.retrieval.words.vocabulary import Vocabulary, Word

TAGS = (
    "rock",
    "pop",
    "Hip-Hop",
    "female vocalists",
    "female vocalist",
    "male vocalists",
    "instrumental",
    "Mellow",
    "ambient",
    "90s",
    "sad",
    "metal",
    "violin, fiddle",
    "classical music",
)
KNOWN = Vocabulary(TAGS, ["Gothic Death Metal", "Soundtrack"], ["tempo_bpm"])


def read(text: str) -> list[tuple[str, ...]]:
    """The tags of each word, those to keep away from after a minus."""
    return [("-",) * (not word.wanted) + word.tags for word in KNOWN.read(text).words]


@pytest.mark.parametrize(
    "text", ["hip hop", "Hip-Hop", "hiphop", "HIP HOPS", "hip_hop", "some hip-hop music, please"]
)
def test_a_name_however_it_is_written(text: str) -> None:
    request = KNOWN.read(text)
    assert [word.tags for word in request.words] == [("Hip-Hop",)]
    assert not request.unknown
    assert request.words[0].by == "name"


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("female voice", ("female vocalists", "female vocalist")),
        ("woman's voice", ("female vocalists", "female vocalist")),
        ("calm", ("Mellow", "ambient")),
        ("melancholic", ("sad",)),
        ("rap", ("Hip-Hop",)),
        ("fiddle", ("violin, fiddle",)),
        ("classical", ("classical music",)),
        ("rock 'n' roll", ("rock",)),
    ],
)
def test_a_synonym_stands_for_tags(text: str, tags: tuple[str, ...]) -> None:
    assert read(text) == [tags]


def test_the_longest_name_wins_and_the_rest_is_read_on() -> None:
    assert read("sad female voice pop") == [
        ("sad",),
        ("female vocalists", "female vocalist"),
        ("pop",),
    ]


def test_a_comma_parts_a_name() -> None:
    assert read("hip, hop") == []
    assert [one.text for one in KNOWN.read("hip, hop").unknown] == ["hip", "hop"]


@pytest.mark.parametrize("text", ["no rock", "not rock", "without any rock", "-rock", "calm -rock"])
def test_what_is_to_be_kept_away_from(text: str) -> None:
    assert read(text)[-1] == ("-", "rock")


def test_a_negation_ends_with_its_word() -> None:
    assert read("not sad, pop and rock") == [("-", "sad"), ("pop",), ("rock",)]
    assert read("no sad or metal pop") == [("-", "sad"), ("-", "metal"), ("pop",)]


@pytest.mark.parametrize("text", ["no vocals", "without singing", "-vocals", "not any voices"])
def test_no_voice_is_an_instrumental(text: str) -> None:
    assert read(text) == [("instrumental",)]


def test_no_voice_where_no_tag_is_instrumental() -> None:
    (word,) = Vocabulary(["male vocalists", "rock"]).read("no vocals").words
    assert (word.tags, word.wanted) == (("male vocalists",), False)


def test_either_of_two() -> None:
    assert read("pop or rock, sad") == [("pop", "rock"), ("sad",)]


def test_the_same_thing_twice_counts_once() -> None:
    assert read("calm relaxing peaceful sad") == [("Mellow", "ambient"), ("sad",)]


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("90s", (1990, 1999)),
        ("'90s", (1990, 1999)),
        ("1990s", (1990, 1999)),
        ("nineties", (1990, 1999)),
        ("00s", (2000, 2009)),
        ("1920s", (1920, 1929)),
        ("30s", (1930, 1939)),
        ("from 1994", (1994, 1994)),
        ("1990-1995", (1990, 1995)),
        ("between 1990 and 1995", (1990, 1995)),
        ("since 1994", (1994, None)),
        ("after the 1994", None),
        ("after 1994", (1995, None)),
        ("after 1990s", (2000, None)),
        ("before 1980", (None, 1979)),
        ("until 80s", (None, 1980)),
    ],
)
def test_years(text: str, years: tuple[int | None, int | None] | None) -> None:
    words = KNOWN.read(text).words
    assert words[0].years == (years or (1994, 1994))


def test_a_decade_is_its_tag_and_its_years() -> None:
    (word,) = KNOWN.read("1990s").words
    assert (word.tags, word.years) == (("90s",), (1990, 1999))
    (other,) = KNOWN.read("80s").words
    assert (other.tags, other.years) == ((), (1980, 1989))


@pytest.mark.parametrize(
    ("text", "tags", "years"),
    [
        ("00s", ("00s",), (2000, 2009)),
        ("2000s", ("00s",), (2000, 2009)),
        ("1900s", (), (1900, 1999)),
        ("1800s", (), (1800, 1899)),
        ("1890s", (), (1890, 1899)),
        ("1990s", ("90s",), (1990, 1999)),
        ("after 1800s", (), (1900, None)),
    ],
)
def test_four_digits_name_their_century(
    text: str, tags: tuple[str, ...], years: tuple[int, int | None]
) -> None:
    (word,) = Vocabulary(["00s", "90s"]).read(text).words
    assert (word.tags, word.years) == (tags, years)


def test_a_musical_key_leads_to_the_option_that_filters_by_it() -> None:
    (key,) = KNOWN.read("A minor").unknown
    assert not key.guessable
    assert "--musical-key" in key.hint


def test_tempo_where_it_is_measured() -> None:
    slow, exact = KNOWN.read("slow, 120 BPM").words
    assert (slow.measure, slow.target) == ("tempo_bpm", "low")
    assert (exact.measure, exact.target) == ("tempo_bpm", 120.0)
    unmeasured = Vocabulary(TAGS).read("slow")
    assert not unmeasured.words
    assert [one.text for one in unmeasured.unknown] == ["slow"]


def test_the_librarys_own_genres() -> None:
    assert KNOWN.read("soundtracks").words[0].genres == ("Soundtrack",)
    assert KNOWN.read("death metal").words[0].genres == ("Gothic Death Metal",)
    metal = KNOWN.read("metal").words[0]
    assert (metal.tags, metal.genres) == (("metal",), ("Gothic Death Metal",))
    assert not KNOWN.read("gothic").words


def test_an_unknown_word_comes_with_the_nearest_known() -> None:
    request = KNOWN.read("calm jaz metl sonata-form, pop")
    assert [word.text for word in request.words] == ["calm", "pop"]
    (unknown,) = request.unknown
    assert unknown.text == "jaz metl sonata form"
    assert "metal" in unknown.nearest
    assert unknown.guessable


def test_what_is_understood_but_has_no_tag_is_not_to_be_guessed() -> None:
    (piano,) = KNOWN.read("piano").unknown
    assert not piano.guessable
    assert piano.nearest == ("violin",)


@pytest.mark.parametrize("text", ["", "  ", ",,;", "-", "no", "the music", "!?", "or", "\x00\x1b"])
def test_texts_that_ask_for_nothing(text: str) -> None:
    request = KNOWN.read(text)
    assert not request.words
    assert not request.unknown


def test_any_script_is_read() -> None:
    assert [one.text for one in KNOWN.read("日本語 ☃").unknown] == ["日本語"]
    assert Vocabulary(["日本語"]).read("日本語").words[0].tags == ("日本語",)


def test_the_blues_are_no_blue() -> None:
    assert Vocabulary(["blues"]).read("blue").words == ()


def test_an_empty_vocabulary_knows_years_only() -> None:
    none = Vocabulary([])
    assert none.read("rock, 90s").words == (Word("90s", years=(1990, 1999)),)
