from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest

from indexer.catalog import writer
from indexer.catalog.status import TrackStatus
from indexer.errors import CatalogFull, CatalogLocked
from indexer.indexing.pipeline import index_paths
from indexer.library import Library, index_path
from indexer.mapped_arrays import MappedArrays
from indexer.vectors.base_file import KIND

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from indexer.analysis.pools import AnalysisPool


def answers(catalog: Path) -> tuple[list[int], np.ndarray]:
    with closing(Library.open(catalog)) as library:
        assert library.index is not None
        ids = library.index.ids()
        return ids.tolist(), library.index.reconstruct(ids)


def test_the_index_file_is_used_when_it_fits(
    catalog_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(Library.open(catalog_path)) as library:
        assert library.verify().sound
    assert caplog.records == []


@pytest.mark.parametrize("damage", ["missing", "cut", "flipped", "of another catalog"])
def test_an_index_file_that_is_no_good_is_made_again_and_said_in_one_line(
    catalog_path: Path, damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = answers(catalog_path)
    file = index_path(catalog_path)
    content = bytearray(file.read_bytes())
    if damage == "missing":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        content[MappedArrays.open(file, kind=KIND).offset("half") + 100] ^= 0xFF
        file.write_bytes(content)
    else:
        with closing(Library.open_for_writing(tmp_path / "other.db", create=True)) as other:
            assert other.index is None
        for path in (catalog_path, file):
            shutil.copy2(path, tmp_path / path.name.replace("catalog", "kept"))
        with closing(Library.open_for_writing(catalog_path)) as library:
            with library.catalog.writing() as connection:
                from sqlalchemy import text

                connection.execute(text("UPDATE catalog SET uuid = 'another'"))
    caplog.clear()
    got = answers(catalog_path)
    assert got[0] == expected[0]
    assert (got[1] == expected[1]).all()
    (record,) = caplog.records
    assert "made again from the catalog" in record.message


def test_a_writer_mends_the_index_file(catalog_path: Path) -> None:
    file = index_path(catalog_path)
    file.write_bytes(b"nonsense")
    with closing(Library.open(catalog_path)) as library:
        report = library.verify()
        assert not report.sound
        assert report.index_file
    Library.open_for_writing(catalog_path).close()
    with closing(Library.open(catalog_path)) as library:
        assert library.verify().sound


def test_a_writer_removes_what_a_killed_one_left(catalog_path: Path) -> None:
    names = ("catalog.db.draft", "catalog.vectors.draft")
    for name in names:
        (catalog_path.parent / name).write_bytes(b"half")
    Library.open_for_writing(catalog_path).close()
    assert not any((catalog_path.parent / name).exists() for name in names)


def test_an_index_that_is_behind_catches_up(catalog_path: Path) -> None:
    old = {path: path.read_bytes() for path in catalog_path.parent.glob("catalog.vectors*")}
    with closing(Library.open_for_writing(catalog_path)) as library:
        with library.catalog.writing() as connection:
            writer.set_status(connection, [3, 4], TrackStatus.REMOVED)
            writer.set_status(connection, [4], TrackStatus.PRESENT)
    for path, content in old.items():
        path.write_bytes(content)
    assert answers(catalog_path)[0] == [1, 2, *range(4, 13)]


def test_a_reader_sees_what_is_written_while_it_is_open(catalog_path: Path) -> None:
    with closing(Library.open(catalog_path)) as reader:
        with closing(Library.open_for_writing(catalog_path)) as library:
            with library.catalog.writing() as connection:
                writer.set_status(connection, [5], TrackStatus.MISSING)
        assert reader.refresh() == 1
        assert reader.index is not None
        assert len(reader.index) == 11


def test_verify_finds_what_rebuild_mends(catalog_path: Path) -> None:
    with closing(Library.open_for_writing(catalog_path)) as library:
        assert library.index is not None
        library.index.remove([1])
        library.index.add([99], library.index.reconstruct([2]))
        library.index.add([3], library.index.reconstruct([2]))
        report = library.verify()
        assert (report.not_in_index, report.not_in_catalog) == ((1,), (99,))
        assert report.other_vector == (3,)
        assert library.rebuild() == 12
        assert library.verify().sound


@pytest.mark.parametrize("name", ["x.vectors", "music.v1"])
def test_a_catalog_of_any_name_has_an_index_of_its_own(catalog_path: Path, name: str) -> None:
    place = catalog_path.rename(catalog_path.with_name(name))
    with closing(Library.open_for_writing(place)) as library:
        assert library.rebuild() == 12
    with closing(Library.open(place)) as library:
        assert library.verify().sound


def test_the_lock_sees_through_links(catalog_path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(catalog_path)
    with closing(Library.open_for_writing(catalog_path)), pytest.raises(CatalogLocked):
        Library.open_for_writing(link)


def test_two_runs_at_once_are_refused(
    catalog_path: Path, original_songs: Path, pool: AnalysisPool
) -> None:
    with closing(Library.open_for_writing(catalog_path)) as library:
        with pytest.raises(CatalogLocked, match=f"process {os.getpid()}"):
            Library.open_for_writing(catalog_path)
        assert index_paths(library, [original_songs], pool=pool).unchanged == 12


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "small disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1000k", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no mount command here")
    if done.returncode != 0:
        pytest.skip("mounting a small tmpfs is not allowed here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_said_and_loses_nothing_that_was_stored(
    small_disk: Path, original_songs: Path, songs: Path, pool: AnalysisPool
) -> None:
    catalog = small_disk / "catalog.db"
    (songs / "album 1").rename(songs.parent / "later")
    with closing(Library.open_for_writing(catalog, create=True)) as library:
        index_paths(library, [songs], pool=pool)
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(512))
    (songs.parent / "later").rename(songs / "album 1")
    with pytest.raises(CatalogFull, match="free some space"):
        with closing(Library.open_for_writing(catalog)) as library:
            index_paths(library, [songs], pool=pool)
    filler.unlink()
    with closing(Library.open(catalog)) as library:
        assert library.catalog.counts()["present"] == 6
        assert library.catalog.damage() == []
    with closing(Library.open_for_writing(catalog)) as library:
        index_paths(library, [songs], pool=pool)
        assert library.catalog.counts()["present"] == 12
        assert library.verify().damage == ()
