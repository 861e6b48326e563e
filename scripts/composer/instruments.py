"""Pitched instruments: each function sets one up, the result plays a note of it."""

from __future__ import annotations

import numpy as np

from .oscillators import (
    bandpass,
    cycles,
    detuned,
    envelope,
    fall,
    highpass,
    lowpass,
    noise,
    partials,
    peak,
    saw,
    sine,
    square,
    string,
)
from .piece import SAMPLE_RATE, Instrument, Wave


def fit(wave: Wave, shape: Wave) -> Wave:
    """A wave under an envelope, as long as the shorter of the two."""
    n = min(len(wave), len(shape))
    return wave[:n] * shape[:n]


def _release(wave: Wave, held: float, seconds: float) -> Wave:
    """Damp a sound that rings on by itself when its key is let go."""
    start = min(int(held * SAMPLE_RATE), len(wave))
    tail = min(int(seconds * SAMPLE_RATE) + 1, len(wave) - start)
    wave[start : start + tail] *= np.linspace(1, 0, tail) ** 2
    return wave[: start + tail]


def plucked(
    rng: np.random.Generator,
    *,
    ring: float = 3.0,
    damping: float = 0.4,
    brightness: float = 0.7,
    position: float = 0.15,
    release: float = 0.15,
    body: float = 110.0,
    wood: float = 4.0,
) -> Instrument:
    """A plucked string over a wooden body that resonates at `body` and twice that, in Hz."""

    def play(frequency: float, seconds: float, velocity: float) -> Wave:
        samples = int((seconds + release) * SAMPLE_RATE)
        wave = string(
            rng,
            frequency,
            samples,
            seconds=ring * (200 / frequency) ** 0.35,
            damping=damping,
            brightness=brightness * (0.6 + 0.4 * velocity),
            position=position,
        )
        wave = peak(wave, body, decibels=wood, width=1.5)
        wave = peak(wave, 2.1 * body, decibels=0.7 * wood, width=1.5)
        return _release(wave, seconds, release)

    return play


def harpsichord(rng: np.random.Generator, *, four_foot: float = 0.35) -> Instrument:
    """Quills close to the end of bright strings, with a choir an octave higher at `four_foot`."""

    def play(frequency: float, seconds: float, velocity: float) -> Wave:
        samples = int((seconds + 0.12) * SAMPLE_RATE)
        pluck = {"damping": 0.12, "brightness": 1.0}
        wave = string(rng, frequency, samples, seconds=3.5, position=0.09, **pluck)
        wave = wave + four_foot * string(
            rng, 2 * frequency, samples, seconds=2.2, position=0.12, **pluck
        )
        wave = highpass(wave, 160, order=1)
        click = bandpass(noise(rng, 600), 1500, 7000) * fall(600, 0.002)
        wave[: min(600, samples)] += 0.35 * click[: min(600, samples)]
        # Quills pluck at one strength: only a trace of the touch is heard.
        return _release(wave, seconds, 0.1) / (0.4 + 0.6 * velocity)

    return play


def bowed(
    rng: np.random.Generator,
    *,
    players: int = 3,
    vibrato: float = 0.004,
    attack: float = 0.07,
    bright: float = 4500.0,
) -> Instrument:
    """Bowed strings: sawtooths with vibrato through the body of a violin."""

    def play(frequency: float, seconds: float, velocity: float) -> Wave:
        shape = envelope(seconds, attack=attack, decay=0.3, sustain=0.8, release=0.14)
        n = len(shape)
        t = np.arange(n) / SAMPLE_RATE
        wave = np.zeros(n)
        for _ in range(players):
            rate, phase = rng.uniform(4.8, 6.0), rng.random()
            wobble = vibrato * np.minimum(t / 0.5, 1) * np.sin(2 * np.pi * (rate * t + phase))
            off = 2 ** (rng.normal(0, 4) / 1200)
            wave += saw(rng.random() + cycles(frequency * off * (1 + wobble), n))
        wave = lowpass(wave / np.sqrt(players), bright * (0.5 + 0.5 * velocity))
        for hz, decibels in ((290, 3.0), (480, 4.0), (1100, 2.0), (2600, 5.0)):
            wave = peak(wave, hz, decibels=decibels, width=2.0)
        wave += 0.03 * highpass(noise(rng, n), 2500)
        return 0.3 * fit(wave, shape)

    return play


