"""Log-mel spectrogram: the input of the networks.

A waveform (float32, mono, nominal range -1 to 1) becomes frames by mel bands: short-time Fourier
transform with a periodic Hann window, frames centred on multiples of the hop with zeros beyond both
ends, power, triangular mel bands of equal area, log10(1 + 10,000 P). Equal to
`librosa.feature.melspectrogram` followed by that logarithm, without loading librosa.

The mel scale is Slaney's (Auditory Toolbox, 1998, technical report 1998-010): linear below 1 kHz at
200/3 Hz a mel, logarithmic above, 27 mels for each factor of 6.4.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

LOG_GAIN = 10_000.0
"""P is multiplied by this before 1 is added and the logarithm taken (Pons & Serra 2019)."""

_HZ_PER_MEL = 200.0 / 3.0
_LOG_FROM_HZ = 1000.0
_LOG_FROM_MEL = _LOG_FROM_HZ / _HZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27.0


@dataclass(frozen=True)
class FrontEnd:
    """Parameters of a network's log-mel spectrogram; part of every model and its fingerprint.

    Attributes
    ----------
    sample_rate : int
        Hz.
    n_fft, hop_length : int
        Samples in a frame, samples from one frame to the next.
    n_mels : int
        Mel bands between `fmin` and `fmax` (Hz).
    window_frames : int
        Frames of a window as the network takes it.
    window_samples : int
        Samples that make a window.
    """

    sample_rate: int = 16000
    n_fft: int = 512
    hop_length: int = 256
    n_mels: int = 96
    fmin: float = 0.0
    fmax: float = 8000.0
    window_frames: int = 187
    window_samples: int = 48000


def hz_to_mel(frequency: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Frequencies in Hz (0 or more, any shape) as mels on Slaney's scale."""
    hz = np.asarray(frequency, dtype=np.float64)
    log_part = _LOG_FROM_MEL + np.log(np.maximum(hz, _LOG_FROM_HZ) / _LOG_FROM_HZ) / _LOG_STEP
    return np.where(hz < _LOG_FROM_HZ, hz / _HZ_PER_MEL, log_part)


def mel_to_hz(mel: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Mels on Slaney's scale (0 or more, any shape) as frequencies in Hz."""
    mels = np.asarray(mel, dtype=np.float64)
    log_part = _LOG_FROM_HZ * np.exp(_LOG_STEP * (np.maximum(mels, _LOG_FROM_MEL) - _LOG_FROM_MEL))
    return np.where(mels < _LOG_FROM_MEL, mels * _HZ_PER_MEL, log_part)


def mel_basis(
    *, sample_rate: int, n_fft: int, n_mels: int, fmin: float, fmax: float
) -> npt.NDArray[np.float32]:
    """Triangular filters from power spectrum to mel bands, each with area 1 over Hz.

    Band m rises from edge m to edge m + 1 and falls to edge m + 2; the n_mels + 2 edges lie at
    equal distances in mels. The height 2 / (edge[m + 2] - edge[m]) is Slaney's normalisation.

    Returns
    -------
    ndarray, shape (n_mels, 1 + n_fft // 2), float32
    """
    lowest, highest = (float(mel) for mel in hz_to_mel([fmin, fmax]))
    edges = mel_to_hz(np.linspace(lowest, highest, n_mels + 2))
    bins = np.arange(1 + n_fft // 2) * (sample_rate / n_fft)
    width = np.diff(edges)
    rising = (bins - edges[:-2, None]) / width[:-1, None]
    falling = (edges[2:, None] - bins) / width[1:, None]
    height = 2.0 / (edges[2:] - edges[:-2])
    basis = np.maximum(0.0, np.minimum(rising, falling)) * height[:, None]
    return np.asarray(basis, dtype=np.float32)


@functools.lru_cache(maxsize=8)
def _basis(front_end: FrontEnd) -> npt.NDArray[np.float32]:
    return mel_basis(
        sample_rate=front_end.sample_rate,
        n_fft=front_end.n_fft,
        n_mels=front_end.n_mels,
        fmin=front_end.fmin,
        fmax=front_end.fmax,
    )


def log_mel(waveform: torch.Tensor, *, front_end: FrontEnd) -> torch.Tensor:
    """Log-mel spectrogram of one waveform or of a batch of waveforms.

    Parameters
    ----------
    waveform : Tensor, shape (samples,) or (windows, samples), float32
        Mono, at `front_end.sample_rate`; at least one sample.

    Returns
    -------
    Tensor, shape (frames, n_mels) or (windows, frames, n_mels), float32
        log10(1 + 10,000 P), 0 or more; frames = 1 + samples // hop_length.
    """
    import torch

    spectrum = torch.stft(
        waveform,
        front_end.n_fft,
        front_end.hop_length,
        window=torch.hann_window(front_end.n_fft, device=waveform.device),
        center=True,
        pad_mode="constant",
        return_complex=True,
    )
    # Squares of the parts, not of the absolute value: its square root took 4 times as long.
    power = (spectrum.real.square() + spectrum.imag.square()).transpose(-1, -2)
    basis = torch.from_numpy(_basis(front_end)).to(waveform.device)
    return torch.log10(1.0 + LOG_GAIN * (power @ basis.T))
