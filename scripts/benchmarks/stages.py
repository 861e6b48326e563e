"""CPU seconds of an analysis, stage by stage.

The functions that make up a stage are replaced, from outside, by ones that run them between two
looks at the process's CPU clock (user + system, all threads). Time inside a stage that is called by
another is counted for the inner one only.
"""

from __future__ import annotations

import functools
import time
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, ParamSpec, TypeVar
from unittest.mock import patch

import soxr

from indexer.analysis import track_analysis
from indexer.audio import reading
from indexer.audio.container import open_file
from indexer.audio.windows import TrackReader
from indexer.features import melspectrogram
from indexer.models.model import NetworkModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from indexer.audio.container import OpenFile
    from indexer.audio.opening import AnyPath

P = ParamSpec("P")
R = TypeVar("R")

DEMUX, DECODE, RESAMPLE, MEL, CNN = "demux + hash", "decode", "resample", "mel", "CNN"
STAGES = (DEMUX, DECODE, RESAMPLE, MEL, CNN)
TAGS = "tags"


class StageClock:
    """CPU seconds by stage; time outside any stage is not counted."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._open: list[str] = []
        self._since = 0.0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what runs inside for a stage."""
        self._settle()
        self._open.append(name)
        try:
            yield
        finally:
            self._settle()
            self._open.pop()

    def timed(self, name: str, function: Callable[P, R]) -> Callable[P, R]:
        """The function, with each call counted for a stage."""

        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            with self.stage(name):
                return function(*args, **kwargs)

        return run

    def _settle(self) -> None:
        now = time.process_time()
        if self._open:
            self.seconds[self._open[-1]] += now - self._since
        self._since = now


@contextmanager
def timed_stages() -> Iterator[StageClock]:
    """Count every analysis of this process, stage by stage, while the context lasts."""
    clock = StageClock()

    @contextmanager
    def timed_open_file(path: AnyPath) -> Iterator[OpenFile]:
        with ExitStack() as stack:
            with clock.stage(DEMUX):
                file = stack.enter_context(open_file(path))
            yield file

    with ExitStack() as stack:
        stack.enter_context(patch.object(reading, "open_file", timed_open_file))
        for owner, name, stage in (
            (TrackReader, "windows", DECODE),
            (soxr, "resample", RESAMPLE),
            (melspectrogram, "power_spectrogram", MEL),
            (melspectrogram, "mel_scaled", MEL),
            (NetworkModel, "embed_spectra", CNN),
            (track_analysis, "read_tags", TAGS),
        ):
            timed = clock.timed(stage, getattr(owner, name))
            stack.enter_context(patch.object(owner, name, timed))
        yield clock
