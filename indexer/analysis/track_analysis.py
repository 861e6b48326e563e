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
    embedding : float16 (dim,) or None
        Of unit length; None where the recording is known already.
    activations : float16 (tags,) or None
        Probability of each tag; None likewise.
    windows : int
        Windows that were embedded; 0 where the recording is known.
    descriptors : Descriptors or None
        None when nothing was decoded.
    """

    facts: AudioFacts
    tags: Tags
    embedding: NDArray[np.float16] | None
    activations: NDArray[np.float16] | None
    windows: int
    descriptors: Descriptors | None = None


def analyse(
    path: bytes,
    model: Model,
    *,
    windows: int = DEFAULT_WINDOWS,
    skip_if: Callable[[bytes], bool] | None = None,
) -> TrackAnalysis:
    """Analyse one file.

    Parameters
    ----------
    path : bytes
        The file, as `os.fsencode` gives it.
    windows : int
        How many windows to spread over the track, or `ALL_WINDOWS`.
    skip_if : function of an audio hash to bool
        Where it returns True, the recording is known and nothing is decoded.

    Raises
    ------
    AnalysisError
        The file has no usable sound; its class and stage say why.
    """
    front_end = model.info.front_end
    name = display_path(path)
    with open_track(
        path, sample_rate=front_end.sample_rate, window_samples=front_end.window_samples
    ) as track:
        if skip_if is not None and skip_if(track.facts.audio_hash):
            return TrackAnalysis(track.facts, _tags(path), None, None, 0)
        measured: list[Measures] = []
        embedded: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
        for waveforms in _waveform_batches(track, windows):
            with translate_errors(name, stage="descriptors"):
                measured.append(measure(waveforms, sample_rate=front_end.sample_rate))
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
        message = f"{name!r} has an embedding that is not finite; replace it by a good copy."
        raise Corrupt(message, stage="network")
    pooled, activations = model.pool(embeddings, np.concatenate([tags for _, tags in embedded]))
    return pooled.astype(np.float16), activations.astype(np.float16)


def _waveform_batches(track: TrackReader, windows: int) -> Iterator[NDArray[np.float32]]:
    """Waveforms to embed, (windows, samples) at a time, so that one batch is held at most."""
    if windows != ALL_WINDOWS:
        yield track.windows(windows).waveforms
        return
    for _start, waveform in track.stream():
        yield waveform[np.newaxis]
