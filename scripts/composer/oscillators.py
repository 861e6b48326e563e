"""Sources of sound and what shapes them: oscillators, strings, noise, envelopes, filters."""

from __future__ import annotations

import numpy as np
from scipy import signal

from .piece import SAMPLE_RATE, Wave


def cycles(frequency: float | Wave, samples: int) -> Wave:
    """Phase in cycles of a tone of constant or changing frequency (Hz)."""
    if isinstance(frequency, float):
        return np.arange(samples, dtype=np.float64) * (frequency / SAMPLE_RATE)
    return np.asarray(np.cumsum(frequency[:samples]) / SAMPLE_RATE, dtype=np.float64)


def sine(phase: Wave) -> Wave:
    """Sine of a phase in cycles."""
    return np.sin(2 * np.pi * phase)


def saw(phase: Wave) -> Wave:
    """Sawtooth of a phase in cycles, its corner smoothed by a polynomial (PolyBLEP)."""
    step = np.maximum(np.diff(phase, prepend=2 * phase[0] - phase[1]), 1e-9)
    t = phase - np.floor(phase)
    wave = 2 * t - 1
    after = np.flatnonzero(t < step)
    x = t[after] / step[after]
    wave[after] -= 2 * x - x * x - 1
    before = np.flatnonzero(t > 1 - step)
    x = (t[before] - 1) / step[before]
    wave[before] -= x * x + 2 * x + 1
    return np.asarray(wave)


def square(phase: Wave, *, width: float = 0.5) -> Wave:
    """Pulse of a phase in cycles, high for `width` of it."""
    return 0.5 * (saw(phase) - saw(phase + 1 - width))


def detuned(
    rng: np.random.Generator, frequency: float, samples: int, *, voices: int, cents: float
) -> Wave:
    """Sum of sawtooths spread over `cents` either side, at unit power whatever their number."""
    total = np.zeros(samples)
    for offset in np.linspace(-cents, cents, voices):
        start = rng.random()
        total += saw(start + cycles(float(frequency * 2 ** (offset / 1200)), samples))
    return np.asarray(total / np.sqrt(voices))


def partials(
    frequency: float,
    samples: int,
    levels: Wave,
    *,
    ratios: Wave | None = None,
    decays: Wave | None = None,
) -> Wave:
    """Sum of sines: levels (k,), frequency ratios (k,) and seconds to fall to 1/e (k,)."""
    if ratios is None:
        ratios = np.arange(1, len(levels) + 1, dtype=np.float64)
    radians = np.arange(samples) * (2 * np.pi / SAMPLE_RATE)
    total = np.zeros(samples)
    for i, (level, ratio) in enumerate(zip(levels, ratios, strict=True)):
        if level < 1e-5 or frequency * ratio > 0.45 * SAMPLE_RATE:
            continue
        # After seven time constants a partial is 60 dB down.
        heard = samples if decays is None else min(samples, int(7 * decays[i] * SAMPLE_RATE))
        # Starting phases differ so that the attack is not one spike.
        tone = level * np.sin(frequency * ratio * radians[:heard] + 2.4 * i)
        total[:heard] += tone if decays is None else tone * fall(heard, float(decays[i]))
    return total


def string(
    rng: np.random.Generator,
    frequency: float,
    samples: int,
    *,
    seconds: float = 3.0,
    damping: float = 0.5,
    brightness: float = 0.8,
    position: float = 0.13,
) -> Wave:
    """A plucked string (Karplus and Strong 1983; Jaffe and Smith 1983).

    Parameters
    ----------
    rng : numpy.random.Generator
        The burst of noise that plucks it.
    frequency : float
        Hz.
    samples : int
        Length of the result.
    seconds : float
        Time in which the fundamental falls by 60 dB.
    damping : float
        Loss of high partials at each round, 0 (none) to 0.5.
    brightness : float
        Of the pluck, 0 (thumb) to 1 (plectrum).
    position : float
        Where it is plucked, as a share of the string.
    """
    period = SAMPLE_RATE / frequency
    size = max(int(period - damping), 4)
    burst = rng.uniform(-1, 1, size)
    # The burst is one period long and repeats, so its filter wraps round.
    spectrum = np.fft.rfft(burst)
    bins = np.arange(len(spectrum)) / len(spectrum)
    spectrum *= 1 / (1 + (bins / (0.02 + 0.6 * brightness**2)) ** 2)
    spectrum[0] = 0
    burst = np.fft.irfft(spectrum, size)
    burst -= 0.9 * np.roll(burst, max(1, round(position * size)))
    burst /= np.sqrt(np.mean(burst**2)) + 1e-9
    step = (size + damping) / period
    rows = int(samples * step / size) + 2
    loss = 10 ** (-3 * period / SAMPLE_RATE / seconds)
    loop = np.empty((rows, size))
    loop[0] = burst
    before = 0.0
    for row in range(1, rows):
        past = loop[row - 1]
        loop[row, 1:] = loss * ((1 - damping) * past[1:] + damping * past[:-1])
        loop[row, 0] = loss * ((1 - damping) * past[0] + damping * before)
        before = past[-1]
    # The loop is a whole number of samples long: reading it at another speed tunes it.
    flat = loop.ravel()
    result: Wave = np.interp(np.arange(samples) * step, np.arange(flat.size), flat)
    return 0.25 * result


