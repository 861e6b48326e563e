"""Indexing and answering from sound: neighbours in the demo library are of the seed's style."""

from __future__ import annotations

import csv
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from indexer.indexing.pipeline import index_paths
from indexer.library import Library
from recommender import Recommender

if TYPE_CHECKING:
    from pathlib import Path

    from indexer.analysis.pools import AnalysisPool

PIECES = 2
"""Of each style in `demo_library`."""


@pytest.mark.slow
def test_neighbours_in_the_demo_library_are_mostly_of_the_seeds_style(
    tmp_path: Path, demo_library: Path, pool: AnalysisPool
) -> None:
    with closing(Library.open_for_writing(tmp_path / "catalog.db", create=True)) as opened:
        index_paths(opened, [demo_library / "library"], pool=pool)
    with (demo_library / "truth.csv").open(newline="", encoding="utf-8") as file:
        style = {row["path"]: row["style"] for row in csv.DictReader(file)}
    assert len(set(style.values())) == 8
    with Recommender.open(tmp_path / "catalog.db") as recommender:
        assert len(recommender) == 8 * PIECES
        shares = []
        for key, own in style.items():
            answer = recommender.similar_to_track(key, PIECES - 1)
            shares.append(sum(style[one.key] == own for one in answer) / len(answer))
        assert sum(shares) / len(shares) >= 0.8
        new = recommender.similar_to_file(demo_library / "upload.mp3", PIECES)
        assert sum(style[one.key] == "Folk" for one in new) >= 2
