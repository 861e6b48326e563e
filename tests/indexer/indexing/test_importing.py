"""Analyses as rows of Arrow, and their way into a catalog."""

from __future__ import annotations

import os
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

from indexer.analysis.arrow_rows import COLUMNS, analyse_paths, schema
from indexer.catalog.schema import Base
from indexer.catalog.status import TrackStatus
from indexer.catalog.storing import Stored
from indexer.catalog.writer import set_status
from indexer.errors import BadAnalyses, ModelMismatch
from indexer.indexing.exporting import export_analyses
from indexer.indexing.importing import Imported, import_analyses
from indexer.indexing.pipeline import index_paths
from indexer.library import Library
from tests import sounds

if TYPE_CHECKING:
    from pathlib import Path

    from indexer.analysis.pools import AnalysisPool
    from indexer.indexing.pipeline import Summary


@pytest.fixture(scope="module")
def original_rows(
    original_songs: Path, tmp_path_factory: pytest.TempPathFactory, pool: AnalysisPool
) -> pa.Table:
    """The twelve songs as rows."""
    paths = sorted(original_songs.rglob("*.*"))
    return pa.Table.from_batches(
        analyse_paths(paths, root=original_songs, batch_rows=5, pool=pool), schema()
    )


OWN = (
    "uuid",
    "created_at",
    "added_at",
    "failed_at",
    "digest",
    "change",
    "facets_change",
    "seen_from",
)
"""Columns that differ between two catalogs of the same files."""


@pytest.fixture
def rows(original_rows: pa.Table) -> list[dict[str, Any]]:
    """The rows, to be changed at will."""
    return original_rows.to_pylist()


def write(path: Path, rows: list[dict[str, Any]] | pa.Table, columns: Any = None) -> Path:
    is_table = isinstance(rows, pa.Table)
    pq.write_table(rows if is_table else pa.Table.from_pylist(rows, columns or schema()), path)
    return path


def run(catalog: Path | str, *files: Path, **options: Any) -> Imported:
    with closing(Library.open_for_writing(catalog, create=True)) as library:
        return import_analyses(library, files, **options)


def index(catalog: Path | str, folder: Path, pool: AnalysisPool) -> Summary:
    with closing(Library.open_for_writing(catalog, create=True)) as library:
        return index_paths(library, [folder], pool=pool)


