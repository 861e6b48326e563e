from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.indexer.catalog.fault_run import count_points

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
@pytest.mark.timeout(900)  # it starts hundreds of processes
@pytest.mark.skipif(sys.platform != "linux", reason="faults are injected by LD_PRELOAD")
def test_a_fault_at_any_write_of_a_change_leaves_a_whole_catalog(tmp_path: Path) -> None:
    changes = ("remove", "fail", "add", "rebuild", "base", "next base")
    points = count_points(*changes, folder=tmp_path)
    assert all(points[change] >= 3 * 3 for change in changes), points
