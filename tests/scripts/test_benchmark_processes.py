"""Tables of the benchmark that start processes, on tiny sizes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import benchmark
import pytest

from tests.scripts.tiny_benchmark import TINY
from tests.waiting import LIMIT_S, wait_for_file


def measured(*names: str) -> dict[str, Any]:
    """Tables by name."""
    report = benchmark.measure(names, sizes=TINY, seed=0, say=lambda _text: None)
    tables: dict[str, Any] = report["tables"]
    return tables


@pytest.mark.slow
def test_memory_and_starts_are_measured_in_the_order_of_all_tables(empty_temp: Path) -> None:
    tables = measured("start", "memory")
    assert list(tables) == ["memory", "start"]
    (memory,) = tables["memory"]
    assert len(memory["rows"]) == 3 * len(TINY.long_formats)
    peak = memory["columns"].index("peak MB")
    assert all(10 < row[peak] < 2_000 for row in memory["rows"])
    (starts,) = tables["start"]
    assert [row[0] for row in starts["rows"]][1:] == ["import recommender", "soundalike --help"]
    assert all(row[1] > 0 for row in starts["rows"])
    assert list(empty_temp.iterdir()) == []


@pytest.mark.slow
def test_rescans_are_measured(empty_temp: Path) -> None:
    rescans, peaks = measured("rescans")["rescans"]
    assert all(cell > 0 for row in rescans["rows"] for cell in row[2:5])
    assert all(20 < row[1] <= row[2] <= row[3] < 500 for row in peaks["rows"])
    assert list(empty_temp.iterdir()) == []


@pytest.mark.slow
def test_workers_are_measured(empty_temp: Path) -> None:
    (workers,) = measured("workers")["workers"]
    assert all(cell > 0 for row in workers["rows"] for cell in row[1:])
    assert list(empty_temp.iterdir()) == []


@pytest.mark.slow
def test_a_run_that_is_told_to_end_leaves_no_files(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, benchmark.__file__, "rescans", "--quick"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        wait_for_file(running, tmp_path, "*/rescans*/music")
        running.terminate()
        _, said = running.communicate(timeout=LIMIT_S)
    assert running.returncode == 130
    assert said == "benchmark: interrupted\n"
    assert list(tmp_path.iterdir()) == []