def piano(*, bright: float = 1.0) -> Instrument:
    """Struck strings: stiff partials, the high ones soft when touched softly and quick to die."""

    def play(frequency: float, seconds: float, velocity: float) -> Wave:
        held = seconds + 0.25
        samples = int(held * SAMPLE_RATE)
        k = np.arange(1, 25, dtype=np.float64)
        ratios = k * np.sqrt(1 + 4e-4 * (frequency / 260) * k**2)
        levels = np.abs(np.sin(np.pi * k / 8.3)) / k**0.8
        levels *= np.exp(-k * frequency / (1400 * bright * (0.4 + velocity)))
        decays = 2.4 * (260 / frequency) ** 0.4 / (1 + 0.25 * (k - 1))
        wave = partials(frequency, samples, levels, ratios=ratios, decays=decays)
        # Two strings a trace apart beat slowly.
        wave += 0.6 * partials(
            frequency * 1.0007, samples, levels, ratios=ratios, decays=0.7 * decays
        )
        knock = sine(cycles(110.0, samples)) * fall(samples, 0.02)
        wave = 0.3 * (wave + 0.3 * knock * velocity)
        wave[:60] *= np.linspace(0, 1, 60)
        return _release(wave, seconds, 0.25)

    return play


def electric_piano(*, tine: float = 1.0, bark: float = 1.0) -> Instrument:
    """A tine piano by frequency modulation: a bell-like tine over a round tone."""

    def play(frequency: float, seconds: float, velocity: float) -> Wave:
        shape = envelope(seconds, attack=0.002, decay=1.1, sustain=0.15, release=0.25)
        n = len(shape)
        phase = cycles(frequency, n)
        body = np.sin(2 * np.pi * phase + bark * 1.6 * velocity * fall(n, 0.5) * sine(phase))
        ring = np.sin(2 * np.pi * phase + tine * 0.8 * velocity * fall(n, 0.12) * sine(14 * phase))
        return 0.3 * fit(0.7 * body + 0.5 * ring, shape)

    return play


def organ(drawbars: tuple[float, ...], *, click: float = 0.02) -> Instrument:
    """Sines at the pitches of nine drawbars, 16' to 1', each 0 to 8."""
    ratios = np.array([0.5, 1.5, 1, 2, 3, 4, 5, 6, 8])
    levels = np.array([0 if d == 0 else 10 ** (-(8 - d) * 3 / 20) for d in drawbars])
    levels = levels / np.sqrt(np.sum(levels**2))

    def play(frequency: float, seconds: float, _velocity: float) -> Wave:
        shape = envelope(seconds, attack=0.006, decay=0.05, sustain=0.95, release=0.05)
        wave = partials(frequency, len(shape), levels, ratios=ratios)
        wave[:400] += click * np.sign(np.sin(np.arange(400) * 0.9))
        return 0.25 * fit(wave, shape)

    return play


def bell(*, ratio: float = 3.5, index: float = 2.0, ring: float = 1.5) -> Instrument:
    """A struck bell or bar by frequency modulation (Chowning 1973)."""

    def play(frequency: float, seconds: float, velocity: float) -> Wave:
        n = int((seconds + 1.5 * ring) * SAMPLE_RATE)
        phase = cycles(frequency, n)
        depth = index * velocity * fall(n, 0.4 * ring)
        wave = np.sin(2 * np.pi * phase + depth * sine(ratio * phase)) * fall(n, 0.45 * ring)
        wave[:80] *= np.linspace(0, 1, 80)
        wave[-400:] *= np.linspace(1, 0, 400)
        return 0.3 * wave

    return play


