"""Runs whose files are analysed by the machines of a Dask cluster, and what goes wrong there."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from importlib import import_module
from threading import Event
from typing import TYPE_CHECKING

import numpy as np
import pytest

from indexer.catalog.storing import Stored
from indexer.errors import ClusterFailed
from indexer.indexing import dask_workers, executor
from indexer.library import Library
from indexer.models import checkpoint
from indexer.models.registry import load_model
from tests.catalogs import present_names
from tests.dask_cluster import Cluster
from tests.dask_preload import VERSION
from tests.dask_runs import (
    FILES,
    hold,
    let_go,
    machines,
    run,
    wait_for_machines,
    wait_until,
    wait_until_held,
    wait_until_told,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, analysis: Path) -> Iterator[Cluster]:
    """A scheduler and two machines."""
    running = Cluster(tmp_path_factory.mktemp("cluster"), analysis)
    try:
        for name in ("one", "two"):
            running.add(name)
        wait_for_machines(running, {"one", "two"})
        yield running
    finally:
        running.close()


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
        wait_until_told(cluster)

    summary = run(library, music, cluster, after=(8, exchange))
    assert (summary.failed, summary.waiting) == (0, 0)
    assert machines(library, files=3 * FILES)["late"] > 0
    cluster.kill("late")


def test_a_run_that_is_stopped_finishes_what_is_in_work_and_another_goes_on(
    library: Library, music: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = Event()
    stop = dask_workers.DaskWorkers.stop

    def stop_and_let_go(workers: dask_workers.DaskWorkers[object]) -> None:
        stop(workers)
        let_go(music)

    monkeypatch.setattr(dask_workers.DaskWorkers, "stop", stop_and_let_go)
    # A task of two machines has five files: after the first task, each is in another one.
    hold(music, after=5)

    def stop_in_work() -> None:
        wait_until_held(music, files=2)
        stopped.set()

    first = run(library, music, cluster, after=(5, stop_in_work), interrupted=stopped.is_set)
    assert (first.stored[Stored.NEW], first.waiting) == (7, FILES - 7)
    machines(library, files=7)
    second = run(library, music, cluster)
    assert (second.stored[Stored.NEW], second.waiting) == (FILES - 7, 0)
    machines(library, files=FILES)


def test_machines_end_the_processes_of_a_run_that_was_killed_and_another_goes_on(
    tmp_path: Path, music: Path, cluster: Cluster
) -> None:
    command = [sys.executable, "-m", "recommender", "index", str(music)]
    command += ["--dask", cluster.address, "--catalog", str(tmp_path / "catalog.db")]
    # Those of the run before may still be ending.
    wait_until(lambda: cluster.count_processes("one") == cluster.count_processes("two") == 0)
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
