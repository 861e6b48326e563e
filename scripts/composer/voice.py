"""A voice that sings or speaks without words: pulses through the formants of vowels."""

from __future__ import annotations

import numpy as np

from .instruments import fit
from .oscillators import bandpass, cycles, envelope, lowpass, noise, saw
from .piece import SAMPLE_RATE, Instrument, Wave

VOWELS = {
    "a": ((730, 1.0), (1090, 0.5), (2440, 0.25)),
    "e": ((530, 1.0), (1840, 0.4), (2480, 0.3)),
    "i": ((300, 1.0), (2200, 0.3), (2950, 0.25)),
    "o": ((570, 1.0), (840, 0.5), (2410, 0.1)),
    "u": ((320, 1.0), (870, 0.3), (2240, 0.08)),
}
"""Formants in Hz and their levels (Peterson and Barney 1952, men)."""


def voice(
    rng: np.random.Generator,
    *,
    size: float = 1.0,
    breath: float = 0.1,
    consonants: float = 0.0,
    glide: float = 0.0,
    attack: float = 0.03,
) -> Instrument:
    """A wordless voice: glottal pulses through the formants of a vowel drawn for each note.

    `size` scales the formants (1.15 is a woman's voice), `consonants` is the level of the noise
    in front of a syllable, `glide` the semitones by which it falls, as speech does.
    """

    def play(frequency: float, seconds: float, _velocity: float) -> Wave:
        shape = envelope(seconds, attack=attack, decay=0.2, sustain=0.8, release=0.06)
        n = len(shape)
        t = np.arange(n) / SAMPLE_RATE
        wobble = 1 + 0.006 * np.minimum(t / 0.4, 1) * np.sin(2 * np.pi * 5.3 * t)
        bend = 2 ** (-glide / 12 * t / max(seconds, 0.05))
        source = saw(cycles(frequency * wobble * bend, n)) + breath * noise(rng, n)
        source = lowpass(source, 3500, order=1)
        wave = 0.15 * lowpass(source, 500)
        for hz, gain in VOWELS[rng.choice(list(VOWELS))]:
            wave += gain * bandpass(source, 0.92 * size * hz, 1.09 * size * hz, order=1)
        wave = fit(wave, shape)
        length = min(int(0.05 * SAMPLE_RATE), n)
        hiss = bandpass(noise(rng, length), float(rng.uniform(1200, 4000)), 9000)
        wave[:length] += consonants * hiss * np.hanning(length)
        return 0.6 * wave

    return play
