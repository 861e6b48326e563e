"""Runs whose files are analysed by the machines of a Dask cluster, and what goes wrong there."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np
import pytest

from indexer.analysis.pools import AnalysisPool, analyse_file
from indexer.analysis.sandbox import Limits
from indexer.analysis.track_analysis import KnownRecording, TrackAnalysis
from indexer.catalog.storing import Stored
from indexer.errors import ClusterFailed, InvalidOption
from indexer.indexing import dask_workers, executor
from indexer.indexing.executor import Batching
from indexer.indexing.pipeline import Options, Summary, index_paths
from indexer.library import Library
from indexer.models import checkpoint
from indexer.models.registry import load_model
from tests import sounds
from tests.catalogs import present_names
from tests.dask_cluster import START_S, Cluster
from tests.dask_preload import SECONDS, VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from indexer.indexing.executor import Progress

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

FILES = 40


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory, pool: AnalysisPool) -> Path:
    folder = tmp_path_factory.mktemp("analysis")
    song = sounds.write_audio(folder / "song.wav", sounds.music(4))
    path = folder / "analysis"
    path.write_bytes(pickle.dumps(pool.run(analyse_file, os.fsencode(song))))
    return path


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, analysis: Path) -> Iterator[Cluster]:
    """A scheduler and two machines."""
    running = Cluster(tmp_path_factory.mktemp("cluster"), analysis)
    try:
        for name in ("one", "two"):
            running.add(name)
        yield running
    finally:
        running.close()


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


def run(
    library: Library,
    folder: Path,
    cluster: Cluster,
    *,
    after: tuple[int, Callable[[], None]] | None = None,
    **options: object,
) -> Summary:
    """Index a folder; once some files are stored, something is done to the cluster."""
    waiting = [after] if after else []

    def on_progress(progress: Progress) -> None:
        if waiting and progress.total and progress.done >= waiting[0][0]:
            waiting.pop()[1]()

    settings = {"limits": Limits(wall_s=5.0, memory_bytes=256 << 20), **options}
    summary = index_paths(
        library,
        [folder],
        options=Options(dask=cluster.address, batching=Batching(8, 0.2), **settings),
        on_progress=on_progress,
    )
    assert not waiting, "the run was over before anything was done to the cluster"
    return summary


def machines(library: Library, *, files: int) -> Counter[str]:
    """How many files each machine has analysed, each of which is stored once."""
    names = present_names(library.catalog)
    assert len(names) == len({key for _, key, *_ in names}) == files
    return Counter(title for *_, title in names)


def test_files_that_exit_crash_hang_and_eat_memory_cost_only_themselves(
    library: Library, music: Path, cluster: Cluster
) -> None:
    faults = ("exit", "segfault", "hang", "eat")
    for name in faults:
        (music / f"{name}.wav").write_bytes(b"sound")
    summary = run(library, music, cluster)
    assert (summary.stored[Stored.NEW], summary.failed, summary.waiting) == (FILES, 4, 0)
    assert machines(library, files=FILES).keys() == {"one", "two"}
    reasons = {os.path.basename(one.path): one.reason for one in library.catalog.failures()}
    assert reasons == {
        b"exit.wav": "worker died",
        b"segfault.wav": "worker died",
        b"hang.wav": "timed out",
        b"eat.wav": "out of memory",
    }
    assert run(library, music, cluster).failed_before == 4


def test_a_dask_worker_that_is_killed_costs_no_file(
    library: Library, music: Path, cluster: Cluster
) -> None:
    summary = run(library, music, cluster, after=(4, lambda: cluster.kill_worker("one")))
    assert (summary.failed, summary.waiting) == (0, 0)
    machines(library, files=FILES)


def test_a_machine_that_is_lost_costs_no_file_and_a_late_one_takes_its_share(
    library: Library, music: Path, cluster: Cluster
) -> None:
    for number in range(FILES, 3 * FILES):
        (music / f"{number:02}.wav").write_bytes(b"sound")
    cluster.add("doomed")

    def exchange() -> None:
        cluster.kill("doomed")
        cluster.add("late", nanny=False)
        wait_for_machines(cluster, {"one", "two", "late"})

    summary = run(library, music, cluster, after=(8, exchange))
    assert (summary.failed, summary.waiting) == (0, 0)
    assert machines(library, files=3 * FILES)["late"] > 0
    cluster.kill("late")


def test_a_run_that_is_stopped_finishes_what_is_in_work_and_another_goes_on(
    library: Library, music: Path, cluster: Cluster
) -> None:
    stopped: list[float] = []
    began = time.monotonic()
    first = index_paths(
        library,
        [music],
        options=Options(dask=cluster.address, batching=Batching(2, 0.0)),
        on_progress=lambda progress: stopped.append(time.monotonic()) if progress.done else None,
        interrupted=lambda: bool(stopped),
    )
    assert time.monotonic() - stopped[0] < 3.0, time.monotonic() - began
    assert 0 < first.stored[Stored.NEW] < FILES
    assert first.waiting == FILES - first.stored[Stored.NEW]
    machines(library, files=FILES - first.waiting)
    second = run(library, music, cluster)
    assert (second.stored[Stored.NEW], second.waiting) == (first.waiting, 0)
    machines(library, files=FILES)


def test_machines_end_the_processes_of_a_run_that_was_killed_and_another_goes_on(
    tmp_path: Path, music: Path, cluster: Cluster
) -> None:
    command = [sys.executable, "-m", "recommender", "index", str(music)]
    command += ["--dask", cluster.address, "--catalog", str(tmp_path / "catalog.db")]
    with subprocess.Popen(command) as process:
        try:
            wait_until(lambda: cluster.count_processes("one") == 1)
        finally:
            process.kill()
    wait_until(lambda: cluster.count_processes("one") == cluster.count_processes("two") == 0)
    with closing(Library.open_for_writing(tmp_path / "catalog.db")) as library:
        summary = run(library, music, cluster)
        assert (summary.failed, summary.waiting) == (0, 0)
        machines(library, files=FILES)


def test_machines_without_the_files_pass_them_on(
    library: Library, music: Path, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    """One has an empty folder in the place of the library, one has no such folder."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("needs mount namespaces")
    for name, hidden in (("empty", music), ("bare", music.parent)):
        script = f'mount -t tmpfs none "{hidden}" && exec "$@"'
        cluster.add(name, prefix=["unshare", "-rm", "sh", "-c", script, "sh"], nanny=False)
    wait_for_machines(cluster, {"one", "two", "empty", "bare"})
    summary = run(library, music, cluster)
    assert (summary.failed, summary.waiting) == (0, 0)
    assert machines(library, files=FILES).keys() == {"one", "two"}
    assert f"{music} is not there: mount it under the same path" in caplog.text
    for name in ("empty", "bare"):
        cluster.kill(name)


