"""What the Dask worker of a machine does for a run of indexing: it hands files to a sandbox.

Dask carries files to the machine and outcomes back. All that a file can do wrong is done in a
process of the sandbox, so that Dask itself never sees a task that crashes or hangs.
"""

from __future__ import annotations

import asyncio
import enum
import multiprocessing
import os
import threading
import time
from concurrent.futures import wait
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeAlias

from distributed import WorkerPlugin, get_worker

from indexer.analysis.pools import AnalysisPool
from indexer.errors import ModelError
from indexer.filesystem import display_path, is_url
from indexer.models.registry import model_info

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from distributed import Worker
    from numpy.typing import NDArray

    from indexer.analysis.sandbox import Job, Limits
    from indexer.catalog.file_queries import SeenFile
    from indexer.errors import AnalysisError
    from indexer.indexing.workers import Result, Task

_POLL_S = 0.2
_IDLE_S = 600.0
"""After which processes end that nobody uses: the run may have been killed."""
_SAME_TIME_NS = 2_000_000_000
"""Times of one file may differ so much: file systems keep fractions of a second differently."""


class Left(enum.Enum):
    """Why a machine has no outcome of a file."""

    NOT_HERE = "not here"  # no such file, or one of another size or time
    NOT_STARTED = "not started"  # the run was told to stop before


@dataclass(frozen=True)
class Returned:
    """A batch of files as a machine hands it back.

    Attributes
    ----------
    machine : str
        Address of the Dask worker.
    outcomes : sequence
        What came of each file, in their order; empty if there is trouble.
    trouble : str
        Why the machine can analyse no file.
    """

    machine: str
    outcomes: Sequence[Any]
    trouble: str = ""


@dataclass(frozen=True)
class Setup:
    """What a run asks of every machine.

    Attributes
    ----------
    run : str
        Name of the run, which no other one has.
    version : str
        Version of soundalike.
    model_name, fingerprint : str
        The model every process loads, and its fingerprint.
    known : uint64 (n,), sorted
        First 8 bytes of the hashes of recordings that are not embedded again.
    roots : sequence of bytes
        Folders of the files: a machine without any of them takes part in nothing.
    """

    run: str
    version: str
    model_name: str
    fingerprint: str
    limits: Limits
    known: NDArray[np.uint64]
    roots: Sequence[bytes]


MachineState: TypeAlias = str
"""What a machine tells of itself with each heartbeat: why it refuses, or "" if it takes part."""


