from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests import faults


@pytest.mark.slow
@pytest.mark.timeout(900)  # it starts hundreds of processes
@pytest.mark.skipif(sys.platform != "linux", reason="faults are injected by LD_PRELOAD")
def test_a_fault_at_any_write_leaves_a_whole_catalog(tmp_path: Path) -> None:
    library = faults.compile_library(tmp_path)
    if library is None:
        pytest.skip("there is no C compiler to build the fault injection with")
    # A disk in memory, where there is one: each of some hundred changes is forced to disk.
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as folder:
        done = _run_all(library, folder)
    assert done.returncode == 0, done.stderr
    points = json.loads(done.stdout)
    assert points["create"] >= 3 * 8
    assert all(count >= 3 * 3 for count in points.values()), points


def _run_all(library: Path, folder: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.indexer.catalog.fault_run", folder],
        env=os.environ | {"LD_PRELOAD": str(library), faults.LIBRARY: str(library)},
        capture_output=True,
        text=True,
    )
