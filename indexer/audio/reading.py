"""Windows of sound of an audio file: mono, 16 kHz, float32, as the network takes them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from indexer.audio.container import open_file
from indexer.audio.windows import Grid, TrackReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

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
    skip_if: Callable[[bytes], bool] | None = None,
) -> Windows | AudioFacts:
    """Windows spread over a track, or its facts alone if its audio is known.

    Parameters
    ----------
    path : bytes, str or path
        Any name the file system has.
    sample_rate, window_samples : int
        Of the windows: what the network's front end takes.
    count : int
        Windows at most; see `TrackReader.windows`.
    skip_if : callable, optional
        Called with the audio hash; where it returns True nothing is decoded.

    Raises
    ------
    AnalysisError
        The subclass says why the file has no windows.
    """
    with open_track(path, sample_rate=sample_rate, window_samples=window_samples) as track:
        if skip_if is not None and skip_if(track.facts.audio_hash):
            return track.facts
        return track.windows(count)


def stream_windows(
    path: AnyPath, *, sample_rate: int = SAMPLE_RATE, window_samples: int = WINDOW_SAMPLES
) -> Iterator[tuple[float, NDArray[np.float32]]]:
    """All windows of a track, one after the other; see `TrackReader.stream`.

    Holds a few seconds of sound at a time, however long the track is.

    Raises
    ------
    AnalysisError
        The subclass says why the file has no windows, some only once the stream has begun.
    """
    with open_track(path, sample_rate=sample_rate, window_samples=window_samples) as track:
        yield from track.stream()
