"""Loaded by Dask workers of tests (`--preload`): a sandbox that starts without PyTorch.

Its processes return one analysis for all files, with the name of the machine for a title, except
for files whose names say what they do to the process.
"""

from __future__ import annotations

import os
import pickle
import signal
import time
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from indexer.analysis.pools import AnalysisPool
from indexer.analysis.sandbox import Job, Limits, Sandbox
from indexer.indexing import dask_machine

if TYPE_CHECKING:
    from distributed import Worker

    from indexer.analysis.track_analysis import TrackAnalysis

ANALYSIS = "SOUNDALIKE_TEST_ANALYSIS"
MACHINE = "SOUNDALIKE_TEST_MACHINE"
VERSION = "SOUNDALIKE_TEST_VERSION"
HOLD, HELD = b".hold", b".held"
"""Ends of the names of files beside one: it does not end before the first is gone, and says so."""


class ReplayPool(AnalysisPool):
    """A pool that replaces the task inside of `if_here`."""

    def __init__(
        self,
        _name: str,
        _fingerprint: str,
        *,
        workers: int,
        limits: Limits,
        known: Any,  # noqa: ARG002
    ) -> None:
        Sandbox.__init__(self, _load_analysis, workers=workers, limits=limits)

    def submit(self, work: Any, path: bytes) -> Job[Any, Any]:
        return Sandbox.submit(self, partial(work.func, **{**work.keywords, "work": act}), path)


def dask_setup(_worker: Worker) -> None:
    """Put the pool into the place of the real one, and let it end soon when nobody uses it."""
    dask_machine._IDLE_S = 2.0
    if VERSION in os.environ:
        dask_machine.version = lambda _package: os.environ[VERSION]
    dask_machine.AnalysisPool = ReplayPool  # type: ignore[misc, assignment]


def _load_analysis() -> TrackAnalysis:
    return pickle.loads(Path(os.environ[ANALYSIS]).read_bytes())  # noqa: S301 - our own


def act(analysis: TrackAnalysis, path: bytes) -> TrackAnalysis:
    """Do what the name of a file says, or return an analysis."""
    does = {b"exit.wav": leave, b"segfault.wav": crash, b"hang.wav": hang, b"eat.wav": eat}
    name = os.path.basename(path)
    if name in does:
        does[name]()
    time.sleep(0.1)
    if os.path.exists(path + HOLD):
        Path(os.fsdecode(path + HELD)).touch()
    while os.path.exists(path + HOLD):
        time.sleep(0.01)
    return replace(
        analysis,
        facts=replace(analysis.facts, audio_hash=blake2b(path, digest_size=32).digest()),
        tags=replace(analysis.tags, title=os.environ[MACHINE]),
    )


def leave() -> NoReturn:
    os._exit(3)


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(60)


def hang() -> NoReturn:
    while True:
        time.sleep(60)


def eat() -> NoReturn:
    """Take address space, which is what is limited, without touching it: that takes no time."""
    eaten = []
    while True:
        eaten.append(bytes(32 << 20))
