from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from indexer.errors import InvalidOption
from recommender import Recommender, Where
from recommender.retrieval.listing import FACETS, tempo_bounds
from recommender.retrieval.names import split_genres
from tests.catalogs import Planted, plant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TAGS = ("piano", "calm", "loud")
GENRES = (None, "Rock", "rock", "Jazz; Blues", "Hip-Hop", "hip hop")
KEYS = (None, "A minor", "C major")


def made_up(count: int) -> list[Planted]:
    rng = random.Random(1)  # noqa: S311 - names of test tracks
    return [
        Planted(
            f"Song {number % 37} of {rng.choice(['Björk', 'Smørrebrød', 'night', 'Day'])}",
            {tag: rng.random() for tag in TAGS},
            genre=rng.choice(GENRES),
            year=rng.choice([None, 1969, 1970, 1994, 1999, 2024]),
            tempo_bpm=rng.choice([None, 69.99, 70.0, 89.9, 120.0, 151.0]),
            musical_key=rng.choice(KEYS),
            artist=rng.choice([None, "Sigur Rós", "sigur ros", "The Band", "Łona"]),
            album_artist=rng.choice([None, "Various", "The Band"]),
            album=rng.choice([None, "First", "Second"]),
        )
        for number in range(count)
    ]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recommender]:
    with Recommender.open(plant(tmp_path_factory.mktemp("listing"), TAGS, made_up(300))) as opened:
        yield opened


def pages(library: Recommender, text: str, n: int, where: Where | None = None) -> list[int]:
    found: list[int] = []
    after = None
    while True:
        page = library.browse(text, n, after=after, where=where)
        found += [track.id for track in page.tracks]
        after = page.after
        if after is None:
            assert len(found) == page.total
            return found


def test_pages_hold_every_track_once(library: Recommender) -> None:
    assert sorted(pages(library, "", 7)) == list(range(1, 301))


@pytest.mark.parametrize("text", ["bjork", "BJÖRK song", "smorre", "rós 3", "lona", "  night  "])
def test_every_word_must_be_there_and_accents_do_not_matter(
    library: Recommender, text: str
) -> None:
    found = pages(library, text, 11)
    assert found
    words = text.replace("BJÖRK", "bjork").replace("rós", "ros").split()
    for track in library.tracks(found):
        whole = " ".join(filter(None, (track.title, track.artist, track.album))).casefold()
        plain = whole.translate(str.maketrans("öøół", "oool"))
        assert all(word in plain for word in words), (text, plain)


def test_beginnings_come_before_words_and_those_before_parts(tmp_path: Path) -> None:
    titles = ["Alone", "The One", "One", "Oneness", "Nobody"]
    tracks = [Planted(title, artist="Z") for title in titles]
    with Recommender.open(plant(tmp_path, TAGS, tracks)) as library:
        found = [track.title for track in library.browse("one").tracks]
    assert found == ["One", "Oneness", "The One", "Alone"]


def test_a_list_with_nothing_in_it_says_why(library: Recommender) -> None:
    page = library.browse("no such words")
    assert (page.tracks, page.total, page.after) == ((), 0, None)
    assert page.note == "no title, artist or album holds all words of 'no such words'"
    assert "keeps no track" in (library.browse(where=Where(genre=("polka",))).note or "")


@pytest.mark.parametrize(
    "cursor", ["", "1", "x.1", "1.x", "-1.2", "1.-2", "9" * 40, "1." + "9" * 30]
)
def test_a_cursor_of_someone_else_is_refused(library: Recommender, cursor: str) -> None:
    with pytest.raises(InvalidOption, match="cursor"):
        library.browse("", after=cursor)


def filter_of(facet: str, value: str) -> dict[str, Any]:
    if facet == "decade":
        return {"year": (int(value), int(value) + 9)}
    if facet == "tempo":
        return {"tempo": tempo_bounds(value)}
    if facet == "tag":
        return {"tags": ((value, None),)}
    return {facet: (value,)}


@pytest.mark.parametrize(
    "where", [Where(), Where(genre=("rock",)), Where(artist=("The Band",), year=(1970, 1999))]
)
@pytest.mark.parametrize("text", ["", "song 1"])
def test_a_count_is_what_the_filter_would_keep(
    library: Recommender, text: str, where: Where
) -> None:
    counts = library.facets(text, where=where)
    assert set(counts) == set(FACETS)
    for facet, values in counts.items():
        assert values, facet
        for one in values:
            asked = {**{name: getattr(where, name) for name in Where.__dataclass_fields__}}
            narrowed = Where(**asked | filter_of(facet, one.value))
            assert library.browse(text, where=narrowed).total == one.count, (facet, one)


def test_spellings_of_a_genre_are_one_value(library: Recommender) -> None:
    genres = [one.value for one in library.facets()["genre"]]
    assert len(genres) == len({"".join(filter(str.isalnum, genre.lower())) for genre in genres})
    named = Counter(
        name for track in library.tracks(range(1, 301)) for name in split_genres(track.genre)
    )
    # Each is shown in its most frequent spelling.
    assert set(genres) == {
        max(spellings, key=lambda name: named[name])
        for spellings in (("Rock", "rock"), ("Jazz",), ("Blues",), ("Hip-Hop", "hip hop"))
    }


def test_what_a_writer_adds_is_listed(catalog_path: Path) -> None:
    from contextlib import closing

    from indexer.catalog import writer
    from indexer.catalog.status import TrackStatus
    from indexer.library import Library

    with Recommender.open(catalog_path) as library:
        assert library.browse().total == 12
        with closing(Library.open_for_writing(catalog_path)) as writing:
            with writing.catalog.writing() as connection:
                writer.set_status(connection, [3], TrackStatus.REMOVED)
        listed = [track.id for track in library.browse().tracks]
        assert listed
        assert 3 not in listed


def test_an_empty_library_has_an_empty_table(tmp_path: Path) -> None:
    from indexer.errors import QueryError

    with Recommender.open(plant(tmp_path, TAGS, [])) as library:
        with pytest.raises(QueryError, match="holds no tracks yet"):
            library.browse()


def test_tempi_fall_into_classes() -> None:
    assert tempo_bounds("70") == (70.0, float(np.nextafter(90, 0)))
    assert tempo_bounds("150") == (150.0, None)
