"""Analysis of one file: facts, tags, embedding, tag activations, descriptors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.audio.error_translation import translate_errors
from indexer.audio.reading import open_track
from indexer.audio.tags import Tags, read_tags
from indexer.errors import Corrupt
from indexer.features.descriptors import Descriptors, Measures, describe, measure
from indexer.filesystem import display_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from indexer.audio.container import AudioFacts
    from indexer.audio.windows import TrackReader
    from indexer.models.registry import Model

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
    front_end = model.info.front_end
    window_s = front_end.window_samples / front_end.sample_rate
    return open_track(path, sample_rates=(front_end.sample_rate,), window_s=window_s)


def _analyse_track(path: bytes, track: TrackReader, model: Model, windows: int) -> TrackAnalysis:
    name, rate = display_path(path), model.info.front_end.sample_rate
    measured: list[Measures] = []
    embedded: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
    for waveforms in _waveform_batches(track, windows, rate):
        with translate_errors(name, stage="descriptors"):
            measured.append(measure(waveforms, sample_rate=rate))
        with translate_errors(name, stage="network"):
            embedded.append(model.embed_windows(waveforms))
    with translate_errors(name, stage="descriptors"):
        descriptors = describe(measured, channel_power_ratio=track.channel_power_ratio)
    with translate_errors(name, stage="network"):
        embedding, activations = _pool(model, embedded, name)
    count = sum(len(vectors) for vectors, _ in embedded)
    return TrackAnalysis(track.facts, _tags(path), embedding, activations, count, descriptors)


def _tags(path: bytes) -> Tags:
    with translate_errors(display_path(path), stage="tags"):
        return read_tags(path)


def _pool(
    model: Model, embedded: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]], name: str
) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    """Embedding (dim,) and tag activations (tags,) of a track, from those of its windows."""
    embeddings = np.concatenate([vectors for vectors, _ in embedded])
    if not np.isfinite(embeddings).all():
        message = f"{name!r} has an embedding that is not finite; replace it by a good copy"
        raise Corrupt(message, stage="network")
    pooled, activations = model.pool(embeddings, np.concatenate([tags for _, tags in embedded]))
    return pooled.astype(np.float16), activations.astype(np.float16)


def _waveform_batches(track: TrackReader, windows: int, rate: int) -> Iterator[NDArray[np.float32]]:
    """Waveforms to embed, (windows, samples) at a time, so that one batch is held at most."""
    if windows != ALL_WINDOWS:
        yield track.windows(windows).waveforms[rate]
        return
    for _start, waveforms in track.stream():
        yield waveforms[rate][np.newaxis]
