"""The benchmark on tiny sizes: what it measures is there and adds up; how fast is not judged."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import benchmark
import numpy as np
import pytest
from benchmarks import analysis, decoding, machine, mpd_queue, sounds, stages
from benchmarks.setting import Setting
from benchmarks.table import Table, plain_text

from indexer.audio.container import open_file
from indexer.audio.reading import read_facts
from tests.scripts.tiny_benchmark import TINY


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


def test_every_table_is_found_wherever_the_command_is_called(tmp_path: Path) -> None:
    script = Path(benchmark.__file__)
    code = (
        "import sys; from importlib import import_module; sys.path[0] = sys.argv[1]; "
        "import benchmark; [import_module('benchmarks.' + name) for name in benchmark.TABLES]"
    )
    command = [sys.executable, "-c", code, script.parent]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


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
