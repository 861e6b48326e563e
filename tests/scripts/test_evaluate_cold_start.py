from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cold_start.speed import compare, upload

from tests.catalogs import Planted, plant

ROOT = Path(__file__).parents[2]


def test_an_export_that_takes_too_much_memory_fails(tmp_path: Path) -> None:
    catalog = plant(tmp_path, ("loud",), [Planted("T 1", vector=[1.0] * 8)])
    code = (
        "import sys; sys.path.insert(0, 'scripts')\n"
        "from pathlib import Path\n"
        "from cold_start.memory import export_within\n"
        f"print(export_within(Path({str(catalog)!r}), Path({str(tmp_path / 'out.npz')!r}), "
        "limit_mb=int(sys.argv[1]))[0])"
    )
    for limit, leaves in (("4000", 0), ("50", 1)):
        done = subprocess.run(
            [sys.executable, "-c", code, limit], capture_output=True, text=True, cwd=ROOT
        )
        assert done.returncode == leaves, done.stderr
        assert (tmp_path / "out.npz").exists()
    assert done.stdout == ""


def test_both_sides_of_the_speed_test_run() -> None:
    theirs, ours = compare(users=20, items=300, factors=4, rounds=2)
    assert len(theirs) == len(ours) == 2
    assert min(theirs + ours) > 0


@pytest.mark.slow
def test_uploads_are_timed_until_they_are_served(
    original_catalog: Path, original_songs: Path
) -> None:
    song = sorted(original_songs.rglob("*.mp3"))[0]
    seconds = upload(original_catalog, song, rounds=2)
    assert len(seconds) == 2
    assert min(seconds) > 0
