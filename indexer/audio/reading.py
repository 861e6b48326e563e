"""Windows of sound of an audio file: mono, 16 kHz, float32, as the network takes them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from indexer.audio.container import open_file
from indexer.audio.windows import Grid, TrackReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from indexer.audio.container import AudioFacts
    from indexer.audio.opening import AnyPath
    from indexer.audio.windows import Windows

SAMPLE_RATE = 16_000
WINDOW_SAMPLES = 48_000


@contextmanager
def open_track(
    path: AnyPath, *, sample_rate: int = SAMPLE_RATE, window_samples: int = WINDOW_SAMPLES
) -> Iterator[TrackReader]:
    """Open a track and demux it, without decoding anything yet.

    Raises
    ------
    AnalysisError
        As `open_file`; the stage is "open" or "hash".
    """
    with open_file(path) as file:
        grid = Grid(file.facts.sample_rate, sample_rate)
        yield TrackReader(file, grid, window_samples)


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
    sample_rate: int = SAMPLE_RATE,
    window_samples: int = WINDOW_SAMPLES,
    count: int = 12,
) -> Windows:
    """At most `count` windows spread over a track; see `TrackReader.windows`.

    Parameters
    ----------
    path : bytes, str or path
        Any name the file system has.
    sample_rate, window_samples : int
        Of the windows: what the network's front end takes.

    Raises
    ------
    AnalysisError
        The subclass says why the file has no windows.
    """
    with open_track(path, sample_rate=sample_rate, window_samples=window_samples) as track:
        return track.windows(count)
