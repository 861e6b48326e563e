"""Musical key: strength of the pitch classes, correlated with the profile of each key.

Peaks of the spectrum (Gómez 2006, "Tonal description of polyphonic audio") are collected by pitch
in steps of a tenth of a semitone, so that the tuning of the recording can be found before they are
counted as pitch classes. The counts are correlated with the profiles of Albrecht & Shanahan (2013,
"The use of large corpora to train a new type of key-finding algorithm"), turned to each of the 12
tonics in major and minor.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAJOR_TONICS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
MINOR_TONICS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
KEYS = tuple(f"{tonic} major" for tonic in MAJOR_TONICS) + tuple(
    f"{tonic} minor" for tonic in MINOR_TONICS
)
"""The 24 keys as they are stored: those in major from C upwards, then those in minor."""

STEPS = 10
"""Steps of the pitch histogram in a semitone."""
LOWEST_HZ, HIGHEST_HZ = 100.0, 2000.0
"""Below, semitones are closer than the spectrum resolves; above there is little but overtones."""

_PROFILES = np.array(
    [
        [0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081],
        [0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052],
    ]
)
_FAINT = 0.01  # of the strongest partial in its frame
_CHANCE = 0.61  # a single tone correlates by 0.60, noise by at most 0.36
_SHARPNESS = 20.0
_TINY = float(np.finfo(np.float32).tiny)
_A4_HZ, _A4_MIDI = 440.0, 69
_SEMITONES = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_NAME = re.compile(
    r"(?P<letter>[a-h])(?:[ -]?(?P<sign>#|♯|b|♭|sharp|flat)|(?P<ending>is|es|(?<=[ae])s))?"
    r"[ -]*(?P<mode>m|min|minor|maj|major|moll|dur|)",
    re.IGNORECASE,
)
_SHARPS = ("#", "♯", "sharp", "is")


def parse_musical_key(text: str) -> str | None:
    """The name in `KEYS` of a musical key as people write it; None if the text names none.

    ==============================================  ==========
    text, with spaces, hyphens or neither between   name
    ==============================================  ==========
    A minor, a min, Am, am, a-moll                  A minor
    A major, A maj, AM, A, a, A-Dur                 A major
    F sharp, F#, F♯, Fis, Gb, Ges-Dur               F# major
    Bb, B flat major, Bes, B-Dur                    Bb major
    B, B major, H-Dur                               B major
    ==============================================  ==========

    Without a mode it is major, in capitals or not. German names are read as Germans mean them: with
    "Dur" or "moll", B is B flat and H is B.
    """
    found = _NAME.fullmatch(text.strip())
    if found is None:
        return None
    letter, mode = found["letter"].lower(), found["mode"]
    accidental = (found["sign"] or found["ending"] or "").lower()
    german = mode.lower() in ("moll", "dur")
    if letter == "h":
        if not german:
            return None
        letter = "b"
    elif letter == "b" and german and not accidental:
        accidental = "b"
    alteration = 0 if not accidental else 1 if accidental in _SHARPS else -1
    minor = mode == "m" or mode.lower() in ("min", "minor", "moll")
    return KEYS[(_SEMITONES[letter] + alteration) % 12 + 12 * minor]


def pitch_histogram(magnitudes: NDArray[np.float32], *, bin_hz: float) -> NDArray[np.float64]:
    """Strength of each pitch class, in tenths of a semitone from C upwards.

    Parameters
    ----------
    magnitudes : float32 (pieces, bins, frames)
        Of the Fourier transform, from 0 Hz on, `bin_hz` from one bin to the next.

    Returns
    -------
    ndarray, float64 (12 * STEPS,)
    """
    low, high = int(LOWEST_HZ / bin_hz), int(HIGHEST_HZ / bin_hz)
    around = magnitudes[:, low - 1 : high + 1]
    middle = around[:, 1:-1]
    strongest = middle.max(axis=1, keepdims=True, initial=_TINY)
    peaks = (middle > around[:, :-2]) & (middle >= around[:, 2:]) & (middle > _FAINT * strongest)
    _piece, row, _frame = np.nonzero(peaks)
    below, at, above = (
        np.log(np.maximum(part[peaks], _TINY, dtype=np.float64))
        for part in (around[:, :-2], middle, around[:, 2:])
    )
    offset = 0.5 * (below - above) / (below - 2 * at + above)
    frequency = (row + low + offset) * bin_hz
    # Overtones, which lie higher, count for less than the tones that they belong to.
    strength = (middle / strongest)[peaks] * np.sqrt(LOWEST_HZ / frequency)
    pitch = (_A4_MIDI + 12 * np.log2(frequency / _A4_HZ)) * STEPS
    bins = np.round(pitch).astype(np.int64) % (12 * STEPS)
    return np.bincount(bins, strength, 12 * STEPS).astype(np.float64)


def estimate_key(histogram: NDArray[np.float64]) -> tuple[str | None, float]:
    """Musical key of a recording, from its pitch histogram (12 * STEPS,).

    Returns
    -------
    key : str or None
        One of `KEYS`; None if the pitch classes resemble no key more than a
        single tone or noise does.
    confidence : float
        0 to 1: the key's share among all 24, each counting by an exponential of its correlation.
    """
    pitch_classes = _pitch_classes(histogram)
    fits = _correlations(pitch_classes)
    best = int(fits.argmax())
    if not fits[best] > _CHANCE:
        return None, 0.0
    shares = np.exp(_SHARPNESS * (fits - fits[best]))
    return KEYS[best], float(1.0 / shares.sum())


def _pitch_classes(histogram: NDArray[np.float64]) -> NDArray[np.float64]:
    """Strengths of the 12 pitch classes (12,), relative to the tuning of the recording."""
    steps = np.arange(12 * STEPS) / STEPS
    tuning = np.angle((histogram * np.exp(2j * np.pi * steps)).sum()) / (2 * np.pi)
    pitch = steps - tuning
    nearest = np.round(pitch)
    closeness = np.cos(np.pi * (pitch - nearest)) ** 2
    counts = np.bincount(nearest.astype(np.int64) % 12, histogram * closeness, 12)
    return counts.astype(np.float64)


def _correlations(pitch_classes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson correlation with each key's profile, (24,); zeros if all classes are alike."""
    counts = pitch_classes - pitch_classes.mean()
    length = float(np.linalg.norm(counts))
    if not length > 0.0:
        return np.zeros(24)
    profiles = _PROFILES - _PROFILES.mean(axis=1, keepdims=True)
    profiles /= np.linalg.norm(profiles, axis=1, keepdims=True)
    turned = np.stack([np.roll(profile, tonic) for profile in profiles for tonic in range(12)])
    return np.asarray(turned @ counts / length)
