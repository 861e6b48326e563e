"""Files of every container with random damage: none is lost, and none has an unforeseen reason."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np

from indexer.indexing.pipeline import index_paths
from indexer.library import Library
from tests.damage import write_mutated

if TYPE_CHECKING:
    from pathlib import Path

    from indexer.analysis.pools import AnalysisPool

COUNT = 60


def test_mutated_files(tmp_path: Path, pool: AnalysisPool) -> None:
    folder = tmp_path / "mutated"
    folder.mkdir()
    write_mutated(folder, COUNT)
    with closing(Library.open_for_writing(tmp_path / "catalog.db", create=True)) as library:
        summary = index_paths(library, [folder], pool=pool)
        assert sum(summary.stored.values()) + summary.failed == COUNT
        failures = library.catalog.failures()
        assert len(failures) == summary.failed
        bad = [one for one in failures if one.reason in ("unforeseen", "worker died", "timed out")]
        assert bad == []
        assert library.index is not None
        assert np.isfinite(library.index.reconstruct(library.index.ids())).all()
        assert 0.2 * COUNT < summary.failed < 0.9 * COUNT