def vibraphone(*, motor: float = 5.0) -> Instrument:
    """Tuned bars with partials at 1, 4 and 10 and fans that turn `motor` times a second."""

    def play(frequency: float, seconds: float, velocity: float) -> Wave:
        n = int((seconds + 0.5) * SAMPLE_RATE)
        wave = partials(
            frequency,
            n,
            np.array([1.0, 0.35 * velocity, 0.12 * velocity]),
            ratios=np.array([1.0, 3.98, 9.9]),
            decays=np.array([1.6, 0.5, 0.12]),
        )
        t = np.arange(n) / SAMPLE_RATE
        wave *= 1 - 0.3 * (0.5 + 0.5 * np.sin(2 * np.pi * motor * t))
        return _release(0.35 * wave, seconds, 0.45)

    return play


def flute(rng: np.random.Generator, *, breath: float = 0.05, vibrato: float = 0.004) -> Instrument:
    """A flute or recorder: few partials, breath, vibrato that comes late."""

    def play(frequency: float, seconds: float, velocity: float) -> Wave:
        shape = envelope(seconds, attack=0.04, decay=0.2, sustain=0.85, release=0.07)
        n = len(shape)
        t = np.arange(n) / SAMPLE_RATE
        wobble = 1 + vibrato * np.minimum(t / 0.6, 1) * np.sin(2 * np.pi * 5.2 * t)
        phase = cycles(frequency * wobble, n)
        wave = sum(
            (
                gain * sine(k * phase)
                for k, gain in ((1, 1.0), (2, 0.35 * velocity), (3, 0.22), (4, 0.06), (5, 0.04))
            ),
            start=np.zeros(n),
        )
        air = bandpass(noise(rng, n), 0.8 * frequency, min(5 * frequency, 9000))
        return 0.28 * fit(wave + 3 * breath * air, shape)

    return play


def reed(rng: np.random.Generator, *, bright: float = 2200.0, growl: float = 0.0) -> Instrument:
    """A saxophone or harmonica: a pulse-like tone that opens up and has vibrato."""

    def play(frequency: float, seconds: float, velocity: float) -> Wave:
        shape = envelope(seconds, attack=0.035, decay=0.2, sustain=0.8, release=0.08)
        n = len(shape)
        t = np.arange(n) / SAMPLE_RATE
        scoop = -0.02 * np.exp(-t / 0.04)
        wobble = 1 + scoop + 0.005 * np.minimum(t / 0.5, 1) * np.sin(2 * np.pi * 5 * t)
        phase = cycles(frequency * wobble, n)
        wave = 0.7 * saw(phase) + 0.5 * square(phase, width=0.35)
        dark = lowpass(wave, 0.6 * bright)
        wave = dark + np.minimum(t / 0.12, 1) * velocity * (lowpass(wave, 1.6 * bright) - dark)
        wave = peak(peak(wave, 650, decibels=5), 1400, decibels=4)
        wave *= 1 + growl * np.sin(2 * np.pi * 43 * t)
        wave += 0.06 * bandpass(noise(rng, n), 1500, 7000)
        return 0.3 * fit(wave, shape)

    return play


def synth_bass(
    *, cutoff: float = 500.0, snap: float = 4.0, pulse: float = 0.0, decay: float = 0.12
) -> Instrument:
    """Sawtooth (or pulse) and sub-octave sine behind a filter that closes in `decay` seconds."""

    def play(frequency: float, seconds: float, velocity: float) -> Wave:
        shape = envelope(seconds, attack=0.004, decay=0.2, sustain=0.7, release=0.04)
        n = len(shape)
        phase = cycles(frequency, n)
        source = (1 - pulse) * saw(phase) + pulse * 1.5 * square(phase, width=0.4)
        dark = lowpass(source, cutoff)
        wave = dark + fall(n, decay) * velocity * (lowpass(source, cutoff * snap) - dark)
        return 0.4 * fit(wave + 0.5 * sine(phase), shape)

    return play


def sub_bass(*, warmth: float = 1.5, decay: float = 1.5) -> Instrument:
    """A low sine, warmed by saturation so that small loudspeakers show it too."""

    def play(frequency: float, seconds: float, _velocity: float) -> Wave:
        shape = envelope(seconds, attack=0.006, decay=decay, sustain=0.5, release=0.06)
        wave = np.tanh(warmth * sine(cycles(frequency, len(shape))))
        return 0.5 * fit(wave, shape)

    return play


