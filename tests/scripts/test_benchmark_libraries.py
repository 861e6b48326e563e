"""Tables of the benchmark about whole libraries, on tiny sizes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks import million, peers, pgvector, sizes
from benchmarks.setting import Setting

from tests.postgres import embedded_or_skip
from tests.scripts.tiny_benchmark import TINY


@pytest.mark.slow
def test_two_sizes_of_catalog_stand_beside_each_other(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(million, "READERS", 1)
    monkeypatch.setattr(peers, "NAMES", ())
    asked, opened, memory, added, rescanned = million.measure(setting)
    rows = [dict(zip(asked.columns, row, strict=True)) for row in asked.rows]
    labels = {str(row["question"]) for row in rows}
    assert len(labels) == 13
    assert [row["tracks"] for row in rows] == len(labels) * [300, 600]
    assert all(row["recall"] == 1.0 for row in rows if "filter" in str(row["question"]))
    assert all(row["p50"] * row["growth"] > 0 for row in rows[1::2])
    assert [row[:2] for row in opened.rows] == [("this code", 300), ("this code", 600)]
    private = memory.columns.index("private")
    assert all(10 < row[private] < 500 for row in memory.rows)
    assert all(row[added.columns.index("seen in ms")] > 0 for row in added.rows)
    assert [row[:2] for row in rescanned.rows[2:]] == [("this code", 300), ("this code", 600)]


@pytest.mark.slow
def test_a_file_and_a_server_are_asked_the_same(tmp_path: Path) -> None:
    embedded_or_skip()
    # How many lists are read differs from build to build; some of so many questions miss something.
    setting = Setting(replace(TINY, queries=100), 0, tmp_path)
    built, asked = pgvector.measure(setting)
    assert [row[0] for row in built.rows] == ["a file", "a server"]
    rows = [dict(zip(asked.columns, row, strict=True)) for row in asked.rows]
    assert len(rows) == 2 + 4 * 6
    assert all(row["recall@10"] >= 0.9 for row in rows if str(row["by"]).startswith("a "))
    alone = [row["recall@10"] for row in rows if row["of"] == "style" and "alone" in row["by"]]
    assert min(alone) < 1.0


@pytest.mark.slow
def test_bytes_are_counted_in_files_and_on_a_server(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded_or_skip()
    monkeypatch.setenv("SOUNDALIKE_CACHE", str(setting.folder))  # put back afterwards
    (table,) = sizes.measure(setting)
    kept = dict(table.rows)
    assert kept["SQLite: embeddings"] > 2 * (192 + 200)
    assert kept["PostgreSQL: embeddings"] > 2 * (192 + 200)
    assert kept["PostgreSQL: vectors with pgvector's lists"] > 2 * 192
    assert kept["file of vectors (codes and float16)"] > 2 * 192
