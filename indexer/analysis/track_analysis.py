"""Analysis of one file: facts, tags, embedding, tag activations, descriptors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.audio.reading import open_track
from indexer.audio.tags import Tags, read_tags
from indexer.errors import Corrupt
from indexer.features.descriptors import Descriptors, Measures, describe, measure
from indexer.filesystem import display_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
    with open_track(
        path, sample_rate=front_end.sample_rate, window_samples=front_end.window_samples
    ) as track:
        if skip_if is not None and skip_if(track.facts.audio_hash):
            return TrackAnalysis(track.facts, read_tags(path), None, None, 0)
        measured: list[Measures] = []
        embedded: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
        for waveforms in _waveform_batches(track, windows):
            measured.append(measure(waveforms, sample_rate=front_end.sample_rate))
            embedded.append(model.embed_windows(waveforms))
        descriptors = describe(measured, channel_power_ratio=track.channel_power_ratio)
        embeddings = np.concatenate([vectors for vectors, _ in embedded])
        activations = np.concatenate([tags for _, tags in embedded])
        if not np.isfinite(embeddings).all():
            raise Corrupt(
                f"{display_path(path)} has an embedding that is not finite: replace it",
                stage="network",
            )
        embedding, mean_activations = model.pool(embeddings, activations)
        return TrackAnalysis(
            track.facts,
            read_tags(path),
            embedding.astype(np.float16),
            mean_activations.astype(np.float16),
            len(embeddings),
            descriptors,
        )


def _waveform_batches(track: TrackReader, windows: int) -> Iterator[NDArray[np.float32]]:
    """Waveforms to embed, (windows, samples) at a time, so that one batch is held at most."""
    if windows != ALL_WINDOWS:
        yield track.windows(windows).waveforms
        return
    for _start, waveform in track.stream():
        yield waveform[np.newaxis]