def content(catalog: Path | str, *left_out: str) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables, without some columns."""
    found = {}
    with closing(Library.open(catalog)) as library, library.catalog.reading() as connection:
        for table in Base.metadata.sorted_tables:
            columns = [column for column in table.columns if column.name not in left_out]
            found[table.name] = sorted(map(tuple, connection.execute(select(*columns))), key=repr)
    return found


def test_an_import_makes_the_catalog_that_indexing_makes(
    address: str,
    tmp_path: Path,
    original_catalog: Path,
    original_songs: Path,
    original_rows: pa.Table,
    pool: AnalysisPool,
) -> None:
    catalog, file = address, write(tmp_path / "analyses.parquet", original_rows)
    assert run(catalog, file).stored == {Stored.NEW: 12}
    assert content(catalog, *OWN) == content(original_catalog, *OWN)
    with closing(Library.open(catalog)) as library:
        assert library.verify().sound
    assert index(catalog, original_songs, pool).unchanged == 12


def test_importing_twice_changes_nothing(
    address: str, tmp_path: Path, rows: list[dict[str, Any]], pool: AnalysisPool
) -> None:
    bad = [sounds.text_file(tmp_path / "bad.mp3"), sounds.empty_file(tmp_path / "empty.wav")]
    failed = pa.Table.from_batches(analyse_paths([*bad, tmp_path / "none.mp3"], pool=pool))
    assert failed["stage"].to_pylist() == ["open", "open", "open"]
    assert failed["reason"].to_pylist() == ["not audio", "not audio", "unreadable"]
    file = write(tmp_path / "analyses.parquet", [*rows, *failed.to_pylist()])
    catalog = address
    first = run(catalog, file)
    assert (first.stored[Stored.NEW], first.failed, first.refused) == (12, 2, 1)
    before = content(catalog)
    second = run(catalog, file, batch_rows=3)
    assert (second.counts()["unchanged"], second.refused) == (14, 1)
    assert second.done == 15
    assert content(catalog) == before


def test_copies_that_this_machine_does_not_see_stay_two_tracks(
    address: str, tmp_path: Path, rows: list[dict[str, Any]]
) -> None:
    elsewhere = [
        row | {"root": folder, "path": folder + b"/" + os.path.basename(row["path"])}
        for folder in (b"/no/such/folder", b"/no/other")
        for row in rows
    ]
    file, catalog = write(tmp_path / "analyses.parquet", elsewhere), address
    assert run(catalog, file).stored == {Stored.NEW: 24}
    before = content(catalog)
    assert len(before["recordings"]) == 12
    assert run(catalog, file).counts()["unchanged"] == 24
    assert content(catalog) == before


def test_a_vanished_file_is_found_again_under_its_new_path(
    tmp_path: Path, songs: Path, pool: AnalysisPool
) -> None:
    catalog, folder = tmp_path / "catalog.db", songs / "album 0"
    index(catalog, folder, pool)
    (folder / "00.wav").rename(folder / "new name.wav")
    batches = analyse_paths([folder / "new name.wav"], root=folder, pool=pool)
    file = write(tmp_path / "analyses.parquet", pa.Table.from_batches(batches))
    before = content(catalog)
    with closing(Library.open_for_writing(catalog)) as library:
        row = library.catalog.track_by_key("00.wav")
        assert row is not None
        with library.catalog.writing() as connection:
            set_status(connection, [row.id], TrackStatus.MISSING)
    assert run(catalog, file).stored == {Stored.MOVED: 1}
    assert len(content(catalog)["tracks"]) == len(before["tracks"])


def test_a_removed_track_stays_removed(
    tmp_path: Path, catalog_path: Path, original_rows: pa.Table
) -> None:
    with closing(Library.open_for_writing(catalog_path)) as library:
        with library.catalog.writing() as connection:
            set_status(connection, [3, 4], TrackStatus.REMOVED)
    before = content(catalog_path)
    imported = run(catalog_path, write(tmp_path / "analyses.parquet", original_rows))
    assert (imported.removed, imported.counts()["unchanged"]) == (2, 10)
    assert content(catalog_path) == before


def test_a_failure_says_nothing_against_a_file_that_was_analysed_here(
    tmp_path: Path, catalog_path: Path, rows: list[dict[str, Any]]
) -> None:
    kept = ("path", "root", "size", "mtime_ns", "model", "fingerprint", "windows_per_track")
    failure = {"stage": "worker", "reason": "timed out", "message": "it took longer"}
    late = [{name: row[name] for name in kept} | failure for row in rows[:2]]
    late[1]["size"] += 1
    imported = run(catalog_path, write(tmp_path / "analyses.parquet", late))
    assert (imported.known, imported.failed) == (1, 1)
    # The file that had another size is analysed where it is whole.
    assert run(catalog_path, write(tmp_path / "again.parquet", rows)).stored == {
        Stored.TOUCHED: 11,
        Stored.RETURNED: 1,
    }


@pytest.mark.parametrize("wrong", ["fingerprint", "model"])
def test_rows_of_another_model_are_refused_before_anything_is_written(
    tmp_path: Path, catalog_path: Path, rows: list[dict[str, Any]], wrong: str
) -> None:
    rows[7] |= {"model": "musicnn", "fingerprint": "0" * 64}
    if wrong == "model":
        rows[7]["fingerprint"] = None
    file = write(tmp_path / "analyses.parquet", rows)
    for catalog in (catalog_path, tmp_path / "new.db"):
        with pytest.raises(ModelMismatch, match=r"another model, musicnn \(.*\): analyse its"):
            run(catalog, file)
    assert content(tmp_path / "new.db")["tracks"] == []


def test_a_row_that_cannot_be_an_analysis_is_left_out_and_counted(
    tmp_path: Path, rows: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    vector, infinite = np.array(rows[0]["vector"]), np.array(rows[0]["vector"])
    infinite[3] = np.inf
    faults: list[dict[str, Any]] = [
        {"vector": vector[:-1]},
        {"vector": infinite},
        {"vector": [None, *vector[1:]]},
        {"vector": None},
        {"vector": vector * 2},
        {"activations": []},
        {"activations": np.full(len(rows[0]["activations"]), 1.5)},
        {"path": None},
        {"path": b"relative.mp3"},
        {"path": b"/with\0nul.mp3"},
        {"size": None},
        {"size": -1},
        {"audio_hash": b"short"},
        {"codec": None},
        {"duration_s": np.nan},
        {"title": "with \0 NUL"},
        {"artists": ["a", None]},
        {"musical_key": "H dur"},
        {"tempo_bpm": np.inf},
        {"key_confidence": None},
        {"stage": "open", "reason": "bored", "message": "it was"},
        {"stage": "x" * 40, "reason": "silent", "message": "it was"},
        {"stage": "open", "reason": "silent", "message": None},
    ]
    twice = [rows[0], rows[0]]
    bad = [rows[1] | {"path": b"/bad/%d" % number} | fault for number, fault in enumerate(faults)]
    file = write(tmp_path / "analyses.parquet", [*bad, *rows, *twice])
    imported = run(tmp_path / "catalog.db", file)
    assert imported.stored == {Stored.NEW: 12}
    assert imported.refused == len(faults) + 2
    assert imported.done == len(faults) + 14
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 6
    assert "row 1 of " in said[0]
    assert said[0].endswith("is left out: its vector has 191 numbers and not 192")
    assert said[-1] == "25 rows were refused in all"
    with closing(Library.open(tmp_path / "catalog.db")) as library:
        assert library.verify().sound


def test_files_that_are_no_analyses_are_one_sentence_each(
    tmp_path: Path, original_rows: pa.Table
) -> None:
    good = write(tmp_path / "good.parquet", original_rows).read_bytes()
    cut, text = tmp_path / "cut.parquet", sounds.text_file(tmp_path / "text.parquet")
    cut.write_bytes(good[: len(good) // 2])
    lacking = write(tmp_path / "lacking.parquet", original_rows.drop_columns(["vector"]))
    other = original_rows.set_column(
        COLUMNS.index("size"), "size", pa.array(["a lot"] * 12, pa.string())
    )
    odd = write(tmp_path / "odd.parquet", other)
    (tmp_path / "empty").mkdir()
    catalog = tmp_path / "catalog.db"
    for file, message in (
        (cut, "cannot be read"),
        (text, "cannot be read"),
        (lacking, "has no column 'vector'"),
        (odd, "cannot be read as rows of analyses"),
        (tmp_path / "empty", "holds no file"),
        (tmp_path / "none.parquet", "is not there"),
    ):
        with pytest.raises(BadAnalyses, match=message) as raised:
            run(catalog, tmp_path / "good.parquet", file)
        assert "\n" not in str(raised.value)


def test_damage_in_the_middle_keeps_what_was_stored_before(
    tmp_path: Path, original_rows: pa.Table
) -> None:
    file, catalog = tmp_path / "analyses.parquet", tmp_path / "catalog.db"
    pq.write_table(original_rows, file, row_group_size=4, write_page_checksum=True)
    good = file.read_bytes()
    group = pq.ParquetFile(file).metadata.row_group(2)
    (place,) = (
        column
        for column in map(group.column, range(group.num_columns))
        if column.path_in_schema.startswith("vector.")
    )
    data = bytearray(good)
    data[place.data_page_offset + place.total_compressed_size // 2] ^= 0xFF
    file.write_bytes(data)
    with pytest.raises(BadAnalyses, match="cannot be read"):
        run(catalog, file, batch_rows=4)
    assert len(content(catalog)["tracks"]) == 8
    file.write_bytes(good)
    assert run(catalog, file).stored == {Stored.TOUCHED: 8, Stored.NEW: 4}


def test_an_interrupted_import_goes_on_where_it_stopped(
    address: str, tmp_path: Path, original_catalog: Path, original_rows: pa.Table
) -> None:
    catalog, parts = address, tmp_path / "analyses.parquet"
    parts.mkdir()  # as Spark writes it
    (parts / "_SUCCESS").touch()
    for number, start in enumerate(range(0, 12, 4)):
        write(parts / f"part-{number}.snappy.parquet", original_rows.slice(start, 4))
    asked = iter([False, False, True])
    seen: list[tuple[int, int]] = []
    first = run(
        catalog,
        parts,
        batch_rows=3,
        interrupted=lambda: next(asked),
        on_progress=lambda done, total: seen.append((done, total)),
    )
    assert (first.done, first.waiting) == (7, 5)
    assert seen == [(3, 12), (4, 12), (7, 12)]
    second = run(catalog, parts)
    assert second.stored == {Stored.TOUCHED: 7, Stored.NEW: 5}
    assert content(catalog, *OWN) == content(original_catalog, *OWN)


def test_other_engines_may_write_other_types_of_the_same_numbers(
    tmp_path: Path, original_catalog: Path, original_rows: pa.Table
) -> None:
    kinds = {"vector": pa.list_(pa.float64()), "path": pa.large_binary(), "size": pa.int32()}
    kinds |= {"title": pa.large_string(), "activations": pa.list_(pa.float16())}
    columns = pa.schema([(one.name, kinds.get(one.name, one.type)) for one in schema()])
    file = write(tmp_path / "a.parquet", original_rows.cast(columns).select([*COLUMNS][::-1]))
    assert run(tmp_path / "catalog.db", file).stored == {Stored.NEW: 12}
    assert content(tmp_path / "catalog.db", *OWN) == content(original_catalog, *OWN)


def test_a_folder_is_analysed_into_a_file(
    tmp_path: Path, songs: Path, original_catalog: Path, pool: AnalysisPool
) -> None:
    sounds.text_file(songs / "album 0" / "bad.mp3")
    file, catalog = tmp_path / "analyses.parquet", tmp_path / "catalog.db"
    written = export_analyses([songs], file, pool=pool)
    assert (written.rows, written.failed, written.waiting) == (13, 1, 0)
    imported = run(catalog, file)
    assert (imported.stored[Stored.NEW], imported.failed) == (12, 1)
    made, other = content(catalog), content(original_catalog)
    assert made["embeddings"] == other["embeddings"]
    assert [row[0] for row in made["roots"]] == [os.fsencode(songs)]
    assert [row[1] for row in made["tracks"]] == [row[1] for row in other["tracks"]]


def test_an_interrupted_analysis_leaves_a_whole_file(
    tmp_path: Path, songs: Path, pool: AnalysisPool
) -> None:
    asked = 0

    def interrupted() -> bool:
        nonlocal asked
        asked += 1
        return asked > 5

    file = tmp_path / "analyses.parquet"
    written = export_analyses([songs], file, pool=pool, interrupted=interrupted)
    assert 0 < written.rows < 12
    assert written.rows + written.waiting == 12
    assert pq.read_metadata(file).num_rows == written.rows


def test_paths_are_read_as_workers_become_free(original_songs: Path, pool: AnalysisPool) -> None:
    taken: list[Path] = []

    def endless() -> Any:
        while True:
            taken.append(original_songs / "album 0" / "02.mp3")
            yield taken[-1]

    batches = list(islice(analyse_paths(endless(), batch_rows=2, pool=pool), 2))
    assert [batch.num_rows for batch in batches] == [2, 2]
    assert len(taken) < 12
