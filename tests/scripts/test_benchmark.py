"""The benchmark on tiny sizes: what it measures is there and adds up; how fast is not judged."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import benchmark
import numpy as np
import pytest
from benchmarks import (
    analysis,
    decoding,
    machine,
    million,
    mpd_queue,
    peers,
    pgvector,
    sizes,
    sounds,
    stages,
)
from benchmarks.setting import Setting, Sizes
from benchmarks.table import Table, plain_text

from indexer.audio.container import open_file
from indexer.audio.reading import read_facts
from tests.postgres import embedded_or_skip

TINY = Sizes(
    clip_s=4,
    track_s=6,
    composed_s=2,
    runs=1,
    worker_files=3,
    worker_rounds=1,
    ordinary_s=8,
    long_s=20,
    long_formats=("mp3",),
    memory_runs=1,
    index_counts=(300,),
    catalog_counts=(300,),
    million_counts=(300, 600),
    pgvector_count=600,
    sized_tracks=300,
    rescans=1,
    queries=10,
    start_runs=1,
)


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    made = Setting(TINY, 0, tmp_path_factory.mktemp("benchmark"))
    sounds.compose(made.music, 8, composed=TINY.composed_s, seed=0)
    return made


@pytest.fixture
def empty_temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_report_is_complete_fit_for_json_and_leaves_no_files(empty_temp: Path) -> None:
    text: list[str] = []
    report = benchmark.measure(["queries"], sizes=TINY, seed=0, say=text.append)
    assert "MMR alone" in text[-2]
    assert json.loads(json.dumps(report)).keys() == report.keys()
    assert set(report) == {"machine", "sizes", "seed", "tables"}
    assert list(report["tables"]) == ["queries"]
    assert report["machine"].keys() == machine.machine_facts().keys()
    searches, asked, options = report["tables"]["queries"]
    recall = searches["columns"].index("recall@10")
    assert [row[recall] for row in searches["rows"]] == [1.0] * 9
    assert [row[0] for row in options["rows"]] == [300] * 7
    assert [row[0] for row in asked["rows"]] == [300]
    assert list(empty_temp.iterdir()) == []


def test_every_format_is_analysed_and_its_stages_make_up_the_total(setting: Setting) -> None:
    (table,) = analysis.measure(setting)
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert [row["format"] for row in rows] == 2 * [form.label for form in sounds.FORMATS]
    for row in rows:
        parts = [row[stage] for stage in stages.STAGES]
        assert min(parts) > 0
        # Reading the tags is all that no stage counts.
        assert 0.5 * row["total"] < sum(parts) <= row["total"]


def test_windows_of_every_format_and_length_are_measured(setting: Setting) -> None:
    (table,) = decoding.measure(setting)
    formats = [form.label for form in (*sounds.FORMATS, *sounds.RARER_FORMATS)]
    assert [row[0] for row in table.rows] == [*formats, *formats, "MP3 192k"]
    assert table.rows[-1][1] == "20 s"
    for row in table.rows:
        dear, all_of_it = row[3:5]
        assert row[2] > 0
        assert row[5] == pytest.approx(dear / all_of_it)


@pytest.mark.slow
def test_tables_that_start_processes_are_measured_in_the_order_of_all_tables(
    empty_temp: Path,
) -> None:
    report = benchmark.measure(
        ["start", "memory", "rescans", "workers"], sizes=TINY, seed=0, say=lambda _text: None
    )
    assert list(report["tables"]) == ["workers", "memory", "rescans", "start"]
    (workers,) = report["tables"]["workers"]
    assert all(cell > 0 for row in workers["rows"] for cell in row[1:])
    (memory,) = report["tables"]["memory"]
    assert len(memory["rows"]) == 3 * len(TINY.long_formats)
    peak = memory["columns"].index("peak MB")
    assert all(10 < row[peak] < 2_000 for row in memory["rows"])
    rescans, peaks = report["tables"]["rescans"]
    assert all(cell > 0 for row in rescans["rows"] for cell in row[2:5])
    assert all(20 < row[1] <= row[2] <= row[3] < 500 for row in peaks["rows"])
    (starts,) = report["tables"]["start"]
    assert [row[0] for row in starts["rows"]][1:] == ["import recommender", "soundalike --help"]
    assert all(row[1] > 0 for row in starts["rows"])
    assert list(empty_temp.iterdir()) == []


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
def test_a_file_and_a_server_are_asked_the_same(setting: Setting) -> None:
    embedded_or_skip()
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


def test_the_queue_of_a_player_is_filled_without_repeats(setting: Setting) -> None:
    if shutil.which("mpd") is None:
        pytest.skip("mpd is not installed (Debian: apt-get install mpd)")
    (table,) = mpd_queue.measure(setting)
    (row,) = (dict(zip(table.columns, row, strict=True)) for row in table.rows)
    assert (row["tracks"], row["songs"], row["repeated"]) == (300, TINY.queries, 0)
    assert 0 < row["p50"] <= row["p99"] <= row["most"]


def test_files_made_of_the_same_packets_last_as_long_as_asked_and_are_other_recordings(
    setting: Setting, tmp_path: Path
) -> None:
    music = sounds.load(setting.music, 4)
    rng = np.random.default_rng(0)
    frames = sounds.mp3_frames(music)
    drawn = [
        read_facts(sounds.drawn_mp3(tmp_path / f"{number}.mp3", frames, 25, rng=rng))
        for number in range(3)
    ]
    assert [facts.duration_s for facts in drawn] == pytest.approx([25, 25, 25], abs=0.1)
    assert len({facts.audio_hash for facts in drawn}) == 3
    for suffix in ("m4a", "opus"):
        once = sounds.encode(tmp_path / f"once.{suffix}", music, sounds.BY_SUFFIX[suffix])
        with open_file(sounds.repeated(tmp_path / f"long.{suffix}", once, 30)) as long:
            assert long.facts.duration_s == pytest.approx(30, abs=0.3)
            # It can be entered anywhere, as a file of that length from an encoder can.
            assert long.packets is not None


def test_a_table_is_printed_with_numbers_to_the_right() -> None:
    table = Table("Title", ("what", "n"), (("a", 1_234_567), ("bc", 0.5), ("d", None)), "a note")
    assert plain_text(table).splitlines() == [
        "Title",
        "",
        "what          n",
        "----  ---------",
        "a     1,234,567",
        "bc        0.500",
        "d             -",
        "* a note",
    ]


def test_an_unknown_table_and_a_missing_model_are_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as ended:
        benchmark.main(["disks"])
    assert ended.value.code == 2
    assert "disks" in capsys.readouterr().err
    monkeypatch.setattr("indexer.models.registry.SHIPPED", tmp_path)
    before = signal.getsignal(signal.SIGTERM)
    assert benchmark.main(["start", "--quick"]) == 1
    assert "the model soundalike is not on this machine" in capsys.readouterr().err
    signal.signal(signal.SIGTERM, before)


@pytest.mark.slow
def test_a_run_that_is_told_to_end_leaves_no_files(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, benchmark.__file__, "rescans", "--quick"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        until = time.monotonic() + 60
        while not list(tmp_path.glob("*/rescans*/music")):
            assert running.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
        running.terminate()
        _, said = running.communicate(timeout=30)
    assert running.returncode == 130
    assert said == "benchmark: interrupted\n"
    assert list(tmp_path.iterdir()) == []
