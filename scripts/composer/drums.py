"""Drums, each stroke made from tones and noise."""

from __future__ import annotations

import numpy as np

from .oscillators import bandpass, fall, highpass, lowpass, noise, partials
from .piece import SAMPLE_RATE, Wave

Kit = dict[str, Wave]
"""One stroke of each drum, by name."""


def kick(
    rng: np.random.Generator,
    *,
    low: float = 50.0,
    high: float = 180.0,
    drop: float = 0.03,
    ring: float = 0.16,
    click: float = 0.3,
    drive: float = 1.5,
) -> Wave:
    """A bass drum: a tone that falls from `high` to `low` Hz in `drop` seconds, and a beater."""
    n = int(5 * ring * SAMPLE_RATE)
    frequency = low + (high - low) * fall(n, drop)
    phase = np.cumsum(frequency) / SAMPLE_RATE
    wave = np.tanh(drive * np.sin(2 * np.pi * phase) * fall(n, ring)) / np.tanh(drive)
    beater = bandpass(noise(rng, n), 1500, 6000) * fall(n, 0.004)
    return np.asarray(wave + 3 * click * beater)


def snare(
    rng: np.random.Generator,
    *,
    tone: float = 190.0,
    wires: float = 0.13,
    body: float = 0.7,
    bright: float = 9000.0,
) -> Wave:
    """A snare drum: two modes of the head, and wires that rattle for `wires` seconds."""
    n = int(0.5 * SAMPLE_RATE)
    head = partials(
        tone,
        n,
        np.array([1.0, 0.6, 0.3]),
        ratios=np.array([1.0, 1.6, 2.2]),
        decays=np.array([0.07, 0.05, 0.03]),
    )
    rattle = bandpass(noise(rng, n), 900, bright) * fall(n, wires)
    snap = highpass(noise(rng, n), 3000) * fall(n, 0.008)
    return body * 0.5 * head + 1.6 * rattle + 1.2 * snap


def clap(rng: np.random.Generator, *, room: float = 0.1) -> Wave:
    """Hand claps: three bursts close together and a short tail."""
    n = int(0.45 * SAMPLE_RATE)
    wave = np.zeros(n)
    for i, gain in enumerate((0.7, 0.8, 1.0)):
        start = int(i * 0.011 * SAMPLE_RATE)
        wave[start:] += gain * (noise(rng, n) * fall(n, 0.006))[: n - start]
    start = int(0.022 * SAMPLE_RATE)
    wave[start:] += 0.8 * (noise(rng, n) * fall(n, room))[: n - start]
    return 2.2 * bandpass(wave, 900, 6500)


def _metal(n: int, frequency: float) -> Wave:
    """The clang of six square waves that share no harmonic."""
    t = np.arange(n) / SAMPLE_RATE
    ratios = (1.0, 1.342, 1.2312, 1.6532, 1.9523, 2.1523)
    total = np.zeros(n)
    for ratio in ratios:
        total += np.sign(np.sin(2 * np.pi * frequency * ratio * t))
    return total / len(ratios)


def hat(
    rng: np.random.Generator, *, ring: float = 0.03, pitch: float = 400.0, low: float = 6500.0
) -> Wave:
    """A hi-hat: closed with a short `ring` in seconds, open with a long one."""
    n = int(6 * ring * SAMPLE_RATE)
    wave = 0.5 * _metal(n, pitch) + noise(rng, n)
    return highpass(wave, low, order=3) * fall(n, ring)


def cymbal(
    rng: np.random.Generator, *, ring: float = 0.9, low: float = 3000.0, ping: float = 0.0
) -> Wave:
    """A crash cymbal, or a ride when `ping`, the stick's sound, is raised."""
    n = int(3.5 * ring * SAMPLE_RATE)
    wave = highpass(noise(rng, n) + 0.25 * _metal(n, 317.0), low)
    shape = 0.7 * fall(n, 0.12) + 0.5 * fall(n, ring)
    ring_tone = highpass(_metal(n, 530.0), 4500) * fall(n, 0.08)
    result = wave * shape + ping * ring_tone
    result[-2000:] *= np.linspace(1, 0, 2000)
    return np.asarray(result)


