"""A library large enough for lists: its file is written aside while readers go on asking."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest

from indexer.catalog import writer
from indexer.catalog.reader import Catalog
from indexer.catalog.status import TrackStatus
from indexer.library import Library, index_path
from indexer.mapped_arrays import MappedArrays, draft_path
from indexer.vectors.base_file import KIND
from indexer.vectors.policy import IndexPolicy
from recommender import Recommender
from tests.catalogs import Planted, plant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

COUNT = 600
POLICY = IndexPolicy(exact_up_to=200, read_all_up_to=20, recall=1.0, write_at=0.05)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planted")
    catalog = plant(folder, ["piano"], [Planted(title=f"Title {n}") for n in range(COUNT)])
    index_path(catalog).unlink()
    with closing(Library.open_for_writing(catalog, policy=POLICY)):
        pass
    return catalog


@pytest.fixture
def catalog(planted: Path, tmp_path: Path) -> Path:
    for file in planted.parent.glob("catalog.*"):
        shutil.copy2(file, tmp_path / file.name)
    return tmp_path / "catalog.db"


@pytest.fixture
def reader(catalog: Path) -> Iterator[Library]:
    with closing(Library.open(catalog, policy=POLICY)) as library:
        yield library


def set_status(catalog: Path, ids: range, status: TrackStatus) -> None:
    with closing(Catalog.open_for_writing(catalog)) as opened, opened.writing() as connection:
        writer.set_status(connection, list(ids), status)


def assert_exact(library: Library, ids: list[int]) -> None:
    """Every answer is that of an exact search in the vectors of the catalog."""
    library.refresh()
    model = library.catalog.active_model()
    assert model is not None
    assert library.index is not None
    parts = list(library.catalog.changes_since(0, model))
    held = np.concatenate([part.ids for part in parts])
    vectors = np.concatenate([part.vectors for part in parts])
    assert sorted(held.tolist()) == ids
    queries = vectors[::29]
    found, _ = library.index.search(queries, 8)
    for row, query in zip(found, queries, strict=True):
        order = np.lexsort((held, -(vectors.astype(np.float64) @ query)))
        assert row.tolist() == held[order][:8].tolist()


def wait_until(reached: Callable[[], bool], library: Library) -> None:
    """Ask now and then, as a reader does, until something has come about.

    As long as the test may take: a process of low priority does it.
    """
    while not reached():
        time.sleep(0.1)
        library.refresh()


def kind(library: Library) -> str:
    assert library.index is not None
    return library.index.facts().kind


def changed(library: Library) -> int:
    assert library.index is not None
    return library.index.facts().changed


def test_what_changes_is_seen_at_once_and_no_file_is_written(
    catalog: Path, reader: Library
) -> None:
    before = index_path(catalog).stat()
    assert kind(reader) == "lists"
    set_status(catalog, range(1, 11), TrackStatus.REMOVED)
    set_status(catalog, range(1, 4), TrackStatus.PRESENT)
    assert_exact(reader, [1, 2, 3, *range(11, COUNT + 1)])
    assert index_path(catalog).stat() == before


def test_a_reader_has_a_new_file_made_and_goes_over_to_it(catalog: Path, reader: Library) -> None:
    before = index_path(catalog).stat().st_ino
    set_status(catalog, range(1, 101), TrackStatus.REMOVED)
    assert_exact(reader, list(range(101, COUNT + 1)))
    assert changed(reader) == 100
    wait_until(lambda: changed(reader) == 0, reader)
    assert index_path(catalog).stat().st_ino != before
    assert_exact(reader, list(range(101, COUNT + 1)))
    assert reader.verify().sound


def test_a_writer_makes_a_new_file_when_it_has_done_if_enough_has_changed(catalog: Path) -> None:
    written = []
    for ids in (range(1, 21), range(21, 41)):
        with closing(Library.open_for_writing(catalog, policy=POLICY)) as library:
            with library.catalog.writing() as connection:
                writer.set_status(connection, list(ids), TrackStatus.REMOVED)
        written.append(MappedArrays.open(index_path(catalog), kind=KIND).facts["stamp"]["change"])
    assert written[0] < written[1]
    with closing(Library.open(catalog, policy=POLICY)) as reader:
        assert changed(reader) == 0
        assert_exact(reader, list(range(41, COUNT + 1)))


def test_without_a_file_answers_are_right_say_so_and_it_is_made_again(
    catalog: Path, caplog: pytest.LogCaptureFixture
) -> None:
    index_path(catalog).unlink()
    with closing(Library.open(catalog, policy=POLICY)) as library:
        recommender = Recommender(library)
        note = recommender.similar_to_track(7, 5).note
        assert note is not None
        assert "every track was compared" in note
        assert_exact(library, list(range(1, COUNT + 1)))
        wait_until(lambda: kind(library) == "lists", library)
        assert recommender.similar_to_track(7, 5).note is None
        assert_exact(library, list(range(1, COUNT + 1)))
    assert len(caplog.records) == 1


@pytest.mark.parametrize("array", ["id_of", "lists", "half"])
def test_damage_is_noticed_before_it_answers_and_mended(
    catalog: Path, caplog: pytest.LogCaptureFixture, array: str
) -> None:
    file = index_path(catalog)
    arrays = MappedArrays.open(file, kind=KIND)
    content = bytearray(file.read_bytes())
    content[arrays.offset(array) + arrays.array(array).nbytes // 3] ^= 1
    file.write_bytes(content)
    with closing(Library.open(catalog, policy=POLICY)) as library:
        assert_exact(library, list(range(1, COUNT + 1)))
        wait_until(lambda: kind(library) == "lists", library)
        assert_exact(library, list(range(1, COUNT + 1)))
        assert library.verify().sound
    (record,) = caplog.records
    assert "damaged" in record.message


@pytest.mark.parametrize("state", ["newer than the catalog", "of another catalog"])
def test_a_file_that_does_not_fit_is_not_used(
    catalog: Path, caplog: pytest.LogCaptureFixture, state: str
) -> None:
    if state.startswith("newer"):
        restored = catalog.read_bytes()
        set_status(catalog, range(1, 101), TrackStatus.REMOVED)
        Library.open_for_writing(catalog, policy=POLICY).close()
        catalog.write_bytes(restored)
    else:
        with closing(Catalog.open_for_writing(catalog)) as opened, opened.writing() as connection:
            connection.exec_driver_sql("UPDATE catalog SET uuid = 'another'")
    with closing(Library.open(catalog, policy=POLICY)) as library:
        assert kind(library) == "exact"
        assert_exact(library, list(range(1, COUNT + 1)))
    assert state.split()[-2] in caplog.records[0].message


def test_readers_that_close_end_the_process_and_leave_the_old_file(catalog: Path) -> None:
    before = index_path(catalog).read_bytes()
    set_status(catalog, range(1, 101), TrackStatus.REMOVED)
    with closing(Library.open(catalog, policy=POLICY)) as library:
        library.refresh()
        process = library._writing
        assert process is not None
    assert process.returncode is not None
    assert index_path(catalog).read_bytes() == before
    assert not draft_path(index_path(catalog)).exists()


def test_two_do_not_write_the_file_at_once(catalog: Path) -> None:
    import fcntl

    before = index_path(catalog).stat().st_ino
    lock = index_path(catalog).with_name("catalog.vectors.lock")
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with closing(Library.open_for_writing(catalog, policy=POLICY)) as library:
            with library.catalog.writing() as connection:
                writer.set_status(connection, list(range(1, 101)), TrackStatus.REMOVED)
    assert index_path(catalog).stat().st_ino == before


def test_a_disk_that_is_full_leaves_the_old_file_in_use(
    catalog: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_status(catalog, range(1, 101), TrackStatus.REMOVED)
    before = index_path(catalog).read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with closing(Library.open_for_writing(catalog, policy=POLICY)) as library:
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            library.save_index()
        assert "No space left on device" in caplog.records[-1].message
        assert index_path(catalog).read_bytes() == before
        assert_exact(library, list(range(101, COUNT + 1)))
    with closing(Library.open(catalog, policy=POLICY)) as reader:
        assert changed(reader) == 0
