"""Runs of indexing on a Dask cluster of tests, and waiting for its machines."""

from __future__ import annotations

import os
import time
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

from distributed import Client

from indexer.analysis.sandbox import Limits
from indexer.indexing.executor import Batching
from indexer.indexing.pipeline import Options, Summary, index_paths
from tests.catalogs import present_names
from tests.dask_cluster import START_S, Cluster
from tests.dask_preload import HELD, HOLD

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from indexer.indexing.executor import Progress
    from indexer.library import Library

FILES = 40


def run(
    library: Library,
    folder: Path,
    cluster: Cluster,
    *,
    after: tuple[int, Callable[[], None]] | None = None,
    interrupted: Callable[[], bool] = lambda: False,
    **options: object,
) -> Summary:
    """Index a folder; once some files are stored, something is done to the cluster.

    No file is handed out before every machine has told whether it takes part.
    """
    waiting = [after] if after else []

    def on_progress(progress: Progress) -> None:
        if progress.total and not progress.done:
            wait_until_told(cluster)
        if waiting and progress.total and progress.done >= waiting[0][0]:
            waiting.pop()[1]()

    settings = {"limits": Limits(wall_s=5.0, memory_bytes=256 << 20), **options}
    summary = index_paths(
        library,
        [folder],
        options=Options(dask=cluster.address, batching=Batching(8, 0.2), **settings),
        on_progress=on_progress,
        interrupted=interrupted,
    )
    assert not waiting, "the run was over before anything was done to the cluster"
    return summary


def machines(library: Library, *, files: int) -> Counter[str]:
    """How many files each machine has analysed, each of which is stored once."""
    names = present_names(library.catalog)
    assert len(names) == len({key for _, key, *_ in names}) == files
    return Counter(title for *_, title in names)


def wait_for_machines(cluster: Cluster, names: set[str]) -> None:
    """Wait until the scheduler knows these machines."""
    with closing(Client(cluster.address, set_as_default=False)) as client:
        wait_until(lambda: names <= {one["name"] for one in _known(client)})


def wait_until_told(cluster: Cluster) -> None:
    """Wait until every machine has told of every run on the cluster whether it takes part."""
    with closing(Client(cluster.address, set_as_default=False)) as client:
        plugins = client.run_on_scheduler(
            lambda dask_scheduler: list(dask_scheduler.worker_plugins)
        )
        runs = {name for name in plugins if name.startswith("soundalike-")}
        wait_until(lambda: all(runs <= one["metrics"].keys() for one in _known(client)))


def hold(folder: Path, *, after: int) -> None:
    """Let no file end but the first ones."""
    for file in sorted(folder.glob("*.wav"))[after:]:
        file.with_name(file.name + os.fsdecode(HOLD)).touch()


def let_go(folder: Path) -> None:
    """Let the files end that are held."""
    for file in folder.glob(f"*{os.fsdecode(HOLD)}"):
        file.unlink()


def wait_until_held(folder: Path, *, files: int) -> None:
    """Wait until so many files are in work that are held."""
    wait_until(lambda: len(list(folder.glob(f"*{os.fsdecode(HELD)}"))) == files)


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_S
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _known(client: Client) -> list[dict[str, Any]]:
    return list(client.scheduler_info(n_workers=-1)["workers"].values())
