"""The sound of a file as arrays, analysed in a worker: what pictures of it are made of.

Files are untrusted, so they are decoded where indexing decodes them: in a worker process with
limits of memory, CPU and wall time, which returns finite arrays of a bounded size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.analysis.pools import AnalysisPool, ModelWorker
from indexer.audio.reading import open_track
from indexer.audio.tags import Tags, read_tags
from indexer.audio.windows import SILENCE
from indexer.errors import Silent
from indexer.features.descriptors import Descriptors, describe, measure
from indexer.features.melspectrogram import LOG_GAIN, FrontEnd, log_mel
from indexer.filesystem import display_path

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from indexer.audio.container import AudioFacts
    from indexer.catalog.records import StoredModel
    from indexer.models.registry import Model

LONGEST_S = 600.0
"""So much of a file is analysed, from its first sound on."""
MOST_WINDOWS = 180
"""At most so many windows are embedded, whole seconds apart."""
HOP_S = 0.016
"""Seconds from one frame of `decibels` and `onsets` to the next."""
MEL_BANDS = 128
_FLOOR = 1e-9
_FRAME_S = 0.064
PIECE_S = 60.0
"""So much is transformed at a time: the spectra of all would not fit into memory."""
# A frame of the spectrogram, and one that pitches are measured by, begin and end within it.
_MARGIN_FRAMES = 24


@dataclass(frozen=True)
class SignalAnalysis:
    """A sound as arrays.

    Attributes
    ----------
    facts, tags
        Of the file.
    sample_rate : int
        Of `samples`, in Hz: the model's.
    start_s : float
        Where in the file `samples` begin: at the first sound.
    samples : float32 (n,)
        Mono, in whole seconds; zeros where the file is silent or cannot be decoded.
    decibels : float16 (frames, MEL_BANDS)
        Mel power, `HOP_S` apart, on a scale of its own.
    onsets : float32 (frames - 1,)
        Onset strength, `HOP_S` apart.
    windows_s : float64 (w,)
        Where in the file each window begins.
    window_s, window_hop_s : float
    vectors : float32 (w, dim)
        Unit embedding of each window; NaN where it is silent.
    activations : float32 (w, tags)
        Probability of each tag; NaN where it is silent.
    vector : float32 (dim,), unit length
        Of all the windows together.
    descriptors : Descriptors
    """

    facts: AudioFacts
    tags: Tags
    sample_rate: int
    start_s: float
    samples: NDArray[np.float32]
    decibels: NDArray[np.float16]
    onsets: NDArray[np.float32]
    windows_s: NDArray[np.float64]
    window_s: float
    window_hop_s: float
    vectors: NDArray[np.float32]
    activations: NDArray[np.float32]
    vector: NDArray[np.float32]
    descriptors: Descriptors

    @property
    def end_s(self) -> float:
        """Where in the file `samples` end."""
        return self.start_s + len(self.samples) / self.sample_rate


def analyse_signal(
    path: bytes,
    model: Model,
    *,
    longest_s: float = LONGEST_S,
    most_windows: int = MOST_WINDOWS,
) -> SignalAnalysis:
    """Decode and analyse a file from its first sound on, up to `longest_s`.

    Raises
    ------
    AnalysisError
        The file has no usable sound; its kind and stage say why.
    """
    rate = model.info.front_end.sample_rate
    # Pieces of one second: windows can begin at any of them, and at most one is lost at the
    # end. A second is a whole number of samples at any rate.
    with open_track(path, sample_rates=(rate,), window_s=1.0) as track:
        pieces: list[tuple[float, NDArray[np.float32]]] = []
        for start_s, waveforms in track.stream():
            if pieces and start_s - pieces[0][0] > longest_s - 0.5:
                break
            pieces.append((start_s, waveforms[rate]))
    return _analyse_pieces(
        path,
        track.facts,
        pieces,
        model,
        channel_power_ratio=track.channel_power_ratio,
        most_windows=most_windows,
    )


def analyse_signals(paths: Sequence[bytes], model: StoredModel) -> list[SignalAnalysis]:
    """Analyse files with a catalog's model, in a worker under limits.

    Raises
    ------
    AnalysisError
        Of the first file that has no usable sound.
    ModelMissing, ModelMismatch, WorkersFailed
    """
    with AnalysisPool(model.name, model.fingerprint) as pool:
        return [pool.run(_analyse_file, path) for path in paths]


def _analyse_file(worker: ModelWorker, path: bytes) -> SignalAnalysis:
    return analyse_signal(path, worker.model)


def _analyse_pieces(
    path: bytes,
    facts: AudioFacts,
    pieces: list[tuple[float, NDArray[np.float32]]],
    model: Model,
    *,
    channel_power_ratio: float,
    most_windows: int,
) -> SignalAnalysis:
    rate, size = model.info.front_end.sample_rate, model.info.front_end.window_samples
    start_s = pieces[0][0]
    offsets = [round((at - start_s) * rate) for at, _ in pieces]
    samples = np.zeros(offsets[-1] + rate, np.float32)
    for offset, (_, piece) in zip(offsets, pieces, strict=True):
        samples[offset : offset + rate] = piece
    hop = max(1, math.ceil(len(samples) / rate / most_windows)) * rate
    starts = np.arange(0, max(1, len(samples) - size + 1), hop)
    if len(samples) < size:
        windows = np.resize(samples, (1, size))
    else:
        windows = np.stack([samples[start : start + size] for start in starts.tolist()])
    sounding = np.abs(windows).max(axis=1) > SILENCE
    if not sounding.any():
        raise Silent(f"{display_path(path)} is silent (almost) all through", stage="signal")
    embeddings, active = model.embed_windows(windows[sounding])
    vectors = np.full((len(windows), model.info.dim), np.nan, np.float32)
    # Each pooled by itself, so that it lies where the vectors of whole tracks lie.
    vectors[sounding] = [
        model.pool(embeddings[row : row + 1], active[row : row + 1])[0]
        for row in range(len(active))
    ]
    activations = np.full((len(windows), active.shape[1]), np.nan, np.float32)
    activations[sounding] = active
    every = max(1, -(-size // hop))
    apart = windows[::every][sounding[::every]]
    return SignalAnalysis(
        facts,
        read_tags(path),
        rate,
        start_s,
        samples,
        mel_decibels(samples, rate),
        onset_strength(samples, rate),
        start_s + starts / rate,
        size / rate,
        hop / rate,
        vectors,
        activations,
        model.pool(embeddings, active)[0],
        describe(
            [measure(apart if len(apart) else windows[sounding], sample_rate=rate)],
            channel_power_ratio=channel_power_ratio,
        ),
    )


def mel_decibels(
    samples: NDArray[np.float32], rate: int, *, piece_s: float = PIECE_S
) -> NDArray[np.float16]:
    """Power in mel bands in dB, float16 (frames, `MEL_BANDS`)."""
    import torch

    front_end = FrontEnd(
        sample_rate=rate,
        n_fft=round(_FRAME_S * rate),
        hop_length=round(HOP_S * rate),
        n_mels=MEL_BANDS,
        fmax=rate / 2,
    )

    def decibels(piece: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            levels = log_mel(torch.from_numpy(piece), front_end=front_end).numpy()
        power = (10.0**levels - 1.0) / LOG_GAIN
        return np.asarray(10.0 * np.log10(np.maximum(power, _FLOOR)))

    return _apply_to_frames(decibels, samples, rate, piece_s=piece_s).astype(np.float16)


def onset_strength(
    samples: NDArray[np.float32], rate: int, *, piece_s: float = PIECE_S
) -> NDArray[np.float32]:
    """Onset strength between each frame and the next, float32 (frames - 1,)."""
    return _apply_to_frames(
        lambda piece: measure(piece[np.newaxis], sample_rate=rate).onsets[0],
        samples,
        rate,
        piece_s=piece_s,
    )


def _apply_to_frames(
    function: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    samples: NDArray[np.float32],
    rate: int,
    *,
    piece_s: float,
) -> NDArray[np.float32]:
    """Values of a function for each frame, computed in pieces that overlap by a margin."""
    hop = round(HOP_S * rate)
    margin, step = _MARGIN_FRAMES * hop, round(piece_s / HOP_S) * hop
    kept = []
    for start in range(0, len(samples), step):
        low = max(0, start - margin)
        found = function(samples[low : start + step + margin])
        kept.append(found[(start - low) // hop :][: step // hop])
    return np.concatenate(kept)
