"""Worker processes that draw outlines of untrusted files, under limits like those of indexing."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.outlines import hear_outline
from indexer.sandbox import DEFAULT_LIMITS, Limits, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from indexer.errors import AnalysisError

Outline: TypeAlias = NDArray[np.float16]
AHEAD = 4
"""Files in flight for each worker."""


class Listeners:
    """Worker processes, started by `with` and ended at once when it is left.

    Parameters
    ----------
    workers : int
        How many processes.
    """

    def __init__(self, workers: int, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self._workers = workers
        self._limits = limits

    def __enter__(self) -> Listeners:
        self._sandbox = Sandbox(_hear, _nothing, workers=self._workers, limits=self._limits)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._sandbox.close(at_once=True)

    def outlines(self, paths: Iterable[bytes]) -> Iterator[Outline | AnalysisError]:
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


def _hear(_prepared: None, path: bytes) -> Outline:
    return hear_outline(path)