def reese(rng: np.random.Generator, *, cutoff: float = 700.0, wobble: float = 0.0) -> Instrument:
    """Two sawtooths that beat against each other; `wobble` Hz opens and shuts the filter."""

    def play(frequency: float, seconds: float, velocity: float) -> Wave:
        shape = envelope(seconds, attack=0.01, decay=0.3, sustain=0.9, release=0.06)
        n = len(shape)
        source = detuned(rng, frequency, n, voices=4, cents=18)
        dark = lowpass(source, cutoff)
        t = np.arange(n) / SAMPLE_RATE
        rate = wobble or 0.5
        opening = 0.5 - 0.5 * np.cos(2 * np.pi * rate * t)
        wave = dark + opening * velocity * (lowpass(source, 3.5 * cutoff) - dark)
        wave = np.tanh(1.5 * wave) + 0.6 * sine(cycles(frequency, n))
        return 0.35 * fit(wave, shape)

    return play


def pad(
    rng: np.random.Generator,
    *,
    attack: float = 0.8,
    release: float = 1.5,
    cutoff: float = 1800.0,
    voices: int = 5,
    cents: float = 14.0,
) -> Instrument:
    """Detuned sawtooths behind a filter that opens slowly."""

    def play(frequency: float, seconds: float, velocity: float) -> Wave:
        shape = envelope(seconds, attack=attack, decay=1.0, sustain=0.9, release=release)
        n = len(shape)
        source = detuned(rng, frequency, n, voices=voices, cents=cents)
        dark = lowpass(source, 0.4 * cutoff)
        opening = np.minimum(np.arange(n) / (SAMPLE_RATE * 1.5 * attack), 1.0) * velocity
        return 0.3 * fit(dark + opening * (lowpass(source, cutoff) - dark), shape)

    return play


def stab(
    rng: np.random.Generator, *, cutoff: float = 2500.0, decay: float = 0.18, cents: float = 9.0
) -> Instrument:
    """A short, bright chord sound of detuned sawtooths."""

    def play(frequency: float, seconds: float, velocity: float) -> Wave:
        shape = envelope(seconds, attack=0.003, decay=decay, sustain=0.25, release=0.12)
        n = len(shape)
        source = detuned(rng, frequency, n, voices=4, cents=cents)
        dark = lowpass(source, 0.25 * cutoff)
        wave = dark + fall(n, decay) * velocity * (lowpass(source, 1.5 * cutoff) - dark)
        return 0.35 * fit(wave, shape)

    return play


def electric_string(
    rng: np.random.Generator, *, muted: bool = False, vibrato: float = 0.0
) -> Instrument:
    """An electric guitar's string before the amplifier; `muted` by the palm."""

    def play(frequency: float, seconds: float, _velocity: float) -> Wave:
        samples = int((seconds + 0.03) * SAMPLE_RATE)
        wave = string(
            rng,
            frequency,
            samples,
            seconds=0.35 if muted else 9.0,
            damping=0.5 if muted else 0.15,
            brightness=0.75 if muted else 0.95,
            position=0.1,
        )
        if vibrato:
            t = np.arange(samples) / SAMPLE_RATE
            bend = vibrato / frequency * np.minimum(t / 0.4, 1) * np.sin(2 * np.pi * 5.5 * t)
            wave = np.interp(t + bend, t, wave)
        return _release(wave, seconds, 0.03)

    return play


def upright_bass(rng: np.random.Generator, *, ring: float = 1.6) -> Instrument:
    """A double bass, plucked: dark string, big body, a finger's thump."""

    def play(frequency: float, seconds: float, velocity: float) -> Wave:
        samples = int((seconds + 0.08) * SAMPLE_RATE)
        wave = string(
            rng,
            frequency,
            samples,
            seconds=ring,
            damping=0.5,
            brightness=0.28 + 0.2 * velocity,
            position=0.25,
        )
        wave = peak(lowpass(wave, 1800), 95, decibels=4)
        thump = bandpass(noise(rng, samples), 60, 900) * fall(samples, 0.012)
        return _release(wave + 0.5 * velocity * thump, seconds, 0.07)

    return play
