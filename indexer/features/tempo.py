"""Tempo from onset strength: its autocorrelation, its spectrum, and a prior for octaves.

Onset strength is spectral flux: what each mel band's logarithm rises by from frame to frame,
averaged over the bands (Dixon 2006), with the lowest ones, where drums and basses mark the beat,
counted once more for half as much as all. A tempo is good if onsets recur at its beat's distance
and at its multiples (autocorrelation, which also likes half the tempo; the multiples keep it from
dotted notes, which recur once and not again) and if onset strength swings at its frequency
(spectrum, which also likes double the tempo): their product likes neither (Peeters 2007, "Template-
based estimation of time-varying tempo"). Between octaves that remain in doubt decides how fast
people tap: a log-normal prior (Moelants 2002).

Each piece of sound is analysed alone and the results are averaged: pieces need not follow one
another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SLOWEST_BPM, FASTEST_BPM = 30.0, 300.0
_GRID = np.exp(np.arange(np.log(SLOWEST_BPM), np.log(FASTEST_BPM), 0.005))

_PRIOR_BPM = 110.0
_PRIOR_OCTAVES = 0.7
_MULTIPLES = (1, 2, 3, 4)  # beats over which the distance of one is measured
_AROUND_S = 0.5  # onset strength is counted from its mean over this time
_FAINT = 1e-3  # swings of onset strength as small as this come from the frames, not the sound
# Autocorrelation that chance brings about is at most about this over the root of the frames.
_CHANCE = 4.5
_CLEAR = 0.5  # autocorrelation at the beat of music with a steady drum


def estimate_tempo(
    onsets: NDArray[np.floating], *, frame_rate: float
) -> tuple[float | None, float]:
    """Tempo of a recording in beats a minute, and how sure it is.

    Parameters
    ----------
    onsets : ndarray (pieces, frames)
        Onset strength of pieces of the recording.
    frame_rate : float
        Frames a second.

    Returns
    -------
    tempo_bpm : float or None
        None if onsets recur no more than chance explains, or if there is only one piece.
    confidence : float
        0 to 1: how clearly onsets recur at the beat.
    """
    pieces, frames = onsets.shape
    # A single piece may be a short sound repeated until it was long enough.
    if pieces < 2:
        return None, 0.0
    pulses = _above_mean(onsets.astype(np.float64), 2 * int(_AROUND_S * frame_rate / 2) + 1)
    pulses -= pulses.mean(axis=1, keepdims=True)
    size = 1 << int(np.ceil(np.log2(8 * frames)))
    power = (np.abs(np.fft.rfft(pulses, size)) ** 2).mean(axis=0)
    correlation = np.fft.irfft(power)[:frames] / np.arange(frames, 0, -1)
    correlation /= correlation[0] + _FAINT**2
    swing = np.sqrt(np.interp(_GRID / 60, np.arange(len(power)) * frame_rate / size, power))
    lags = 60 * frame_rate / _GRID
    recurrence = np.sqrt(
        _interpolate(correlation, lags) * np.maximum(_recurrence(correlation, lags), 0.0)
    )
    prior = np.exp(-0.5 * (np.log2(_GRID / _PRIOR_BPM) / _PRIOR_OCTAVES) ** 2)
    bpm = float(_GRID[(recurrence * np.sqrt(swing) * prior).argmax()])
    bpm, clarity = _refine(correlation, bpm, frame_rate)
    chance = _CHANCE / np.sqrt(pieces * frames)
    confidence = float(np.clip((clarity - chance) / (_CLEAR - chance), 0.0, 1.0))
    return (bpm, confidence) if confidence > 0.0 else (None, 0.0)


def _above_mean(onsets: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """Excess over the moving mean of `length` frames (odd)."""
    half = length // 2
    padded = np.pad(onsets, ((0, 0), (half + 1, half)), mode="reflect")
    padded[:, 0] = 0.0
    total = np.cumsum(padded, axis=1)
    return np.maximum(onsets - (total[:, length:] - total[:, :-length]) / length, 0.0)


def _interpolate(
    correlation: NDArray[np.float64], lags: NDArray[np.float64]
) -> NDArray[np.float64]:
    positive = np.maximum(correlation, 0.0)
    return np.interp(lags, np.arange(len(correlation)), positive, right=0.0)


def _recurrence(correlation: NDArray[np.float64], lags: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of the autocorrelation at those `_MULTIPLES` of each lag that a piece holds."""
    # Lags that are nearly as long as a piece rest on few frames.
    longest = 0.9 * len(correlation)
    total, count = np.zeros(len(lags)), np.zeros(len(lags))
    for times in _MULTIPLES:
        held = (times * lags < longest) | (times == 1)
        at = np.interp(times * lags, np.arange(len(correlation)), correlation, right=0.0)
        total += np.where(held, at, 0.0)
        count += held
    return total / count


def _refine(correlation: NDArray[np.float64], bpm: float, frame_rate: float) -> tuple[float, float]:
    """The tempo within 4 % whose multiples fit best, and the mean autocorrelation at them."""
    near = bpm * np.linspace(0.96, 1.04, 81)
    fit = _recurrence(correlation, 60 * frame_rate / near)
    return float(near[fit.argmax()]), float(fit.max())