class Machine(WorkerPlugin):
    """The plugin of a Dask worker that holds a sandbox for a run, or refuses to.

    Parameters
    ----------
    setup : Setup
        Its `run` names the plugin and the metric that tells a `MachineState`.
    """

    def __init__(self, setup: Setup) -> None:
        self.name = setup.run
        self._setup = setup

    def setup(self, worker: Worker) -> None:
        """Begin to look whether the machine is fit; no disk out of reach may hold the worker up."""
        # A nanny has memory given back to the system at once, which nearly doubles the CPU that an
        # analysis takes in the processes of the sandbox.
        os.environ.pop("MALLOC_TRIM_THRESHOLD_", None)
        self._sandbox: AnalysisPool | None = None
        self._lock = threading.Lock()
        self._batches = 0
        self._jobs: set[Job[Any, Any]] = set()
        self._used = time.monotonic()
        self._stopped = False
        self._address = worker.address
        self._watching = asyncio.create_task(self._watch(worker))

    async def teardown(self, worker: Worker) -> None:
        """End the processes."""
        self.stop()
        self._watching.cancel()
        worker.metrics.pop(self.name, None)
        if self._sandbox is not None:
            await asyncio.to_thread(self._sandbox.close, at_once=True)

    async def _watch(self, worker: Worker) -> None:
        """Tell whether the machine is fit; end the processes while a run makes no use of them."""
        try:
            refusal = await asyncio.to_thread(self._refusal)
            if not refusal:
                self._sandbox = self._new_sandbox(worker.state.nthreads)
        except Exception as error:  # noqa: BLE001 - the run must be told, whatever it is
            refusal = f"{type(error).__name__}: {error}"
        worker.metrics[self.name] = lambda _worker: refusal
        while not refusal:
            await asyncio.sleep(_IDLE_S / 10)
            with self._lock:
                if self._batches or time.monotonic() - self._used < _IDLE_S:
                    continue
                idle, self._sandbox = self._sandbox, self._new_sandbox(worker.state.nthreads)
                self._used = time.monotonic()
            if idle is not None:
                await asyncio.to_thread(idle.close, at_once=True)

    def _new_sandbox(self, processes: int) -> AnalysisPool:
        """A sandbox, whose processes start with the first file."""
        return AnalysisPool(
            self._setup.model_name,
            self._setup.fingerprint,
            workers=processes,
            limits=self._setup.limits,
            known=self._setup.known,
        )

    def _refusal(self) -> str:
        """Why this machine cannot take part in the run; empty if it can."""
        wanted = self._setup
        if multiprocessing.current_process().daemon:
            return (
                "it may not start processes: start it with the variable "
                "DASK_DISTRIBUTED__WORKER__DAEMON=False"
            )
        if version("soundalike") != wanted.version:
            return f"it has soundalike {version('soundalike')}, not {wanted.version}"
        try:
            fingerprint = model_info(wanted.model_name).fingerprint
        except ModelError as error:
            return str(error)
        if fingerprint != wanted.fingerprint:
            return (
                f"its model {wanted.model_name} is another one ({fingerprint[:12]}, not "
                f"{wanted.fingerprint[:12]}): import the same file there"
            )
        if not any(is_url(root) or os.path.isdir(root) for root in wanted.roots):
            return f"{display_path(wanted.roots[0])} is not there: mount it under the same path"
        return ""

    def analyse(self, work: Task[Result], files: Sequence[SeenFile]) -> Returned:
        """Apply a task to files that are here as the run saw them."""
        with self._lock:
            sandbox = self._sandbox
            self._batches += 1
        try:
            if sandbox is None:
                return Returned(self._address, (), "its worker is not ready")
            return Returned(self._address, self._outcomes(sandbox, work, files))
        except Exception as error:  # noqa: BLE001 - the files are tried on another machine
            return Returned(self._address, (), f"{type(error).__name__}: {error}")
        finally:
            with self._lock:
                self._batches -= 1
                self._used = time.monotonic()

    def _outcomes(
        self, sandbox: AnalysisPool, work: Task[Result], files: Sequence[SeenFile]
    ) -> list[Result | AnalysisError | Left]:
        jobs = [
            sandbox.submit(
                partial(if_here, work=work, size=file.size, mtime_ns=file.mtime_ns), file.path
            )
            for file in files
        ]
        with self._lock:
            self._jobs.update(jobs)
        if self._stopped:  # before it knew of these
            self.stop()
        outcomes: list[Result | AnalysisError | Left] = []
        try:
            for job in jobs:
                while not (job.future.done() or job.is_lost):
                    wait([job.future], _POLL_S)
                if job.future.cancelled():
                    outcomes.append(Left.NOT_STARTED)
                else:
                    outcome = sandbox.result(job)
                    outcomes.append(outcome)
            return outcomes
        finally:
            with self._lock:
                self._jobs.difference_update(jobs)

    def stop(self) -> None:
        """Start no more files."""
        self._stopped = True
        with self._lock:
            for job in self._jobs:
                if not job.future.running():
                    job.future.cancel()


def analyse_batch(run: str, work: Task[Any], files: Sequence[SeenFile]) -> Returned:
    """Apply a task to files on the machine whose Dask worker calls this."""
    worker = get_worker()
    machine = worker.plugins.get(run)
    if not isinstance(machine, Machine):
        return Returned(worker.address, (), "its worker takes no part in this run")
    return machine.analyse(work, files)


def stop_machine(run: str, dask_worker: Worker) -> None:
    """Let the machine of a Dask worker start no more files of a run."""
    machine = dask_worker.plugins.get(run)
    if isinstance(machine, Machine):
        machine.stop()


def if_here(
    held: Any, path: bytes, *, work: Callable[[Any, bytes], Result], size: int, mtime_ns: int
) -> Result | Left:
    """Apply a task to a file that has a size and about a time of modification."""
    try:
        status = os.stat(path)
    except OSError:
        return Left.NOT_HERE
    if status.st_size != size or abs(status.st_mtime_ns - mtime_ns) > _SAME_TIME_NS:
        return Left.NOT_HERE
    return work(held, path)
