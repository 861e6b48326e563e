"""Tasks for worker processes, which can only do what they can import, and pools without PyTorch."""

from __future__ import annotations

import os
import pickle
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.analysis.pools import AnalysisPool
from indexer.analysis.sandbox import DEFAULT_LIMITS, Job, Limits, Sandbox

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.analysis.track_analysis import TrackAnalysis


class ReplayPool(AnalysisPool):
    """Workers that return analyses made before and start without PyTorch, which takes seconds.

    They never come back from a file called hang.wav.
    """

    def __init__(self, analyses: Path, *, workers: int = 1, limits: Limits = DEFAULT_LIMITS):
        """Take the file that `save_analyses` has written."""
        Sandbox.__init__(self, partial(_load_analyses, analyses), workers=workers, limits=limits)

    def submit(self, _work: Any, path: bytes) -> Job[Any, Any]:
        return Sandbox.submit(self, hang if path.endswith(b"hang.wav") else replay, path)


def save_analyses(path: Path, analyses: Mapping[bytes, TrackAnalysis]) -> Path:
    """Write analyses by the paths of their files."""
    path.write_bytes(pickle.dumps(analyses))
    return path


def _load_analyses(path: Path) -> dict[bytes, TrackAnalysis]:
    return pickle.loads(path.read_bytes())  # noqa: S301 - our own


def replay(worker: Any, path: bytes) -> TrackAnalysis:
    return worker[path]


def hang(_worker: object, _path: bytes) -> None:
    """Never come back."""
    while True:
        time.sleep(60)


def echo(_worker: object, path: bytes) -> bytes:
    return path


def spin(_worker: object, path: bytes) -> None:
    """Take CPU for ever, once the file has the number of this process."""
    Path(os.fsdecode(path)).write_text(str(os.getpid()))
    while True:
        pass
