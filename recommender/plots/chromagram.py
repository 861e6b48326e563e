"""Strength of the twelve pitch classes over time (Ellis 2007, "Chroma feature analysis").

The figures are those of `librosa.feature.chroma_stft` with `tuning=0`, without loading librosa,
which would compile code for seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import rfft

if TYPE_CHECKING:
    from numpy.typing import NDArray

_A0_HZ = 27.5
_PITCH_CLASSES = 12
_A_ABOVE_C = 9
# Octaves around the fifth above A0 count most, those two octaves away by 0.6.
_CENTRE_OCTAVE, _OCTAVE_WIDTH = 5.0, 2.0
_BLOCK = 256


def chromagram(
    samples: NDArray[np.float32], *, sample_rate: int, n_fft: int, hop_length: int
) -> NDArray[np.float32]:
    """Strength of each pitch class in each frame, the strongest of a frame being 1.

    Parameters
    ----------
    samples : float32 (n,)
    sample_rate : int
        In Hz.
    n_fft, hop_length : int
        Length of a frame, and from the middle of one frame to that of the next, in samples.

    Returns
    -------
    float32 (12, 1 + n // hop_length)
        From C upwards; zeros where a frame is silent.
    """
    basis = chroma_basis(sample_rate=sample_rate, n_fft=n_fft)
    padded = np.pad(samples, n_fft // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop_length]
    hann = np.hanning(n_fft + 1)[:-1].astype(np.float32)
    chroma = np.empty((_PITCH_CLASSES, len(frames)), np.float32)
    for start in range(0, len(frames), _BLOCK):
        spectra = rfft(frames[start : start + _BLOCK] * hann, axis=1)
        chroma[:, start : start + _BLOCK] = basis @ (np.abs(spectra) ** 2).T
    strongest = chroma.max(axis=0)
    tiny = np.finfo(np.float32).tiny
    return np.asarray(chroma / np.where(strongest < tiny, 1, strongest), dtype=np.float32)


def chroma_basis(*, sample_rate: int, n_fft: int) -> NDArray[np.float32]:
    """Weight of each bin of a power spectrum in each pitch class, float32 (12, 1 + n_fft // 2)."""
    hz = np.arange(1, n_fft) * sample_rate / n_fft
    pitch = _PITCH_CLASSES * np.log2(hz / _A0_HZ)
    # The bin at 0 Hz has no pitch; it lies far enough below the first to count for nothing.
    pitch = np.concatenate([[pitch[0] - 1.5 * _PITCH_CLASSES], pitch])
    width = np.maximum(np.diff(pitch, append=pitch[-1] + 1.0), 1.0)
    apart = pitch - np.arange(_PITCH_CLASSES)[:, np.newaxis]
    half = _PITCH_CLASSES // 2
    apart = np.remainder(apart + half, _PITCH_CLASSES) - half
    weights = np.exp(-0.5 * (2 * apart / width) ** 2)
    weights /= np.linalg.norm(weights, axis=0)
    octaves = (pitch / _PITCH_CLASSES - _CENTRE_OCTAVE) / _OCTAVE_WIDTH
    weights *= np.exp(-0.5 * octaves**2)
    from_c = np.roll(weights, _A_ABOVE_C, axis=0)
    return from_c[:, : 1 + n_fft // 2].astype(np.float32)