def test_a_file_that_is_on_no_machine_is_left_for_the_next_run(
    library: Library, music: Path, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    def lose() -> None:
        (music / f"{FILES - 1:02}.wav").unlink()

    summary = run(library, music, cluster, after=(0, lose))
    assert (summary.failed, summary.waiting) == (0, 1)
    assert (
        f"on no machine of {cluster.address} as they are here, left for the next run: 1"
        in caplog.text
    )
    machines(library, files=FILES - 1)


def test_machines_with_another_model_or_version_or_that_may_start_no_processes_are_refused(
    tmp_path: Path,
    library: Library,
    music: Path,
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folders = {name: tmp_path / name for name in ("here", "there")}
    for shift, folder in enumerate(folders.values(), start=1):
        folder.mkdir()
        info, tensors = checkpoint.read(load_model().info.path)
        changed = {name: tensor.copy() for name, tensor in tensors.items()}
        changed["axes"] += np.linspace(0, 0.02 * shift, info.dim, dtype=np.float16)
        checkpoint.write(folder / "other.safetensors", changed, replace(info.card, name="other"))
    monkeypatch.setenv("SOUNDALIKE_MODELS", str(folders["here"]))
    for name, folder in (("same model", folders["here"]), ("other model", folders["there"])):
        cluster.add(name, environment={"SOUNDALIKE_MODELS": str(folder)}, nanny=False)
    cluster.add("daemon", environment={"DASK_DISTRIBUTED__WORKER__DAEMON": "True"})
    cluster.add("other version", environment={VERSION: "0.0.9"}, nanny=False)
    refused = {"other model", "daemon", "other version"}
    wait_for_machines(cluster, {"one", "two", "same model", *refused})
    summary = run(library, music, cluster, model="other")
    assert (summary.failed, summary.waiting) == (0, 0)
    assert machines(library, files=FILES).keys() == {"same model"}
    assert "takes no files of this run: its model other is another one" in caplog.text
    assert "the model other is not on this machine" in caplog.text
    assert "start it with the variable DASK_DISTRIBUTED__WORKER__DAEMON=False" in caplog.text
    assert "it has soundalike 0.0.9, not " in caplog.text
    for name in ("same model", *refused):
        cluster.kill(name)


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
        own.add("one", environment={SECONDS: "0.2"})
        first = run(library, music, own, after=(4, lambda: own.kill_worker("one")))
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


def test_machines_that_cannot_load_a_task_end_the_run_with_a_sentence(
    tmp_path: Path,
    library: Library,
    music: Path,
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "only_here.py").write_text("def analyse(worker, path, *, windows): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(executor, "analyse_new_file", import_module("only_here").analyse)
    with pytest.raises(ClusterFailed, match=r"can do no task .* that of the scheduler too"):
        run(library, music, cluster)
    assert present_names(library.catalog) == []


def test_a_cluster_that_cannot_be_reached_ends_the_run_with_a_sentence(
    tmp_path: Path, library: Library, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_workers, "_CONNECT_S", 0.5)
    monkeypatch.setattr(dask_workers, "PATIENCE_S", 1.0)
    own = Cluster(tmp_path / "own")
    try:
        with pytest.raises(ClusterFailed, match=f"no machine of {own.address} takes files"):
            run(library, music, own)
    finally:
        own.close()
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


def wait_for_machines(cluster: Cluster, names: set[str]) -> None:
    """Wait until the scheduler knows these machines."""
    with closing(dask_workers.Client(cluster.address, set_as_default=False)) as client:
        wait_until(
            lambda: (
                names
                <= {one["name"] for one in client.scheduler_info(n_workers=-1)["workers"].values()}
            )
        )


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_S
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.1)
