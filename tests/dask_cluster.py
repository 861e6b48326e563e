"""A Dask cluster of real processes on loopback: `dask scheduler`, and a `dask worker` a machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from tests.dask_preload import ANALYSIS, MACHINE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DASK = Path(sys.executable).with_name("dask")
ROOT = Path(__file__).parents[1]
START_S = 60


class Cluster:
    """A scheduler and the machines that were added to it.

    Parameters
    ----------
    analysis : Path, optional
        What the machines return for each file; without it they analyse.
    """

    def __init__(self, folder: Path, analysis: Path | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._analysis = analysis
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.scheduler_file = folder / "scheduler.json"
        self.start_scheduler("0")

    def start_scheduler(self, port: str) -> None:
        self.scheduler_file.unlink(missing_ok=True)
        options = ["--host", "127.0.0.1", "--port", port, "--no-dashboard"]
        options += ["--scheduler-file", str(self.scheduler_file)]
        self._start("scheduler", options, {})
        deadline = time.monotonic() + START_S
        while not (self.scheduler_file.exists() and self.scheduler_file.stat().st_size):
            assert time.monotonic() < deadline, self.log("scheduler")
            time.sleep(0.05)
        self.address: str = json.loads(self.scheduler_file.read_text())["address"]

    def add(
        self,
        name: str,
        *,
        nanny: bool = True,
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        """Start a machine with one process; it is ready some seconds later."""
        settings = {"DASK_DISTRIBUTED__WORKER__DAEMON": "False", MACHINE: name}
        options = [self.address, "--nthreads", "1", "--no-dashboard", "--name", name]
        options += ["--local-directory", str(self._folder / name)]
        options += [] if nanny else ["--no-nanny"]
        if self._analysis is not None:
            settings[ANALYSIS] = str(self._analysis)
            options += ["--preload", "tests.dask_preload"]
        self._start("worker", options, {**settings, **(environment or {})}, prefix, name)

    def kill_worker(self, name: str) -> None:
        """Kill the Dask worker of a machine; its nanny starts another one."""
        self._worker(name).kill()

    def count_processes(self, name: str) -> int:
        """Processes of the sandbox of a machine."""
        return len(_spawned(self._worker(name)))

    def _worker(self, name: str) -> psutil.Process:
        (worker,) = _spawned(psutil.Process(self._processes[name].pid))
        return worker

    def kill(self, name: str) -> None:
        """Kill the scheduler, or a machine: nanny, worker and sandbox."""
        process = self._processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10)

    def close(self) -> None:
        for name in list(self._processes):
            self.kill(name)

    def log(self, name: str) -> str:
        """What a process has printed."""
        return (self._folder / f"{name}.log").read_text()

    def _start(
        self,
        kind: str,
        options: Sequence[str],
        environment: Mapping[str, str],
        prefix: Sequence[str] = (),
        name: str = "",
    ) -> None:
        with (self._folder / f"{name or kind}.log").open("wb") as log:
            self._processes[name or kind] = subprocess.Popen(
                [*prefix, DASK, kind, *options],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
                # A process group of its own, so that a machine can be lost as a whole.
                start_new_session=True,
            )


def _spawned(parent: psutil.Process) -> list[psutil.Process]:
    return [child for child in parent.children() if _works(child)]


def _works(child: psutil.Process) -> bool:
    """Whether a process has not ended, and is none that multiprocessing starts for itself."""
    try:
        return "resource_tracker" not in " ".join(child.cmdline())
    except psutil.NoSuchProcess:  # or one that has ended and was not waited for yet
        return False
