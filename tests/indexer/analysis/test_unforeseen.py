"""Whatever a worker raises costs one file: a row with stage and class, and the run goes on."""

from __future__ import annotations

import logging
import os
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from indexer.catalog.storing import Stored
from indexer.errors import Unforeseen
from indexer.indexing.pipeline import index_paths
from indexer.library import Library
from tests import faulty_worker, sounds

if TYPE_CHECKING:
    from pathlib import Path

    from indexer.analysis.pools import ModelWorker


def raise_outside_of_any_stage(_worker: ModelWorker, _path: bytes) -> None:
    raise KeyError("nothing")


def test_an_exception_from_any_stage_is_a_failure_of_its_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    stages = [*faulty_worker.STAGES, "network"]
    for number, name in enumerate(["a good one", *stages, "z good one"]):
        sounds.write_audio(folder / f"{name}.flac", sounds.music(4, seed=number))
    with (
        closing(Library.open_for_writing(tmp_path / "catalog.db", create=True)) as library,
        faulty_worker.FaultyPool() as pool,
    ):
        with caplog.at_level(logging.DEBUG, "indexer"):
            summary = index_paths(library, [folder], pool=pool)
        assert (summary.stored[Stored.NEW], summary.failed) == (2, len(stages))
        found = {os.path.basename(one.path): one for one in library.catalog.failures()}
        for stage in stages:
            failure = found[f"{stage}.flac".encode()]
            assert failure.reason == "unforeseen"
            # The log-mel spectrogram is computed inside the network's module.
            assert failure.stage == {"log-mel": "network"}.get(stage, stage)
            assert f"{stage}.flac" in failure.message
            assert f"ZeroDivisionError: in {stage} of a test" in failure.message
            assert 'raise ZeroDivisionError(f"in {stage}' in caplog.text
        again = index_paths(library, [folder], pool=pool)
        assert (again.failed, again.failed_before) == (0, len(stages))
        with pytest.raises(Unforeseen) as caught:
            pool.run(raise_outside_of_any_stage, os.fsencode(folder / "decode.flac"))
        assert caught.value.stage == "worker"
        assert "in raise_outside_of_any_stage" in str(caught.value.__cause__)
