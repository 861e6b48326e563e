"""Worker processes that analyse untrusted files, under the limits of a sandbox."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.analysis.sandbox import DEFAULT_LIMITS, Limits, Sandbox
from indexer.analysis.track_analysis import DEFAULT_WINDOWS, TrackAnalysis, analyse
from indexer.errors import AnalysisError, ModelMismatch
from indexer.features.alignment import file_fingerprint
from indexer.models.registry import Model, load_model

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from pebble import ProcessFuture

Outcome: TypeAlias = TrackAnalysis | AnalysisError


@dataclass(frozen=True)
class Task:
    """A file to analyse: whether recordings heard before may be skipped, or only described."""

    path: bytes
    windows: int = DEFAULT_WINDOWS
    skip_known: bool = True
    describe_known: bool = False


class AnalysisPool:
    """Worker processes with a model each, started with the first task and kept until `close`.

    Parameters
    ----------
    model_name : str
        The model every worker loads.
    fingerprint : str
        What the model's fingerprint must be; a worker refuses another one.
    workers : int
        How many processes.
    known : uint64 (n,), sorted
        First 8 bytes of the hashes of recordings that need not be heard again.
    """

    def __init__(
        self,
        model_name: str,
        fingerprint: str,
        *,
        workers: int = 1,
        limits: Limits = DEFAULT_LIMITS,
        known: NDArray[np.uint64] | None = None,
    ) -> None:
        self._sandbox = Sandbox(
            _analyse,
            partial(_prepare, model_name, fingerprint, known),
            workers=workers,
            limits=limits,
        )

    def submit(self, task: Task) -> ProcessFuture[Outcome]:
        """Queue a file; give the future to `result`."""
        return self._sandbox.submit(task.path, task)

    def result(self, task: Task, future: ProcessFuture[Outcome]) -> Outcome:
        """Wait for the answer of a submitted task. Nothing that a file does is raised here.

        Raises
        ------
        WorkersFailed
            No worker starts.
        """
        return self._sandbox.result(future, task.path, task)

    def close(self, *, at_once: bool = False) -> None:
        """End the workers, after their queue is done or at once."""
        self._sandbox.close(at_once=at_once)


def load_for_worker(model_name: str, fingerprint: str) -> Model:
    """Load a model in a worker process, which computes on one thread.

    Raises
    ------
    ModelMismatch
        It has another fingerprint.
    """
    import torch

    torch.set_num_threads(1)
    model = load_model(model_name)
    if model.info.fingerprint != fingerprint:
        raise ModelMismatch(f"the model {model_name} on this machine is not the catalog's")
    return model


@dataclass(frozen=True)
class _Prepared:
    model: Model
    known: NDArray[np.uint64] | None

    def knows(self, audio_hash: bytes) -> bool:
        if self.known is None or len(self.known) == 0:
            return False
        prefix = np.uint64(int.from_bytes(audio_hash[:8], "big"))
        place = int(np.searchsorted(self.known, prefix))
        return place < len(self.known) and bool(self.known[place] == prefix)


def _prepare(model_name: str, fingerprint: str, known: NDArray[np.uint64] | None) -> _Prepared:
    return _Prepared(load_for_worker(model_name, fingerprint), known)


def _analyse(prepared: _Prepared, path: bytes, task: Task) -> TrackAnalysis:
    return analyse(
        path,
        prepared.model,
        windows=task.windows,
        skip_if=prepared.knows if task.skip_known else None,
        describe_skipped=task.describe_known,
    )


Fingerprint: TypeAlias = NDArray[np.float16]
AHEAD = 4
"""Files in flight for each worker."""


class FingerprintPool:
    """Worker processes, started by `with` and ended at once when it is left.

    Parameters
    ----------
    workers : int
        How many processes.
    """

    def __init__(self, workers: int, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self._workers = workers
        self._limits = limits

    def __enter__(self) -> FingerprintPool:
        self._sandbox = Sandbox(_hear, _nothing, workers=self._workers, limits=self._limits)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._sandbox.close(at_once=True)

    def fingerprints(self, paths: Iterable[bytes]) -> Iterator[Fingerprint | AnalysisError]:
        """Hear files: for each, in order, its outline or why it has none.

        Raises
        ------
        WorkersFailed
            No worker starts.
        """
        waiting = iter(paths)
        ahead = AHEAD * self._workers
        running = deque((path, self._sandbox.submit(path)) for path in islice(waiting, ahead))
        while running:
            path, future = running.popleft()
            yield self._sandbox.result(future, path)
            running.extend((path, self._sandbox.submit(path)) for path in islice(waiting, 1))


def _nothing() -> None:
    """What a worker needs before it can draw outlines."""


def _hear(_prepared: None, path: bytes) -> Fingerprint:
    return file_fingerprint(path)