def noise(rng: np.random.Generator, samples: int) -> Wave:
    """White noise."""
    return rng.standard_normal(samples) * 0.3


def fall(samples: int, seconds: float) -> Wave:
    """Exponential decay that reaches 1/e after `seconds`."""
    return np.exp(-np.arange(samples) / (seconds * SAMPLE_RATE))


def envelope(
    seconds: float,
    *,
    attack: float = 0.005,
    decay: float = 0.1,
    sustain: float = 0.7,
    release: float = 0.1,
) -> Wave:
    """Attack, decay, sustain, release; times in seconds; `seconds` is how long the key is held."""
    held = max(int(seconds * SAMPLE_RATE), 1)
    t = np.arange(held) / SAMPLE_RATE
    rise = np.minimum(t / max(attack, 1e-4), 1.0)
    body = sustain + (1 - sustain) * np.exp(-np.maximum(t - attack, 0) / max(decay, 1e-3))
    shape = rise * body
    tail = int(release * SAMPLE_RATE) + 1
    return np.concatenate([shape, shape[-1] * np.linspace(1, 0, tail) ** 2])


def lowpass(wave: Wave, hz: float, *, order: int = 2) -> Wave:
    """Butterworth low-pass along the last axis."""
    return _filtered(wave, "lowpass", hz, order)


def highpass(wave: Wave, hz: float, *, order: int = 2) -> Wave:
    """Butterworth high-pass along the last axis."""
    return _filtered(wave, "highpass", hz, order)


def bandpass(wave: Wave, low: float, high: float, *, order: int = 2) -> Wave:
    """Butterworth band-pass along the last axis."""
    return highpass(lowpass(wave, high, order=order), low, order=order)


def _filtered(wave: Wave, kind: str, hz: float, order: int) -> Wave:
    hz = min(hz, 0.45 * SAMPLE_RATE)
    sections = signal.butter(order, hz, kind, fs=SAMPLE_RATE, output="sos")
    result: Wave = signal.sosfilt(sections, wave)
    return result


def peak(wave: Wave, hz: float, *, decibels: float, width: float = 1.0) -> Wave:
    """Raise (or lower) a band around `hz`; `width` is the filter's Q (Bristow-Johnson cookbook)."""
    gain = 10 ** (decibels / 40)
    omega = 2 * np.pi * hz / SAMPLE_RATE
    alpha = np.sin(omega) / (2 * width)
    b = [1 + alpha * gain, -2 * np.cos(omega), 1 - alpha * gain]
    a = [1 + alpha / gain, -2 * np.cos(omega), 1 - alpha / gain]
    result: Wave = signal.lfilter(b, a, wave)
    return result


def sweep(wave: Wave, cutoff: Wave, *, low: float = 150.0, high: float = 12000.0) -> Wave:
    """Low-pass whose cutoff (Hz, one value a sample) moves: a blend of six fixed filters."""
    bank = np.geomspace(low, high, 6)
    where = np.interp(np.log(cutoff), np.log(bank), np.arange(6.0))
    total = np.zeros_like(wave)
    for i, hz in enumerate(bank):
        weight = np.clip(1 - np.abs(where - i), 0, 1)
        if weight.any():
            total += weight * lowpass(wave, float(hz))
    return total
