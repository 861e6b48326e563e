"""The demo library through the whole house: neighbours are mostly of the seed's style."""

from __future__ import annotations

import csv
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from indexer.indexing.pipeline import index_paths
from indexer.library import Library
from recommender import Recommender

if TYPE_CHECKING:
    from indexer.analysis.pools import AnalysisPool

ROOT = Path(__file__).parents[1]
PIECES = 3
"""Of each style; the whole library has six, and takes twice as long to compose."""


@pytest.mark.slow
def test_neighbours_in_the_demo_library_are_mostly_of_the_seeds_style(
    tmp_path: Path, pool: AnalysisPool
) -> None:
    library, upload, truth = (tmp_path / name for name in ("library", "up.mp3", "truth.csv"))
    script = ROOT / "scripts" / "make_demo_library.py"
    command = [sys.executable, script, library, "--upload", upload, "--truth", truth]
    subprocess.run([*command, "--pieces-per-style", str(PIECES), "--jobs", "1"], check=True)
    with closing(Library.open_for_writing(tmp_path / "catalog.db", create=True)) as opened:
        index_paths(opened, [library], pool=pool)
    with truth.open(newline="", encoding="utf-8") as file:
        style = {row["path"]: row["style"] for row in csv.DictReader(file)}
    assert len(set(style.values())) == 8
    with Recommender.open(tmp_path / "catalog.db") as recommender:
        assert len(recommender) == 8 * PIECES
        shares = []
        for key, own in style.items():
            answer = recommender.similar_to_track(key, PIECES - 1)
            shares.append(sum(style[one.key] == own for one in answer) / len(answer))
        assert sum(shares) / len(shares) >= 0.8
        new = recommender.similar_to_file(upload, PIECES)
        assert sum(style[one.key] == "Folk" for one in new) >= 2
