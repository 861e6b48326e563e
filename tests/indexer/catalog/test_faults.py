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
def test_a_fault_at_any_write_while_a_catalog_is_made_leaves_none_or_a_whole_one(
    tmp_path: Path,
) -> None:
    assert count_points("create", folder=tmp_path)["create"] >= 3 * 8
