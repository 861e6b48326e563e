"""Log-mel spectrograms: the inputs of the networks.

A waveform (float32, mono, nominal range -1 to 1) becomes frames by mel bands: short-time Fourier
transform, frames centred on multiples of the hop with zeros beyond both ends, power, triangular mel
bands, logarithm. Power spectrograms depend on few of the parameters, so that front ends that share
those share the transform.

Three kinds of filter banks and three logarithms, as the published networks were trained with:

- "slaney": equal distances on the scale of the Auditory Toolbox (Slaney 1998, technical report
  1998-010), linear below 1 kHz at 200/3 Hz a mel, logarithmic above, 27 mels for each factor of
  6.4; triangles over Hz with area 1. As `librosa.feature.melspectrogram`.
- "htk": equal distances in 2595 log10(1 + f / 700) (HTK Book 3.4, section 5.4); triangles over Hz
  of height 1.
- "kaldi": the same scale; triangles over mels of height 1, none holds the highest bin.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt
    import torch

    Array = npt.NDArray[np.float64]

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
        Frames that the network takes at once.
    win_length : int
        Samples under the Hann window of each frame; 0: `n_fft`, and a periodic window.
    pre_emphasis : float
        x[t] - `pre_emphasis` x[t - 1] is taken first.
    filters : str
        "slaney", "htk" or "kaldi".
    scale : str
        Of the power P in each band: "log10(1 + 10000 P)", "decibels" (10 log10, at least -100)
        or "log(P + 1e-5)" (shifted and scaled as (x + 4.5) / 5).
    """

    sample_rate: int = 16000
    n_fft: int = 512
    hop_length: int = 256
    n_mels: int = 96
    fmin: float = 0.0
    fmax: float = 8000.0
    window_frames: int = 187
    win_length: int = 0
    pre_emphasis: float = 0.0
    filters: str = "slaney"
    scale: str = "log10(1 + 10000 P)"

    def __post_init__(self) -> None:
        """Refuse filters and scales that are not known.

        Raises
        ------
        ValueError
        """
        if self.filters not in _FILTERS or self.scale not in _SCALES:
            raise ValueError(f"unknown filters {self.filters!r} or scale {self.scale!r}")

    @property
    def transform(self) -> tuple[int, int, int, int, float]:
        """All that a power spectrogram depends on."""
        return (
            self.sample_rate,
            self.n_fft,
            self.hop_length,
            self.win_length,
            self.pre_emphasis,
        )


def hz_to_mel(frequency: npt.ArrayLike) -> Array:
    """Frequencies in Hz (0 or more, any shape) as mels on Slaney's scale."""
    hz = np.asarray(frequency, dtype=np.float64)
    log_part = _LOG_FROM_MEL + np.log(np.maximum(hz, _LOG_FROM_HZ) / _LOG_FROM_HZ) / _LOG_STEP
    return np.where(hz < _LOG_FROM_HZ, hz / _HZ_PER_MEL, log_part)


def mel_to_hz(mel: npt.ArrayLike) -> Array:
    """Mels on Slaney's scale (0 or more, any shape) as frequencies in Hz."""
    mels = np.asarray(mel, dtype=np.float64)
    log_part = _LOG_FROM_HZ * np.exp(_LOG_STEP * (np.maximum(mels, _LOG_FROM_MEL) - _LOG_FROM_MEL))
    return np.where(mels < _LOG_FROM_MEL, mels * _HZ_PER_MEL, log_part)


