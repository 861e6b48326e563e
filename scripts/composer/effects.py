"""What happens to a whole track: space, echo, distortion, ducking, wear."""

from __future__ import annotations

import numpy as np
from scipy import ndimage, signal

from .oscillators import bandpass, highpass, lowpass, peak
from .piece import SAMPLE_RATE, Wave


def reverb(
    rng: np.random.Generator,
    track: Wave,
    *,
    seconds: float,
    wet: float,
    bright: float = 5000.0,
    before: float = 0.015,
) -> Wave:
    """Add a room to a stereo track: decaying noise, darker as it fades, as impulse response.

    `seconds` is the time to fall by 60 dB, `wet` the room's level against the dry sound,
    `before` the seconds until the first reflection.
    """
    samples = int(seconds * SAMPLE_RATE)
    t = np.arange(samples) / SAMPLE_RATE
    hiss = rng.standard_normal((2, samples))
    dark = lowpass(hiss, bright / 4) * np.exp(-6.9 * t / seconds)
    light = bandpass(hiss, bright / 4, bright) * np.exp(-6.9 * t / (0.5 * seconds))
    room = highpass(dark + 0.7 * light, 120)
    room /= np.sqrt(np.sum(room**2, axis=1, keepdims=True))
    offset = int(before * SAMPLE_RATE)
    # Single precision is plenty for a room, and twice as fast.
    wave = signal.fftconvolve(track.astype(np.float32), room.astype(np.float32), axes=1)
    echo = wave[:, : track.shape[1]]
    result = track.copy()
    result[:, offset:] += wet * echo[:, : track.shape[1] - offset]
    return result


def room(rng: np.random.Generator, track: Wave, *, wet: float = 0.5) -> Wave:
    """Move a dry track a few metres from the microphone, into a small studio."""
    return reverb(rng, track, seconds=0.3, wet=wet, bright=6000.0, before=0.004)


def delay(track: Wave, *, seconds: float, feedback: float = 0.4, wet: float = 0.3) -> Wave:
    """Echoes that change sides, each darker than the last."""
    result = track.copy()
    step = int(seconds * SAMPLE_RATE)
    echo = track
    gain = wet
    for repeat in range(1, 6):
        if repeat * step >= track.shape[1] or gain < 0.02:
            break
        echo = lowpass(echo[::-1], 4500, order=1)
        result[:, repeat * step :] += gain * echo[:, : track.shape[1] - repeat * step]
        gain *= feedback
    return result


def chorus(track: Wave, *, rate: float = 0.6, depth: float = 0.003, wet: float = 0.5) -> Wave:
    """Mix in copies whose delay wavers, in opposite phase left and right."""
    n = track.shape[1]
    t = np.arange(n, dtype=np.float64)
    result = track.copy()
    for channel, phase in enumerate((0.0, np.pi)):
        waver = depth * (1.5 + np.sin(2 * np.pi * rate * t / SAMPLE_RATE + phase)) * SAMPLE_RATE
        result[channel] += wet * np.interp(t - waver, t, track[channel], left=0.0)
    return result


def tremolo(track: Wave, *, rate: float, depth: float, pan: float = 0.0) -> Wave:
    """Waver the loudness at `rate` Hz; `pan` 1 moves it from side to side instead."""
    t = np.arange(track.shape[1]) / SAMPLE_RATE
    phase = np.array([[0.0], [np.pi * pan]])
    wavering: Wave = 1 - depth * (0.5 + 0.5 * np.sin(2 * np.pi * rate * t + phase))
    return track * wavering


def drive(track: Wave, amount: float) -> Wave:
    """Soft saturation; 1 is gentle, 10 fuzzy; about the level of the input."""
    level = np.sqrt(np.mean(track**2)) + 1e-9
    shaped = np.tanh(amount * track / (4 * level))
    return np.asarray(shaped * level / (np.sqrt(np.mean(shaped**2)) + 1e-9))


def amplifier(track: Wave, *, gain: float, presence: float = 2500.0, bottom: float = 110.0) -> Wave:
    """A guitar amplifier: tight bass, two stages of distortion, a loudspeaker in a closed box."""
    level = np.percentile(np.abs(track), 98) + 1e-9
    wave = peak(highpass(track / level, bottom), 800, decibels=5, width=0.7)
    wave = np.tanh(gain * wave)
    wave = highpass(wave, 90)
    # An uneven second stage brings even harmonics.
    wave = np.tanh(2.5 * wave + 0.25) - np.tanh(0.25)
    wave = highpass(wave, 75)
    wave = peak(wave, 180, decibels=7, width=0.8)
    wave = peak(wave, 500, decibels=-3, width=0.8)
    wave = peak(wave, presence, decibels=-2, width=0.7)
    return lowpass(wave, 4500, order=4)


def duck(track: Wave, moments: list[float], *, depth: float, seconds: float = 0.22) -> Wave:
    """Lower a track at each moment (seconds) and let it swell back, as a compressor keyed to it."""
    n = track.shape[1]
    gain = np.ones(n)
    swell = 1 - depth * np.exp(
        -(((np.arange(int(2.5 * seconds * SAMPLE_RATE))) / (seconds * SAMPLE_RATE)) ** 2) * 2
    )
    for moment in moments:
        start = int(moment * SAMPLE_RATE)
        stop = min(start + len(swell), n)
        if start < n:
            gain[start:stop] = np.minimum(gain[start:stop], swell[: stop - start])
    return np.asarray(track * ndimage.uniform_filter1d(gain, 200))


def crackle(rng: np.random.Generator, samples: int, *, clicks: float = 9.0) -> Wave:
    """The wear of a record: `clicks` a second of many sizes over a quiet rumble and hiss."""
    count = rng.poisson(clicks * samples / SAMPLE_RATE)
    dust = np.zeros((2, samples))
    where = rng.integers(0, samples, count)
    sizes = rng.exponential(0.25, count) * rng.choice([-1, 1], count)
    dust[0, where] = sizes
    dust[1, where] = sizes * rng.uniform(0.3, 1.0, count)
    dust = bandpass(dust, 800, 6000) * 3
    hiss = bandpass(rng.standard_normal((2, samples)), 200, 5000, order=1) * 0.006
    return np.asarray(dust + hiss)
