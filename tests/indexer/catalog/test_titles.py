from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from indexer.catalog import writer
from indexer.catalog.reader import Catalog
from indexer.catalog.schema import TrackRow
from indexer.catalog.status import TrackStatus
from indexer.text_folding import fold
from tests.catalogs import Planted, plant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TRACKS = [
    Planted("So What", artist="Miles Davis", album="Kind of Blue"),
    Planted("So What Else", artist="Someone"),
    Planted("Blue in Green", artist="Miles Davis"),
    Planted("So What", artist="Björk"),
    Planted(None, artist=None),
    Planted("Weihnachten", artist="Chor"),
    Planted("夜に駆ける", artist="YOASOBI"),
    Planted("がんばれ", artist="ザ・ブルー"),
    Planted("A.B.C. (AC/DC cover)", artist="!!!"),
    Planted("Green - Blue", artist="Someone"),
    Planted(None, artist="Ünal"),
]


@pytest.fixture
def catalog(tmp_path: Path, address: str) -> Iterator[Catalog]:
    plant(tmp_path, ("loud",), TRACKS, address=address)
    with closing(Catalog.open_for_writing(address)) as opened:
        yield opened


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("so what", [1, 4]),
        ("SO WHAT", [1, 4]),
        ("Miles Davis - So What", [1]),
        ("miles so", [1]),
        ("wha", [1, 2, 4]),
        ("bjork", [4]),
        ("green - blue", [10]),
        ("Someone - Green - Blue", [10]),
        ("blue green", [3, 10]),
        ("Kind of", []),
        ("0005", [5]),
        ("0011", [11]),
        ("nacht", [6]),
        ("駆け", [7]),
        ("夜", [7]),
        ("ける", [7]),
        ("か\u3099ん", [8]),
        ("ブルー", [8]),
        ("ac/dc", [9]),
        ("ac/d", [9]),
        ("!!!", [9]),
        ("- &", []),
        ("", []),
        ('"', []),
        ('so" OR "blue', []),
        ("caf\udce9", []),
        ("so\0what", [1, 4]),
        ("*", []),
        ("title : so", []),
        ("so " * 700, [1, 2, 4, 10]),
        (" ".join(f"word{n}" for n in range(500)), []),
    ],
)
def test_a_text_names_tracks(catalog: Catalog, text: str, ids: list[int]) -> None:
    assert catalog.database.named_tracks(text, most=99) == ids


def test_only_present_tracks_are_named_and_no_more_than_are_asked_for(catalog: Catalog) -> None:
    with catalog.writing() as connection:
        writer.set_status(connection, [1], TrackStatus.REMOVED)
    assert catalog.database.named_tracks("so what", most=99) == [4]
    assert catalog.database.named_tracks("so", most=1) == [2]


def test_beginnings_words_and_parts_are_told_apart(catalog: Catalog) -> None:
    found = catalog.database.search_titles("blue")
    assert found.starts.tolist() == [3]
    assert found.words.tolist() == [1, 3, 10]
    found = catalog.database.search_titles("reen")
    assert (found.starts.tolist(), found.words.tolist()) == ([], [])
    assert found.parts.tolist() == [3, 10]
    assert catalog.database.search_titles("mi wha").parts.tolist() == [1]


def test_signs_are_found_where_a_text_has_no_words(catalog: Catalog) -> None:
    for text, ids in (("!", [9]), ("(", [9]), ("- ", [10]), ("%", []), ("\u00ad", [])):
        assert catalog.database.search_titles(text).parts.tolist() == ids, text
    assert catalog.database.search_titles("! blue").parts.tolist() == [1, 3, 10]


WORDS = ("blue", "Bluebird", "bl", "the", "ü", "Über", "a-ha", "so", "What", "1999", "夜に", "x")


def made_up(rng: random.Random) -> str | None:
    return " ".join(rng.choices(WORDS, k=rng.randrange(4))) or None


def test_every_text_finds_what_looking_at_all_names_finds(tmp_path: Path, address: str) -> None:
    rng = random.Random(3)  # noqa: S311 - names of test tracks
    tracks = [
        Planted(made_up(rng) or "t", artist=made_up(rng), album=made_up(rng)) for _ in range(150)
    ]
    plant(tmp_path, ("loud",), tracks, address=address)
    with closing(Catalog.open_for_reading(address)) as catalog:
        names = [
            [fold(name or "") for name in (one.title, one.artist, one.album)] for one in tracks
        ]
        for _ in range(60):
            text = made_up(rng) or "blu"
            words = [fold(word) for word in text.split()]
            parts = [
                number
                for number, own in enumerate(names, start=1)
                if all(any(word in name for name in own) for word in words if len(word) > 2)
                and all(
                    any(f" {word}" in f" {name}" or f"-{word}" in name for name in own)
                    for word in words
                    if len(word) < 3 and word.isascii()
                )
            ]
            if all(word.isascii() or len(word) > 2 for word in words):
                assert catalog.database.search_titles(text).parts.tolist() == parts, text


def test_the_index_follows_new_tags_and_what_is_rolled_back_leaves_none(catalog: Catalog) -> None:
    with catalog.writing() as connection:
        connection.execute(
            update(TrackRow).where(TrackRow.id == 1).values(title="Other Words", facets_change=2)
        )
    assert catalog.database.named_tracks("so what", most=9) == [4]
    assert catalog.database.named_tracks("other words", most=9) == [1]
    with pytest.raises(RuntimeError), catalog.writing() as connection:
        connection.execute(
            update(TrackRow).where(TrackRow.id == 1).values(title="Never", facets_change=3)
        )
        raise RuntimeError
    assert catalog.database.named_tracks("never", most=9) == []
    assert catalog.title_faults() == []


@pytest.mark.usefixtures("only_sqlite")
@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        ("UPDATE tracks SET title = 'Another' WHERE id = 2", "1 tracks are not found"),
        ("DELETE FROM track_names WHERE id = 2", "1 tracks are not found"),
        ("INSERT INTO track_names VALUES (99, 'a', 'b', 'c', '')", "1 names are of no track"),
        (
            "DELETE FROM title_words_docsize WHERE id = 2",
            "1 names are not in the table title_words",
        ),
        (
            "UPDATE title_parts_data SET block = zeroblob(20) WHERE id > 100",
            "title_parts is damaged",
        ),
    ],
)
def test_what_is_out_of_step_is_noticed_and_made_again(
    catalog: Catalog, damage: str, fault: str
) -> None:
    assert catalog.title_faults() == []
    with closing(sqlite3.connect(catalog.path)) as raw, raw:
        assert raw.execute(damage).rowcount > 0
    with closing(Catalog.open_for_reading(catalog.path)) as reader:
        catalog.close()
        assert any(fault in line for line in reader.title_faults())
    with closing(Catalog.open_for_writing(catalog.path)) as opened:
        with opened.writing() as connection:
            opened.database.make_titles_again(connection)
            writer.set_status(connection, [3], TrackStatus.REMOVED)
        assert opened.title_faults() == []
        assert opened.database.named_tracks("nacht", most=9) == [6]
