"""Runs on Dask clusters of their own, which are lost, cannot be reached, or hear music."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from indexer.analysis.track_analysis import KnownRecording, TrackAnalysis
from indexer.catalog.storing import Stored
from indexer.errors import ClusterFailed, InvalidOption
from indexer.indexing import dask_workers
from indexer.indexing.executor import Batching
from indexer.indexing.pipeline import Options, index_paths
from indexer.library import Library
from tests.catalogs import present_names
from tests.dask_cluster import Cluster
from tests.dask_runs import FILES, hold, let_go, machines, run, wait_until_held

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_files_lost_with_their_machines_are_left_and_a_lost_scheduler_ends_the_run(
    tmp_path: Path,
    analysis: Path,
    library: Library,
    music: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The next run goes on, each time."""
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "0")
    own = Cluster(tmp_path / "own", analysis)
    try:
        own.add("one")
        hold(music, after=8)

        def lose() -> None:
            wait_until_held(music, files=1)
            own.kill_worker("one")
            let_go(music)

        first = run(library, music, own, after=(8, lose))
        assert first.failed == 0
        assert 0 < first.waiting < FILES
        assert "left for the next run, because their machines were lost" in caplog.text
        for number in range(FILES, FILES + 20):
            (music / f"{number:02}.wav").write_bytes(b"sound")
        done: list[int] = []
        with pytest.raises(ClusterFailed, match="is lost: what has come in is stored"):
            index_paths(
                library,
                [music],
                options=Options(dask=own.address, batching=Batching(4, 0.0)),
                on_progress=lambda progress: (
                    (done.append(progress.done), own.kill("scheduler"))
                    if progress.done and not done
                    else None
                ),
            )
        stored = len(present_names(library.catalog))
        assert FILES - first.waiting + done[0] <= stored < FILES + 20
        own.start_scheduler(own.address.rpartition(":")[2])
        own.add("again", nanny=False)
        summary = run(library, music, own)
        assert summary.stored[Stored.NEW] == FILES + 20 - stored
        machines(library, files=FILES + 20)
    finally:
        own.close()


def test_a_cluster_that_cannot_be_reached_ends_the_run_with_a_sentence(
    tmp_path: Path, library: Library, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_workers, "PATIENCE_S", 1.0)
    own = Cluster(tmp_path / "own")
    try:
        with pytest.raises(ClusterFailed, match=f"no machine of {own.address} takes files"):
            run(library, music, own)
    finally:
        own.close()
    monkeypatch.setattr(dask_workers, "_CONNECT_S", 0.5)
    with pytest.raises(ClusterFailed, match=f"{own.address} does not answer"):
        run(library, music, own)
    with pytest.raises(InvalidOption, match=r"scheduler\.yaml is neither the address"):
        index_paths(library, [music], options=Options(dask="scheduler.yaml"))
    assert present_names(library.catalog) == []


def test_machines_give_the_vectors_that_processes_here_give(
    tmp_path: Path,
    songs: Path,
    original_catalog: Path,
    library: Library,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And do not embed a recording again that is in the catalog."""
    outcomes: list[object] = []
    result = dask_workers.DaskWorkers.result

    def noted(workers: dask_workers.DaskWorkers[object], timeout_s: float) -> object:
        finished = result(workers, timeout_s)
        outcomes.extend(outcome for _, outcome in finished)
        return finished

    monkeypatch.setattr(dask_workers.DaskWorkers, "result", noted)
    own = Cluster(tmp_path / "own")
    try:
        own.add("one")
        own.add("two", nanny=False)
        options = Options(dask=str(own.scheduler_file))
        assert index_paths(library, [songs], options=options).stored[Stored.NEW] == 12
        copy = songs.parent / "copy.wav"
        copy.write_bytes((songs / "album 0" / "00.wav").read_bytes())
        assert index_paths(library, [copy], options=options).stored[Stored.NEW] == 1
        kinds = [type(outcome) for outcome in outcomes]
        assert kinds == [*[TrackAnalysis] * 12, KnownRecording]
    finally:
        own.close()
    assert library.index is not None
    found = library.index.reconstruct(library.index.ids())
    with closing(Library.open(original_catalog)) as here:
        assert here.index is not None
        expected = here.index.reconstruct(here.index.ids())
    assert (found[:12] == expected).all()
    assert (found[12] == expected[0]).all()
