"""Catalogs with changed bits and pages: an error, a warning or the right answers; no traceback."""

from __future__ import annotations

import logging
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import numpy as np
import pytest

from indexer.catalog import file_queries, writer
from indexer.catalog.reader import Catalog
from indexer.catalog.status import TrackStatus
from indexer.errors import CatalogError, NotACatalog, SoundalikeError, TooShort
from indexer.library import Library, index_path
from recommender import Recommender, Where
from tests.catalogs import Planted, plant
from tests.damage import PAGE, flip_bit, swap_pages

if TYPE_CHECKING:
    from pathlib import Path

Change = Callable[[np.ndarray, np.random.Generator], None]
TRACKS = [
    Planted(
        f"Song {n}",
        {"loud": n / 40},
        genre=f"Genre {n % 3}",
        artist=f"Band {n % 7}",
        year=1960 + n,
        tempo_bpm=80.0 + n,
        musical_key="A minor",
    )
    for n in range(40)
]


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    return plant(tmp_path, ("loud", "soft"), TRACKS)


def answers(path: Path) -> list[object]:
    """What a person gets to see of a catalog."""
    found: list[object] = []
    with Recommender.open(path) as recommender:
        for seed in (1, 17, 40):
            similar = recommender.similar_to_track(seed, 5)
            found += [(one.id, one.key, one.title, one.artist, one.cosine) for one in similar]
        found.append(recommender.activations([1, 2, 3]).tolist())
        found.append(recommender.ids(Where(genre=("Genre 1",), tempo=(90, 110))).tolist())
        found += [recommender.mean_activations.tolist(), recommender.facets(), recommender.browse()]
    with closing(Catalog.open_for_reading(path)) as opened:
        model = opened.active_model()
        assert model is not None
        found += [opened.counts(), opened.failures(), opened.roots()]
        found += [opened.played_seconds(), list(file_queries.failed_files(opened))]
    return found


def answers_or_error(path: Path) -> list[object] | SoundalikeError:
    try:
        return answers(path)
    except SoundalikeError as error:
        return error


@pytest.mark.parametrize("change", [flip_bit, swap_pages])
@pytest.mark.parametrize("name", ["catalog", "index"])
def test_damage_gives_no_traceback_and_no_other_answer_without_a_word(
    catalog: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, change: Change, name: str
) -> None:
    rng = np.random.default_rng(20)
    expected = answers(catalog)
    copies = tmp_path / "copies"
    caplog.set_level(logging.WARNING)
    for _ in range(20):
        shutil.rmtree(copies, ignore_errors=True)
        copies.mkdir()
        for file in catalog.parent.glob("catalog.*"):
            shutil.copy2(file, copies)
        copy = copies / catalog.name
        target = copy if name == "catalog" else index_path(copy)
        content = np.frombuffer(target.read_bytes(), np.uint8).copy()
        change(content, rng)
        target.write_bytes(content.tobytes())
        caplog.clear()
        found = answers_or_error(copy)
        assert found == expected or isinstance(found, CatalogError) or caplog.records
        with (
            suppress(CatalogError),
            closing(Library.open_for_writing(copy)) as library,
        ):
            with library.catalog.writing() as connection:
                writer.set_status(connection, [3], TrackStatus.REMOVED)
            library.rebuild()


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("tracks", "title", "Another"),
        ("tracks", "key", 17),
        ("tracks", "status", "presents"),
        ("tracks", "genres", "[1"),
        ("recordings", "duration_s", 9.5),
        ("recordings", "musical_key", b"\xff"),
        ("embeddings", "vector", b"short"),
        ("embeddings", "activations", b"short"),
        ("models", "tag_names", "no list"),
        ("roots", "path", b"/elsewhere"),
        ("failures", "stage", None),
        ("catalog", "change", 5),
    ],
)
def test_a_change_of_any_column_is_one_error_or_a_warning(
    catalog: Path, caplog: pytest.LogCaptureFixture, table: str, column: str, value: object
) -> None:
    with closing(Library.open_for_writing(catalog)) as library:
        file = file_queries.SeenFile(b"/music/x.mp3", b"/music", 1, 1)
        with library.catalog.writing() as connection:
            writer.store_failures(connection, [(file, TooShort("0.1 s", stage="decode"))])
    with closing(sqlite3.connect(catalog)) as raw, raw:
        changed = f"UPDATE {table} SET {column} = coalesce(?, 'x') WHERE rowid = 1"  # noqa: S608
        assert raw.execute(changed, (value,)).rowcount == 1
    line = f"row 1 of the table {table} has changed"
    with pytest.raises(NotACatalog, match=r"is damaged \(malformed") as refused:
        answers(catalog)
    assert "`soundalike verify` lists the damage" in str(refused.value)
    if table != "catalog":
        assert line in caplog.text
        with closing(Catalog.open_for_reading(catalog)) as opened:
            assert line in opened.damage()


def test_text_that_is_not_utf_8_is_damage(catalog: Path) -> None:
    with closing(sqlite3.connect(catalog)) as raw, raw:
        raw.execute("UPDATE tracks SET title = CAST(x'ff41' AS TEXT) WHERE id = 2")
    with closing(Catalog.open_for_reading(catalog)) as opened:
        assert opened.damage()
        with pytest.raises(NotACatalog, match="is damaged"):
            opened.tracks([2])


def test_a_writer_refuses_a_catalog_with_damaged_pages(catalog: Path) -> None:
    content = bytearray(catalog.read_bytes())
    content[PAGE + 5 : PAGE + 40] = b"\xee" * 35
    catalog.write_bytes(content)
    with pytest.raises(NotACatalog, match="is damaged"):
        Catalog.open_for_writing(catalog)
