"""Windows of sound of an audio file: mono, float32, at the rates that networks take."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from indexer.audio.container import open_file
from indexer.audio.windows import Grid, TrackReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from indexer.audio.container import AudioFacts
    from indexer.audio.opening import AnyPath
    from indexer.audio.windows import Windows

SAMPLE_RATE = 16_000
WINDOW_S = 3.0


@contextmanager
def open_track(
    path: AnyPath, *, sample_rates: Sequence[int] = (SAMPLE_RATE,), window_s: float = WINDOW_S
) -> Iterator[TrackReader]:
    """Open a track and demux it, without decoding anything yet.

    Parameters
    ----------
    path : bytes, str or path
        Any name the file system has.
    sample_rates : sequence of int
        Rates of the windows in Hz: each window is decoded once and resampled once to each.
    window_s : float
        Length of a window in seconds.

    Raises
    ------
    AnalysisError
        As `open_file`; the stage is "open" or "hash".
    """
    with open_file(path) as file:
        grid = Grid(file.facts.sample_rate, tuple(sample_rates))
        yield TrackReader(file, grid, window_s)


def read_facts(path: AnyPath) -> AudioFacts:
    """Facts of a file's audio and its hash, without decoding it.

    Raises
    ------
    AnalysisError
        As `open_file`.
    """
    with open_file(path) as file:
        return file.facts


def read_windows(
    path: AnyPath,
    *,
    sample_rates: Sequence[int] = (SAMPLE_RATE,),
    window_s: float = WINDOW_S,
    count: int = 12,
) -> Windows:
    """At most `count` windows spread over a track; see `open_track` and `TrackReader.windows`.

    Raises
    ------
    AnalysisError
        The subclass says why the file has no windows.
    """
    with open_track(path, sample_rates=sample_rates, window_s=window_s) as track:
        return track.windows(count)