def tom(rng: np.random.Generator, *, pitch: float = 110.0) -> Wave:
    """A tom-tom at `pitch` Hz."""
    n = int(0.5 * SAMPLE_RATE)
    frequency = pitch * (1 + 0.4 * fall(n, 0.05))
    wave = np.sin(2 * np.pi * np.cumsum(frequency) / SAMPLE_RATE) * fall(n, 0.14)
    return np.asarray(wave + 0.6 * bandpass(noise(rng, n), 300, 3000) * fall(n, 0.02))


def rim(rng: np.random.Generator) -> Wave:
    """A stick across the rim of a snare drum."""
    n = int(0.12 * SAMPLE_RATE)
    wave = partials(
        820.0,
        n,
        np.array([1.0, 0.8, 0.5]),
        ratios=np.array([1.0, 2.07, 3.4]),
        decays=np.array([0.012, 0.01, 0.006]),
    )
    return 0.7 * wave + highpass(noise(rng, n), 2000) * fall(n, 0.004)


def brush(rng: np.random.Generator, *, seconds: float = 0.22) -> Wave:
    """Wire brushes drawn over a snare drum."""
    n = int(seconds * SAMPLE_RATE)
    shape = np.sin(np.linspace(0, np.pi, n)) ** 1.5
    return 0.8 * bandpass(noise(rng, n), 1200, 8000, order=1) * shape


def shaker(rng: np.random.Generator) -> Wave:
    """One shake of a shaker."""
    n = int(0.09 * SAMPLE_RATE)
    return highpass(noise(rng, n), 5000) * np.hanning(n) ** 0.7


def conga(*, pitch: float = 200.0) -> Wave:
    """A hand drum at `pitch` Hz."""
    n = int(0.35 * SAMPLE_RATE)
    return partials(
        pitch,
        n,
        np.array([1.0, 0.4, 0.25]),
        ratios=np.array([1.0, 1.58, 2.24]),
        decays=np.array([0.09, 0.04, 0.02]),
    )


def scratch(rng: np.random.Generator, *, seconds: float = 0.22) -> Wave:
    """A record pushed to and fro under the needle."""
    n = int(seconds * SAMPLE_RATE)
    speed = np.abs(np.sin(np.linspace(0, 2 * np.pi, n)))
    groove = lowpass(noise(rng, 6000), 3000) + 0.3 * np.sign(np.sin(np.arange(6000) * 0.06))
    position = np.cumsum(speed * 1.6) % 5990
    wave = np.interp(position, np.arange(6000), groove)
    return np.asarray(bandpass(wave, 300, 7000) * speed)


def machine_kit(rng: np.random.Generator, *, low: float = 48.0, ring: float = 0.2) -> Kit:
    """A drum machine as in house music."""
    return {
        "kick": 1.1 * kick(rng, low=low, high=240, drop=0.025, ring=ring, drive=2.0),
        "clap": 0.55 * clap(rng),
        "snare": 0.5 * snare(rng, tone=220, wires=0.09),
        "hat": 0.3 * hat(rng, ring=0.025, low=8000),
        "open": 0.33 * hat(rng, ring=0.11, low=7000),
        "shaker": 0.28 * shaker(rng),
        "ride": 0.18 * cymbal(rng, ring=0.3, ping=0.8, low=5000),
        "crash": 0.35 * cymbal(rng, ring=0.9),
        "conga": 0.4 * conga(pitch=210),
        "rim": 0.4 * rim(rng),
    }


def acoustic_kit(
    rng: np.random.Generator,
    *,
    kick_pitch: float = 58.0,
    click: float = 0.3,
    snare_tone: float = 195.0,
    wires: float = 0.13,
    ring: float = 0.13,
) -> Kit:
    """A drummer's kit."""
    return {
        "kick": kick(rng, low=kick_pitch, high=150, drop=0.02, ring=ring, click=click),
        "snare": 0.85 * snare(rng, tone=snare_tone, wires=wires),
        "rim": 0.5 * rim(rng),
        "hat": 0.4 * hat(rng, ring=0.035, pitch=330, low=5500),
        "open": 0.4 * hat(rng, ring=0.2, pitch=330, low=5000),
        "ride": 0.26 * cymbal(rng, ring=0.5, low=4000, ping=1.2),
        "crash": 0.5 * cymbal(rng, ring=0.9, low=2500),
        "tom1": 0.8 * tom(rng, pitch=160),
        "tom2": 0.85 * tom(rng, pitch=115),
        "tom3": 0.9 * tom(rng, pitch=80),
        "brush": 0.5 * brush(rng),
        "shaker": 0.25 * shaker(rng),
        "scratch": 0.6 * scratch(rng),
    }
