from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np

from indexer.catalog import writer
from indexer.catalog.status import TrackStatus
from indexer.library import Library
from recommender.retrieval.snapshot import take_snapshot
from tests.catalogs import Planted, plant

if TYPE_CHECKING:
    from pathlib import Path


def remove(path: Path, ids: list[int]) -> None:
    with closing(Library.open_for_writing(path)) as library:
        with library.catalog.writing() as connection:
            writer.set_status(connection, ids, TrackStatus.REMOVED)


def test_statistics_are_kept_while_hardly_anything_changes(tmp_path: Path) -> None:
    path = plant(tmp_path, ("piano",), [Planted(f"Song {number}") for number in range(400)])
    with closing(Library.open(path)) as library:
        first = take_snapshot(library)
        median = first.median_random_cosine
        remove(path, [1, 2, 3])
        few = take_snapshot(library, first)
        assert few is not first
        assert len(few.index) == 397
        assert few.statistics is first.statistics
        remove(path, [4, 5])
        more = take_snapshot(library, few)
        assert more.statistics is not first.statistics
        anew = take_snapshot(library)
        assert more.median_random_cosine == anew.median_random_cosine
        assert np.isclose(more.median_random_cosine, median, atol=0.1)


def test_in_a_small_library_every_change_counts(tmp_path: Path) -> None:
    path = plant(tmp_path, ("piano",), [Planted(f"Song {number}") for number in range(20)])
    with closing(Library.open(path)) as library:
        first = take_snapshot(library)
        remove(path, [1])
        assert take_snapshot(library, first).statistics is not first.statistics
