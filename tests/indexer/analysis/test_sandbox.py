"""Files that are given to a pool of workers while it breaks."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

import pytest
from pebble.pool.process import PoolManager

from indexer.analysis.pools import decoding_pool
from indexer.analysis.sandbox import WorkerContext
from indexer.catalog.file_queries import SeenFile
from indexer.errors import WorkersFailed
from indexer.indexing.workers import LocalWorkers
from tests.workers import echo

if TYPE_CHECKING:
    from pebble.pool.base_pool import Task

    from indexer.analysis.sandbox import Sandbox

PATH = b"/music/song.flac"


def break_with_a_file_on_its_way(sandbox: Sandbox[None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill an idle worker; the next file reaches the pool only after it has seen that.

    It takes a thread that gets no time for so long, in the moment of the kill.
    """
    before = {child.pid for child in multiprocessing.active_children()}
    assert sandbox.run(echo, PATH) == PATH
    (worker,) = {child.pid for child in multiprocessing.active_children()} - before
    schedule = PoolManager.schedule

    def late(manager: PoolManager, task: Task) -> None:
        while manager.context.alive:
            time.sleep(0.01)
        time.sleep(0.1)
        monkeypatch.undo()
        schedule(manager, task)

    monkeypatch.setattr(PoolManager, "schedule", late)
    os.kill(worker, signal.SIGKILL)


def test_a_file_that_a_broken_pool_has_left_is_given_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with decoding_pool() as sandbox:
        break_with_a_file_on_its_way(sandbox, monkeypatch)
        assert sandbox.run(echo, PATH) == PATH


def test_an_index_run_goes_on_after_a_broken_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    file = SeenFile(PATH, b"/music", 1, 1)
    with decoding_pool() as sandbox:
        break_with_a_file_on_its_way(sandbox, monkeypatch)
        workers: LocalWorkers[bytes] = LocalWorkers(sandbox)
        workers.submit(echo, [file])
        finished: list[object] = []
        while not finished:
            finished.extend(workers.result(1.0))
        assert finished == [(file, PATH)]


def test_workers_that_cannot_be_started_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_process: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(WorkerContext.Process, "start", refuse)
    with decoding_pool() as sandbox, pytest.raises(WorkersFailed, match="no worker process starts"):
        sandbox.run(echo, PATH)


def test_a_closed_sandbox_takes_no_file() -> None:
    sandbox = decoding_pool()
    sandbox.close(at_once=True)
    with pytest.raises(CancelledError):
        sandbox.submit(echo, PATH)