def mel_basis(front_end: FrontEnd) -> npt.NDArray[np.float32]:
    """Triangular filters from power spectrum to mel bands.

    Band m rises from edge m to edge m + 1 and falls to edge m + 2; the n_mels + 2 edges lie at
    equal distances in mels.

    Returns
    -------
    ndarray, shape (n_mels, 1 + n_fft // 2), float32
    """
    spacing = front_end.sample_rate / front_end.n_fft
    bins = np.arange(1 + front_end.n_fft // 2, dtype=np.float64) * spacing
    return _FILTERS[front_end.filters](front_end, bins).astype(np.float32)


def _slaney(front_end: FrontEnd, bins: Array) -> Array:
    lowest, highest = (float(mel) for mel in hz_to_mel([front_end.fmin, front_end.fmax]))
    edges = mel_to_hz(np.linspace(lowest, highest, front_end.n_mels + 2))
    height = 2.0 / (edges[2:] - edges[:-2])
    return _triangles(edges, bins) * height[:, None]


def _htk(front_end: FrontEnd, bins: Array) -> Array:
    edges = _htk_edges(front_end)
    return _triangles(700.0 * (10.0 ** (edges / 2595.0) - 1.0), bins)


def _kaldi(front_end: FrontEnd, bins: Array) -> Array:
    triangles = _triangles(_htk_edges(front_end), _hz_to_htk(bins))
    triangles[:, -1] = 0.0
    return triangles


def _htk_edges(front_end: FrontEnd) -> Array:
    lowest, highest = _hz_to_htk(np.array([front_end.fmin, front_end.fmax]))
    return np.linspace(lowest, highest, front_end.n_mels + 2)


def _hz_to_htk(hz: Array) -> Array:
    return np.asarray(2595.0 * np.log10(1.0 + hz / 700.0))


def _triangles(edges: Array, bins: Array) -> Array:
    """Triangles of height 1 (n_mels, bins) between edges (n_mels + 2,) on the axis of `bins`."""
    width = np.diff(edges)
    rising = (bins - edges[:-2, None]) / width[:-1, None]
    falling = (edges[2:, None] - bins) / width[1:, None]
    return np.maximum(0.0, np.minimum(rising, falling))


_FILTERS: Mapping[str, Callable[[FrontEnd, Array], Array]] = {
    "slaney": _slaney,
    "htk": _htk,
    "kaldi": _kaldi,
}
_SCALES: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "log10(1 + 10000 P)": lambda power: (1.0 + LOG_GAIN * power).log10(),
    "decibels": lambda power: 10.0 * power.clamp(min=1e-10).log10(),
    "log(P + 1e-5)": lambda power: ((power + 1e-5).log() + 4.5) / 5.0,
}


@functools.lru_cache(maxsize=8)
def _transposed_basis(front_end: FrontEnd) -> npt.NDArray[np.float32]:
    return np.ascontiguousarray(mel_basis(front_end).T)


def power_spectrogram(waveform: torch.Tensor, *, front_end: FrontEnd) -> torch.Tensor:
    """Power spectrogram of one waveform or of a batch of waveforms.

    Parameters
    ----------
    waveform : Tensor, shape (samples,) or (windows, samples), float32
        Mono, at `front_end.sample_rate`; at least one sample.

    Returns
    -------
    Tensor, shape (frames, bins) or (windows, frames, bins), float32
        bins = 1 + n_fft // 2. Frames = 1 + samples // hop_length.
    """
    import torch

    if front_end.pre_emphasis:
        before = torch.nn.functional.pad(waveform[..., :-1], (1, 0))
        waveform = waveform - front_end.pre_emphasis * before
    length = front_end.win_length or front_end.n_fft
    spectrum = torch.stft(
        waveform,
        front_end.n_fft,
        front_end.hop_length,
        length,
        window=torch.hann_window(length, periodic=not front_end.win_length, device=waveform.device),
        center=True,
        pad_mode="constant",
        return_complex=True,
    )
    # Squares of the parts, not of the absolute value: its square root took 4 times as long.
    return (spectrum.real.square() + spectrum.imag.square()).transpose(-1, -2)


def mel_scaled(power: torch.Tensor, *, front_end: FrontEnd) -> torch.Tensor:
    """Log-mels (..., frames, n_mels) of a power spectrogram (..., frames, bins)."""
    import torch

    basis = torch.from_numpy(_transposed_basis(front_end)).to(power.device)
    return _SCALES[front_end.scale](power @ basis)


def log_mel(waveform: torch.Tensor, *, front_end: FrontEnd) -> torch.Tensor:
    """Log-mel spectrogram of one waveform or of a batch of waveforms.

    Parameters
    ----------
    waveform : Tensor, shape (samples,) or (windows, samples), float32
        Mono, at `front_end.sample_rate`; at least one sample.

    Returns
    -------
    Tensor, shape (frames, n_mels) or (windows, frames, n_mels), float32
        frames = 1 + samples // hop_length.
    """
    return mel_scaled(power_spectrogram(waveform, front_end=front_end), front_end=front_end)
