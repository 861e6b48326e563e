"""Altered sound: what the teachers are asked about besides the music that there is.

A teacher answers for any sound, so every alteration is a new example, and its answer tells the
student what the alteration does to music, in genres too that the corpus lacks.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import soxr

from recommender.evaluation import degradations
from recommender.evaluation.degradations import MP3, OPUS, read_sound, write_copy
from training.corpus import RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Sound = NDArray[np.float32]


def alter(sound: Sound, mate: Sound, rng: np.random.Generator) -> Sound:
    """One random alteration of a piece.

    Parameters
    ----------
    sound, mate : ndarray, shape (samples,), float32, at `RATE`
        The piece, and another one to mix with it.

    Returns
    -------
    ndarray, shape (samples,), float32
        Peak at most 1.
    """
    out = sound
    if rng.random() < 0.4:
        out = change_speed(out, 2.0 ** rng.uniform(-0.4, 0.4))
    if rng.random() < 0.5:
        other = change_speed(mate, 2.0 ** rng.uniform(-0.3, 0.3)) if rng.random() < 0.4 else mate
        out = mix(out, other, 10.0 ** (rng.uniform(-12.0, 3.0) / 20))
    if rng.random() < 0.5:
        out = equalise(out, rng)
    if rng.random() < 0.1:
        out = out[::-1]
    if rng.random() < 0.15:
        out = add_noise(out, rng)
    if rng.random() < 0.15:
        out = np.tanh(out * (rng.uniform(2, 10) / max(np.abs(out).max(), 1e-4)))
    if rng.random() < 0.15:
        out = reverberate(out, rng)
    if rng.random() < 0.15:
        out = encode(out, MP3 if rng.random() < 0.5 else OPUS)
    peak = float(np.abs(out).max())
    loudest = 10.0 ** (rng.uniform(-12.0, 0.0) / 20)
    return np.ascontiguousarray(out * (loudest / max(peak, 1e-4)), dtype=np.float32)


def change_speed(sound: Sound, factor: float) -> Sound:
    """Play faster (factor above 1: higher and shorter) or slower; the length is kept."""
    played = soxr.resample(sound, RATE * factor, RATE, quality="LQ")
    return np.resize(played, len(sound)).astype(np.float32)


def mix(sound: Sound, other: Sound, gain: float) -> Sound:
    """Both at once, the other at `gain` times the power level of the first."""
    level = np.sqrt(np.square(sound).mean() / max(float(np.square(other).mean()), 1e-8))
    return np.asarray(sound + gain * level * other, dtype=np.float32)


def equalise(sound: Sound, rng: np.random.Generator) -> Sound:
    """A smooth random gain over frequency, within 12 dB; now and then nothing above some corner."""
    spectrum = np.fft.rfft(sound)
    octaves = np.log2(np.linspace(1.0, RATE / 2, len(spectrum)) / 40.0).clip(0)
    knots = rng.normal(0.0, 5.0, 10).clip(-12, 12)
    decibels = np.interp(octaves, np.arange(10), knots)
    if rng.random() < 0.3:
        corner = np.log2(rng.uniform(2000, 10000) / 40.0)
        decibels = np.where(octaves > corner, -60.0, decibels)
    shaped = np.fft.irfft(spectrum * 10.0 ** (decibels / 20), len(sound))
    return np.asarray(shaped, dtype=np.float32)


def add_noise(sound: Sound, rng: np.random.Generator) -> Sound:
    """Noise between white and brown, 10 to 35 dB below the sound."""
    spectrum = np.fft.rfft(rng.standard_normal(len(sound)).astype(np.float32))
    spectrum *= np.maximum(np.arange(len(spectrum)), 50.0) ** -rng.uniform(0.0, 1.0)
    noise = np.fft.irfft(spectrum, len(sound)).astype(np.float32)
    return mix(sound, noise, 10.0 ** (-rng.uniform(10.0, 35.0) / 20))


def reverberate(sound: Sound, rng: np.random.Generator) -> Sound:
    """In a room that falls silent in 0.2 to 2 s: noise that decays, convolved, and mixed in."""
    decay_s = rng.uniform(0.2, 2.0)
    times = np.arange(int(decay_s * RATE)) / RATE
    # By 60 dB in the time that rooms are measured by.
    room = rng.standard_normal(len(times)) * 10.0 ** (-3 * times / decay_s)
    length = len(sound) + len(room)
    wet = np.fft.irfft(np.fft.rfft(sound, length) * np.fft.rfft(room, length), length)
    return mix(sound, wet[: len(sound)].astype(np.float32), 10.0 ** (rng.uniform(-12.0, 0.0) / 20))


def encode(sound: Sound, kind: degradations.Kind) -> Sound:
    """Encoded and decoded again, of the same length."""
    loud = max(float(np.abs(sound).max()), 1.0)
    with TemporaryDirectory() as folder:
        copy = write_copy(
            Path(folder), "copy", degradations.Sound(sound[np.newaxis] / loud, RATE), kind
        )
        heard = read_sound(copy)
    mono = soxr.resample(heard.samples.mean(0), heard.rate, RATE, quality="HQ")
    return np.resize(mono * loud, len(sound)).astype(np.float32)
