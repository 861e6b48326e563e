"""What runs on Dask clusters index in tests."""

from __future__ import annotations

import os
import pickle
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from indexer.analysis.pools import AnalysisPool, analyse_file
from indexer.library import Library
from tests import sounds
from tests.dask_runs import FILES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory, pool: AnalysisPool) -> Path:
    folder = tmp_path_factory.mktemp("analysis")
    song = sounds.write_audio(folder / "song.wav", sounds.music(4))
    path = folder / "analysis"
    path.write_bytes(pickle.dumps(pool.run(analyse_file, os.fsencode(song))))
    return path


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with closing(Library.open_for_writing(tmp_path / "catalog.db", create=True)) as opened:
        yield opened


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """Files that only the machines of tests take for music."""
    folder = tmp_path / "music"
    folder.mkdir()
    for number in range(FILES):
        (folder / f"{number:02}.wav").write_bytes(b"sound")
    return folder
