"""Analysis of one file: facts, tags, embedding, tag activations, descriptors."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from indexer.audio.error_translation import translate_errors
from indexer.audio.reading import SAMPLE_RATE, open_track
from indexer.audio.tags import Tags, read_tags
from indexer.errors import Corrupt
from indexer.features.descriptors import Descriptors, Measures, describe, measure
from indexer.filesystem import display_path
from indexer.models.model import BATCH_WINDOWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from indexer.audio.container import AudioFacts
    from indexer.audio.windows import TrackReader, Waveforms
    from indexer.models.model import Features, Model

DEFAULT_WINDOWS = 12
"""Windows of 3 s that are embedded of a track."""
ALL_WINDOWS = 0
"""In place of a number of windows: embed all of the track, in bounded memory."""


@dataclass(frozen=True)
class TrackAnalysis:
    """Result of analysing one file.

    Attributes
    ----------
    embedding : float16 (dim,), unit length
    activations : float16 (tags,)
        Probability of each tag.
    windows : int
        Windows that were embedded.
    """

    facts: AudioFacts
    tags: Tags
    embedding: NDArray[np.float16]
    activations: NDArray[np.float16]
    windows: int
    descriptors: Descriptors


@dataclass(frozen=True)
class KnownRecording:
    """Facts and tags of a file whose recording is embedded already; nothing was decoded."""

    facts: AudioFacts
    tags: Tags


def analyse(path: bytes, model: Model, *, windows: int = DEFAULT_WINDOWS) -> TrackAnalysis:
    """Analyse one file.

    Parameters
    ----------
    path : bytes
        The file, as `os.fsencode` gives it.
    windows : int
        How many windows to spread over the track, or `ALL_WINDOWS`.

    Raises
    ------
    AnalysisError
        The file has no usable sound; its class and stage say why.
    """
    with _open(path, model) as track:
        return _analyse_track(path, track, model, windows)


def analyse_unless_known(
    path: bytes,
    model: Model,
    is_known: Callable[[bytes], bool],
    *,
    windows: int = DEFAULT_WINDOWS,
) -> TrackAnalysis | KnownRecording:
    """Analyse one file, as `analyse`, unless the recording with its audio hash is known.

    Raises
    ------
    AnalysisError
    """
    with _open(path, model) as track:
        if is_known(track.facts.audio_hash):
            return KnownRecording(track.facts, _tags(path))
        return _analyse_track(path, track, model, windows)


def _open(path: bytes, model: Model) -> AbstractContextManager[TrackReader]:
    return open_track(path, sample_rates=sorted({SAMPLE_RATE, *model.sample_rates}))


def _analyse_track(path: bytes, track: TrackReader, model: Model, windows: int) -> TrackAnalysis:
    name = display_path(path)
    measured: list[Measures] = []
    embedded: list[Features] = []
    for waveforms in _waveform_batches(track, windows):
        with translate_errors(name, stage="descriptors"):
            measured.append(measure(waveforms[SAMPLE_RATE], sample_rate=SAMPLE_RATE))
        with translate_errors(name, stage="network"):
            embedded.append(model.embed(waveforms))
    with translate_errors(name, stage="descriptors"):
        descriptors = describe(measured, channel_power_ratio=track.channel_power_ratio)
    with translate_errors(name, stage="network"):
        embedding, activations = _pool(model, embedded, name)
    count = sum(batch.windows for batch in embedded)
    return TrackAnalysis(track.facts, _tags(path), embedding, activations, count, descriptors)


def _tags(path: bytes) -> Tags:
    with translate_errors(display_path(path), stage="tags"):
        return read_tags(path)


def _pool(
    model: Model, embedded: Sequence[Features], name: str
) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    """Embedding (dim,) and tag activations (tags,) of a track, from those of its windows."""
    if not all(np.isfinite(batch.vector).all() for batch in embedded):
        message = f"{name!r} has an embedding that is not finite; replace it by a good copy"
        raise Corrupt(message, stage="network")
    pooled, activations = model.pool(embedded)
    return pooled.astype(np.float16), activations.astype(np.float16)


def _waveform_batches(track: TrackReader, windows: int) -> Iterator[Waveforms]:
    """Waveforms to embed by sample rate, at most `BATCH_WINDOWS` windows at a time."""
    if windows == ALL_WINDOWS:
        yield from _streamed_batches(track)
        return
    whole = track.windows(windows).waveforms
    count = len(whole[SAMPLE_RATE])
    batches = -(-count // BATCH_WINDOWS)
    ends = [count * batch // batches for batch in range(batches + 1)]
    for begin, end in pairwise(ends):
        yield {rate: samples[begin:end] for rate, samples in whole.items()}


def _streamed_batches(track: TrackReader) -> Iterator[Waveforms]:
    """All windows of a track, so that one batch of them is held at most."""
    waiting: list[Waveforms] = []
    for _start, waveforms in track.stream():
        waiting.append(waveforms)
        if len(waiting) == BATCH_WINDOWS:
            yield _stacked(waiting)
            waiting = []
    if waiting:
        yield _stacked(waiting)


def _stacked(windows: Sequence[Waveforms]) -> Waveforms:
    return {rate: np.stack([one[rate] for one in windows]) for rate in windows[0]}
