from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from indexer.catalog import writer
from indexer.catalog.opinions import Opinions
from indexer.catalog.reader import Catalog
from indexer.catalog.records import Subject
from indexer.catalog.status import TrackStatus
from indexer.errors import CatalogError, CatalogFull, InvalidOption, NotACatalog
from indexer.library import Library
from tests.catalogs import Planted, plant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SONG, OTHER = Subject("track", "1"), Subject("track", "2")
ALBUM, ARTIST = Subject("album", "al-1"), Subject("artist", "ar-é")


@pytest.fixture
def planted(address: str, tmp_path: Path) -> str:
    """A catalog of three tracks."""
    plant(tmp_path, ["piano"], [Planted(f"Song {n}") for n in range(3)], address=address)
    return address


@contextmanager
def opinions_of(address: str) -> Iterator[Opinions]:
    """The opinions of a catalog that is open for reading."""
    with closing(Catalog.open_for_reading(address)) as catalog:
        yield Opinions(catalog)


def test_stars_and_ratings_are_kept(planted: str) -> None:
    before = time.time()
    with opinions_of(planted) as opinions:
        assert opinions.all() == {}
        opinions.star([SONG, ALBUM, ARTIST])
        opinions.rate(SONG, 5)
        opinions.rate(OTHER, 1)
    with opinions_of(planted) as opinions:
        found = opinions.all()
    assert list(found) == [ALBUM, ARTIST, SONG, OTHER]
    assert {subject: one.rating for subject, one in found.items()} == {
        SONG: 5, OTHER: 1, ALBUM: None, ARTIST: None,
    }  # fmt: skip
    starred = [subject for subject, one in found.items() if one.starred_at is not None]
    assert starred == [ALBUM, ARTIST, SONG]
    assert all(before <= found[one].starred_at <= time.time() for one in starred)


def test_a_star_given_twice_keeps_its_time_and_one_taken_away_is_gone(planted: str) -> None:
    with opinions_of(planted) as opinions:
        opinions.star([SONG, SONG])
        first = opinions.all()[SONG].starred_at
        opinions.star([SONG])
        assert opinions.all()[SONG].starred_at == first
        opinions.rate(SONG, 3)
        opinions.unstar([SONG, OTHER])
        assert [(one.starred_at, one.rating) for one in opinions.all().values()] == [(None, 3)]
        opinions.rate(SONG, None)
        assert opinions.all() == {}


@pytest.mark.parametrize("rating", [-1, 0, 6])
def test_a_rating_that_there_is_not_is_refused(planted: str, rating: int) -> None:
    with opinions_of(planted) as opinions:
        with pytest.raises(InvalidOption, match="1 to 5"):
            opinions.rate(SONG, rating)
        with pytest.raises(InvalidOption, match="names nothing"):
            opinions.star([Subject("album", "a" * 256)])
        assert opinions.all() == {}


def test_a_star_waits_for_the_transaction_of_a_writer(planted: str) -> None:
    held, release = threading.Event(), threading.Event()

    def write() -> None:
        with closing(Catalog.open_for_writing(planted)) as catalog:
            with catalog.writing() as connection:
                writer.set_status(connection, [3], TrackStatus.REMOVED)
                held.set()
                assert release.wait(30)

    with ThreadPoolExecutor(2) as threads, opinions_of(planted) as opinions:
        writing = threads.submit(write)
        assert held.wait(30)
        starring = threads.submit(opinions.star, [SONG])
        with pytest.raises(TimeoutError):
            starring.result(0.3)
        release.set()
        writing.result(30)
        starring.result(30)
        assert list(opinions.all()) == [SONG]


def test_stars_and_a_writer_do_not_disturb_each_other(planted: str) -> None:
    """A transaction that reads before it writes must not fail because of a star in between."""
    statuses = [TrackStatus.REMOVED, TrackStatus.PRESENT]
    started = threading.Event()

    def write() -> None:
        with closing(Catalog.open_for_writing(planted)) as catalog:
            for turn in range(60):
                with catalog.writing() as connection:
                    writer.set_status(connection, [3], statuses[turn % 2])
                started.set()

    with ThreadPoolExecutor(1) as threads, opinions_of(planted) as opinions:
        writing = threads.submit(write)
        assert started.wait(30)
        for number in range(30):
            opinions.star([Subject("track", str(number))])
        writing.result(60)
        assert len(opinions.all()) == 30
    with closing(Library.open(planted)) as library:
        assert library.verify().sound


def test_opinions_change_no_counter_and_outlive_their_track(planted: str) -> None:
    with closing(Catalog.open_for_reading(planted)) as catalog:
        before, version = catalog.changes(), catalog.version()
        Opinions(catalog).star([SONG])
        assert catalog.changes() == before
        assert catalog.version() != version
    with closing(Library.open_for_writing(planted)) as library:
        with library.catalog.writing() as connection:
            writer.set_status(connection, [1], TrackStatus.REMOVED)
        library.rebuild()
        assert list(Opinions(library.catalog).all()) == [SONG]
        assert library.verify().sound


@pytest.mark.usefixtures("only_sqlite")
def test_a_changed_bit_is_found(planted: str) -> None:
    with opinions_of(planted) as opinions:
        opinions.rate(SONG, 5)
    with closing(Catalog.open_for_writing(planted)) as catalog:
        with catalog.database.writing() as connection:
            connection.execute(text("DROP TRIGGER temp.opinions_update"))
            connection.execute(text("UPDATE opinions SET rating = 4"))
        assert "opinions" in catalog.damage()[0]
        with pytest.raises(NotACatalog, match="opinion of '1'"):
            Opinions(catalog).all()


@pytest.mark.usefixtures("only_sqlite")
def test_a_catalog_that_may_not_be_written_says_so(planted: str, tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    with opinions_of(planted) as opinions:
        path.chmod(0o400)
        try:
            if _may_write(path):
                pytest.skip("this user may write every file")
            with pytest.raises(CatalogFull, match="cannot be written"):
                opinions.star([SONG])
        finally:
            path.chmod(0o600)


@pytest.mark.usefixtures("only_sqlite")
def test_a_catalog_that_was_moved_is_not_written(planted: str, tmp_path: Path) -> None:
    with opinions_of(planted) as opinions:
        (tmp_path / "catalog.db").rename(tmp_path / "other.db")
        with pytest.raises(CatalogError, match="moved"):
            opinions.star([SONG])


def _may_write(path: Path) -> bool:
    try:
        path.open("ab").close()
    except OSError:
        return False
    return True
