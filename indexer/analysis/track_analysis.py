"""One file to one `TrackAnalysis`: the only function a worker runs. It knows no database."""

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
"""Windows of 3 s a track is heard through."""
ALL_WINDOWS = 0
"""In place of a number of windows: hear all of the track, as a stream."""


@dataclass(frozen=True)
class TrackAnalysis:
    """What a worker has found out about one file.

    Attributes
    ----------
    embedding : float16 (dim,), unit length, or None when the recording was known already
    activations : float16 (tags,), probabilities, or None likewise
    windows : int
        Windows heard by the network; 0 when the recording was known.
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
    describe_skipped: bool = False,
) -> TrackAnalysis:
    """Hear one file.

    Parameters
    ----------
    path : bytes
        The file, as `os.fsencode` gives it.
    windows : int
        How many windows to spread over the track; `ALL_WINDOWS` hears all of it, in bounded memory.
    skip_if : function of an audio hash to bool
        Where it says yes, the recording is known and nothing is decoded.
    describe_skipped : bool
        Decode a known recording nevertheless, for its descriptors alone.

    Raises
    ------
    AnalysisError
        The file has no usable sound; its kind and stage say why.
    """
    front_end = model.info.front_end
    with open_track(
        path, sample_rate=front_end.sample_rate, window_samples=front_end.window_samples
    ) as track:
        known = skip_if is not None and skip_if(track.facts.audio_hash)
        if known and not describe_skipped:
            return TrackAnalysis(track.facts, read_tags(path), None, None, 0)
        measured: list[Measures] = []
        heard: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
        for pieces in _pieces(track, windows):
            measured.append(measure(pieces, sample_rate=front_end.sample_rate))
            if not known:
                heard.append(model.embed_windows(pieces))
        descriptors = describe(measured, spread=track.spread)
        if known:
            return TrackAnalysis(track.facts, read_tags(path), None, None, 0, descriptors)
        embeddings = np.concatenate([embedded for embedded, _ in heard])
        activations = np.concatenate([active for _, active in heard])
        if not np.isfinite(embeddings).all():
            raise Corrupt(
                f"{display_path(path)} leads to an embedding that is not finite", stage="network"
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


def _pieces(track: TrackReader, windows: int) -> Iterator[NDArray[np.float32]]:
    """The waveforms to hear, (windows, samples) a piece, so that only one piece is ever held."""
    if windows != ALL_WINDOWS:
        yield track.windows(windows).waveforms
        return
    for _start, waveform in track.stream():
        yield waveform[np.newaxis]
