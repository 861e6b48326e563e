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
from indexer.audio.reading import SAMPLE_RATE, WINDOW_S, open_track
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
    from indexer.audio.windows import Waveforms
    from indexer.catalog.records import StoredModel
    from indexer.models.registry import Model

LONGEST_S = 600.0
"""So much of a file is analysed, from its first sound on."""
MOST_WINDOWS = 24
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
    rates = sorted({SAMPLE_RATE, *model.sample_rates})
    # Pieces of one second: windows can begin at any of them, and at most one is lost at the
    # end. A second is a whole number of samples at any rate.
    with open_track(path, sample_rates=rates, window_s=1.0) as track:
        pieces: list[tuple[float, Waveforms]] = []
        for start_s, waveforms in track.stream():
            if pieces and start_s - pieces[0][0] > longest_s - 0.5:
                break
            pieces.append((start_s, waveforms))
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
    pieces: list[tuple[float, Waveforms]],
    model: Model,
    *,
    channel_power_ratio: float,
    most_windows: int,
) -> SignalAnalysis:
    start_s = pieces[0][0]
    sounds = {rate: _joined(pieces, rate) for rate in pieces[0][1]}
    samples = sounds[SAMPLE_RATE]
    seconds = len(samples) // SAMPLE_RATE
    hop_s = max(1, math.ceil(seconds / most_windows))
    starts_s = np.arange(0, max(1, seconds - int(WINDOW_S) + 1), hop_s)
    windows = {rate: _windows(sound, starts_s, rate) for rate, sound in sounds.items()}
    sounding = np.abs(windows[SAMPLE_RATE]).max(axis=1) > SILENCE
    if not sounding.any():
        raise Silent(f"{display_path(path)} is silent (almost) all through", stage="signal")
    vectors = np.full((len(starts_s), model.info.dim), np.nan, np.float32)
    activations = np.full((len(starts_s), len(model.info.tag_names)), np.nan, np.float32)
    features = []
    for row in np.flatnonzero(sounding).tolist():
        of_window = model.embed({rate: each[row : row + 1] for rate, each in windows.items()})
        # Each pooled by itself, so that it lies where the vectors of whole tracks lie.
        vectors[row], activations[row] = model.pool([of_window])
        features.append(of_window)
    every = max(1, -(-int(WINDOW_S) // hop_s))
    apart = windows[SAMPLE_RATE][::every][sounding[::every]]
    measured = apart if len(apart) else windows[SAMPLE_RATE][sounding]
    return SignalAnalysis(
        facts,
        read_tags(path),
        SAMPLE_RATE,
        start_s,
        samples,
        mel_decibels(samples, SAMPLE_RATE),
        onset_strength(samples, SAMPLE_RATE),
        start_s + starts_s.astype(np.float64),
        WINDOW_S,
        float(hop_s),
        vectors,
        activations,
        model.pool(features)[0],
        describe(
            [measure(measured, sample_rate=SAMPLE_RATE)], channel_power_ratio=channel_power_ratio
        ),
    )


def _joined(pieces: list[tuple[float, Waveforms]], rate: int) -> NDArray[np.float32]:
    """Pieces of one second at one sample rate as one sound; silence where there is none."""
    offsets = [round((at - pieces[0][0]) * rate) for at, _ in pieces]
    samples = np.zeros(offsets[-1] + rate, np.float32)
    for offset, (_, piece) in zip(offsets, pieces, strict=True):
        samples[offset : offset + rate] = piece[rate]
    return samples


def _windows(
    samples: NDArray[np.float32], starts_s: NDArray[np.int64], rate: int
) -> NDArray[np.float32]:
    """Windows (windows, samples) that begin at some seconds; one, repeated, of a short sound."""
    size = int(WINDOW_S * rate)
    if len(samples) < size:
        return np.resize(samples, (1, size))
    return np.stack([samples[start : start + size] for start in (starts_s * rate).tolist()])


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
