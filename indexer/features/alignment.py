"""Fingerprints of sounds (coarse log-mel spectrograms) and their alignment.

Two encodings of one recording have nearly the same fingerprint, whatever their loudness, and a cut
has a part of it: the lag at which two fingerprints correlate best is where one lies in the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.audio.reading import open_track
from indexer.features.melspectrogram import FrontEnd, mel_basis

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLE_RATE = 8000
FRAME = 1024
HOP = 384
BANDS = 24
FRAMES_PER_S = SAMPLE_RATE / HOP
LONGEST_S = 60.0
"""Length of sound that a file's fingerprint covers, from its first sound on."""
FLOOR = 1e-4
"""Power relative to the loudest frame's (-40 dB) below which lossy coders change most."""
LEAST_OVERLAP_S = 8.0
"""Least overlap at which two long sounds are compared."""
LEAST_OVERLAP = 0.5
"""Least overlap at which two sounds are compared, as a share of the shorter one."""


@dataclass(frozen=True)
class Alignment:
    """The lag at which two sounds coincide best, and how well.

    Attributes
    ----------
    correlation : float
        Of the fingerprints where they overlap, from -1 to 1; 1 is the same sound.
    lag_s : float
        How much later the common sound begins in the first than in the second, in seconds.
    overlap_s : float
        How long both last at this lag.
    """

    correlation: float
    lag_s: float
    overlap_s: float


def file_fingerprint(path: bytes) -> NDArray[np.float16]:
    """Fingerprint of a file's first `LONGEST_S` of sound.

    Raises
    ------
    AnalysisError
        The file has no usable sound; its class says why.
    """
    pieces: list[NDArray[np.float32]] = []
    length = end = 0
    with open_track(path, sample_rates=(SAMPLE_RATE,), window_s=1.0) as track:
        for start_s, waveforms in track.stream():
            at = round(start_s * SAMPLE_RATE)
            # The stream leaves silence out; a short one keeps its time in the fingerprint.
            gap = np.zeros(min(max(0, at - end), round(LONGEST_S * SAMPLE_RATE)), np.float32)
            pieces += [gap, waveforms[SAMPLE_RATE]]
            length += SAMPLE_RATE
            end = at + SAMPLE_RATE
            if length >= LONGEST_S * SAMPLE_RATE:
                break
    return fingerprint(np.concatenate(pieces))


def fingerprint(waveform: NDArray[np.float32]) -> NDArray[np.float16]:
    """Fingerprint of a sound.

    The logarithm of the power in mel bands, less what loudness, equalisation and coders change:
    the mean of each frame over its bands, then the mean of each band over time.

    Parameters
    ----------
    waveform : float32 (samples,)
        At `SAMPLE_RATE`, `FRAME` samples or more.

    Returns
    -------
    float16 (frames, `BANDS`), `FRAMES_PER_S` frames a second
    """
    frames = np.lib.stride_tricks.sliding_window_view(waveform, FRAME)[::HOP]
    hann = np.hanning(FRAME + 1)[:-1].astype(np.float32)
    basis = mel_basis(
        FrontEnd(
            sample_rate=SAMPLE_RATE, n_fft=FRAME, n_mels=BANDS, fmin=60.0, fmax=SAMPLE_RATE / 2
        )
    )
    power = np.empty((len(frames), BANDS), np.float32)
    for start in range(0, len(frames), 256):
        spectrum = np.fft.rfft(frames[start : start + 256] * hann)
        power[start : start + 256] = (np.abs(spectrum) ** 2).astype(np.float32) @ basis.T
    levels = np.log10(power + FLOOR * power.max())
    levels -= levels.mean(axis=1, keepdims=True)
    levels -= levels.mean(axis=0)
    return np.asarray(levels, dtype=np.float16)


def align(first: NDArray[np.float16], second: NDArray[np.float16]) -> Alignment:
    """Align two fingerprints (frames, `BANDS`) at the lag where they correlate best.

    For each lag the correlation over the overlap, each band less its mean there; the products of
    all lags come from one Fourier transform.
    """
    one, other = first.astype(np.float64), second.astype(np.float64)
    # The next power of two after the sum of the lengths, so that nothing wraps around.
    size = 1 << (len(one) + len(other)).bit_length()
    spectra = np.fft.rfft(one, size, axis=0) * np.fft.rfft(other, size, axis=0).conj()
    lags = np.arange(1 - len(other), len(one))
    start, stop = np.maximum(lags, 0), np.minimum(len(one), len(other) + lags)
    frames = stop - start
    one_sum, one_energy = _between(one, start, stop, frames)
    other_sum, other_energy = _between(other, start - lags, stop - lags, frames)
    products = np.fft.irfft(spectra.sum(axis=1), size)[lags % size]
    products -= np.einsum("lb,lb->l", one_sum, other_sum) / frames
    energy = one_energy * other_energy
    shorter = min(len(one), len(other))
    least = min(shorter, max(LEAST_OVERLAP * shorter, LEAST_OVERLAP_S * FRAMES_PER_S))
    correlations = np.full(len(lags), -1.0)
    fits = (frames >= least) & (energy > 0)
    correlations[fits] = products[fits] / np.sqrt(energy[fits])
    best = int(np.argmax(correlations))
    return Alignment(
        float(np.clip(correlations[best], -1, 1)),
        float(lags[best] / FRAMES_PER_S),
        float(frames[best] / FRAMES_PER_S),
    )


def _between(
    rows: NDArray[np.float64],
    start: NDArray[np.int64],
    stop: NDArray[np.int64],
    frames: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum of each band over stretches of frames, and the energy about the bands' means."""
    sums = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0)])
    energy = np.concatenate([[0.0], np.cumsum(np.einsum("fb,fb->f", rows, rows))])
    total = sums[stop] - sums[start]
    about = energy[stop] - energy[start] - np.einsum("lb,lb->l", total, total) / frames
    return total, np.maximum(about, 0.0)
