"""Tempo, musical key, loudness and brightness of a recording, without a network.

All of it comes from two Fourier transforms of the windows that analysis decodes anyway: short
frames (32 ms) for onsets, loudness and brightness, long ones (256 ms) for pitches. A window gives
some numbers (`measure`), those of all windows give the descriptors (`describe`), so that a track
can be analysed window by window, however long it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from indexer.features import key, loudness, tempo
from indexer.features.melspectrogram import LOG_GAIN, FrontEnd, mel_basis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FRAME_S = 0.032
HOP_S = 0.016
LONG_FRAME_S = 0.256
LONG_HOP_S = 0.128

_MEL_BANDS = 40
_LOW_BANDS = 4  # up to 400 Hz
_LOW_WEIGHT = 0.5
_SOUNDS = 1e-3  # frames 30 dB below the mean do not count for brightness


@dataclass(frozen=True)
class Descriptors:
    """Tempo, musical key, loudness and brightness of one recording.

    Attributes
    ----------
    tempo_bpm : float or None
        Beats a minute; None where no beat was found.
    tempo_confidence : float
        0 to 1: how clearly onsets recur at the beat.
    musical_key : str or None
        One of `indexer.features.key.KEYS`, such as "A minor"; None where no key was found.
    key_confidence : float
        0 to 1: the key's share among all 24.
    loudness_lufs : float or None
        Integrated loudness of the windows, see `indexer.features.loudness`; None if silent.
    brightness_hz : float or None
        Median of the spectral centroid of frames that sound.
    """

    tempo_bpm: float | None
    tempo_confidence: float
    musical_key: str | None
    key_confidence: float
    loudness_lufs: float | None
    brightness_hz: float | None


@dataclass(frozen=True)
class Measures:
    """Measures of some windows, from which their recording's descriptors are computed.

    Attributes
    ----------
    onsets : float32 (windows, frames - 1)
        Onset strength, `HOP_S` apart.
    powers : float32 (windows, frames)
        K-weighted mean squares.
    centroids_hz : float32 (windows, frames)
    pitches : float64 (12 * key.STEPS,)
        Pitch histogram of all the windows together.
    """

    onsets: NDArray[np.float32]
    powers: NDArray[np.float32]
    centroids_hz: NDArray[np.float32]
    pitches: NDArray[np.float64]


def measure(waveforms: NDArray[np.float32], *, sample_rate: int) -> Measures:
    """Measure windows of sound.

    Parameters
    ----------
    waveforms : float32 (windows, samples)
        Mono and finite; at least `LONG_FRAME_S` long.
    """
    import torch

    sound = torch.from_numpy(np.ascontiguousarray(waveforms))

    def power_spectrum(frame_s: float, hop_s: float) -> torch.Tensor:
        size = round(frame_s * sample_rate)
        spectrum = torch.stft(
            sound,
            size,
            round(hop_s * sample_rate),
            window=torch.hann_window(size),
            center=False,
            return_complex=True,
        )
        return spectrum.real.square().add_(spectrum.imag.square())

    basis, weighting, frequencies = (torch.from_numpy(table) for table in _tables(sample_rate))
    with torch.inference_mode():
        power = power_spectrum(FRAME_S, HOP_S)
        levels = torch.log10(1.0 + LOG_GAIN * (basis @ power))
        rises = torch.relu(levels.diff(dim=-1))
        onsets = rises.mean(dim=1) + _LOW_WEIGHT * rises[:, :_LOW_BANDS].mean(dim=1)
        powers = weighting @ power
        amplitude = power.sqrt_()
        centroids = (frequencies @ amplitude) / amplitude.sum(dim=1).clamp_min(1e-12)
        long = power_spectrum(LONG_FRAME_S, LONG_HOP_S).sqrt_()
    bin_hz = 1 / (round(LONG_FRAME_S * sample_rate) / sample_rate)
    return Measures(
        onsets.numpy(),
        powers.numpy(),
        centroids.numpy(),
        key.pitch_histogram(long.numpy(), bin_hz=bin_hz),
    )


def describe(measured: Sequence[Measures], *, channel_power_ratio: float) -> Descriptors:
    """Descriptors of a recording from the measures of its windows, at least one.

    Parameters
    ----------
    channel_power_ratio : float
        Power of the file's channels over that of their mean, which the windows hold.
    """
    powers = np.concatenate([each.powers for each in measured])
    centroids = np.concatenate([each.centroids_hz for each in measured])
    bpm, tempo_confidence = tempo.estimate_tempo(
        np.concatenate([each.onsets for each in measured]), frame_rate=1 / HOP_S
    )
    pitches = np.sum([each.pitches for each in measured], axis=0)
    musical_key, key_confidence = key.estimate_key(pitches)
    blocks = loudness.block_powers(powers, hop_s=HOP_S)
    lufs = loudness.integrated_loudness(blocks.ravel(), channel_power_ratio=channel_power_ratio)
    sounding = centroids[powers > _SOUNDS * powers.mean()]
    brightness = float(np.median(sounding)) if len(sounding) else None
    # Rounded to the precision that the methods have: people read these numbers.
    return Descriptors(
        tempo_bpm=None if bpm is None else round(bpm, 2),
        tempo_confidence=round(tempo_confidence, 3),
        musical_key=musical_key,
        key_confidence=round(key_confidence, 3),
        loudness_lufs=None if lufs is None else round(lufs, 2),
        brightness_hz=None if brightness is None else round(brightness, 1),
    )


@cache
def _tables(sample_rate: int) -> tuple[NDArray[np.float32], ...]:
    """Mel bands, K weighting to mean squares, and frequencies in Hz, over a short frame's bins."""
    size = round(FRAME_S * sample_rate)
    bins = np.arange(1 + size // 2)
    frequencies = bins * sample_rate / size
    basis = mel_basis(
        FrontEnd(
            sample_rate=sample_rate, n_fft=size, n_mels=_MEL_BANDS, fmin=30.0, fmax=sample_rate / 2
        )
    )
    # Parseval: both halves of the spectrum over the energy of the Hann window, 3/8 of its length.
    sides = np.where((bins == 0) | (2 * bins == size), 1.0, 2.0)
    weighting = loudness.k_weighting(frequencies) * sides / (size * size * 3 / 8)
    return basis, weighting.astype(np.float32), frequencies.astype(np.float32)
