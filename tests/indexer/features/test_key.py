from __future__ import annotations

import numpy as np
import pytest
import soxr

from indexer.features.descriptors import measure
from indexer.features.key import KEYS, STEPS, estimate_key, parse_musical_key

RATE = 16_000
I_IV_V_I = ((0, 4, 7), (5, 9, 12), (7, 11, 14), (0, 4, 7))
I_IV_V_I_MINOR = ((0, 3, 7), (5, 8, 12), (7, 11, 14), (0, 3, 7))


def cadence(chords: tuple[tuple[int, ...], ...], *, tonic: int, cents: float = 0) -> np.ndarray:
    """Chords with four overtones, each chord 3 s, above a bass; a window each."""
    time = np.arange(3 * RATE) / RATE
    sound = np.zeros((len(chords), len(time)))
    for number, chord in enumerate(chords):
        for semitones in (*chord, chord[0] - 12):
            pitch = 220 * 2 ** ((tonic - 9 + semitones + cents / 100) / 12)
            for overtone in range(1, 5):
                sound[number] += np.sin(2 * np.pi * pitch * overtone * time) / overtone**1.5
    return (0.05 * sound).astype(np.float32)


def key_of(windows: np.ndarray) -> tuple[str | None, float]:
    return estimate_key(measure(windows, sample_rate=RATE).pitches)


@pytest.mark.parametrize("tonic", range(12))
def test_a_cadence_is_in_its_key_wherever_it_is_moved(tonic: int) -> None:
    major, confidence = key_of(cadence(I_IV_V_I, tonic=tonic))
    assert major == KEYS[tonic]
    assert confidence > 0.5
    assert key_of(cadence(I_IV_V_I_MINOR, tonic=tonic))[0] == KEYS[12 + tonic]


@pytest.mark.parametrize("cents", [-40, -20, 20, 40])
def test_the_tuning_does_not_matter(cents: float) -> None:
    assert key_of(cadence(I_IV_V_I, tonic=2, cents=cents))[0] == "D major"


def test_playing_faster_raises_the_key() -> None:
    """What a turntable does: 2^(3/12) as fast is three semitones up."""
    slow = cadence(I_IV_V_I_MINOR, tonic=0).ravel()
    fast = soxr.resample(slow, RATE, RATE / 2 ** (3 / 12))[: 9 * RATE].reshape(3, -1)
    assert (key_of(slow.reshape(4, -1))[0], key_of(fast)[0]) == ("C minor", "Eb minor")


def test_noise_a_single_tone_and_silence_have_no_key() -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal((4, 3 * RATE)).astype(np.float32)
    tone = 0.1 * np.sin(2 * np.pi * 330 * np.arange(3 * RATE) / RATE).astype(np.float32)
    for sound in (noise, noise[:1], tone[np.newaxis], np.zeros((2, 3 * RATE), np.float32)):
        assert key_of(sound) == (None, 0.0)


def test_an_even_histogram_has_no_key() -> None:
    assert estimate_key(np.ones(12 * STEPS)) == (None, 0.0)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("A minor", "A minor"),
        ("Am", "A minor"),
        (" a Moll ", "A minor"),
        ("g#m", "G# minor"),
        ("Ab minor", "G# minor"),
        ("C", "C major"),
        ("C# major", "Db major"),
        ("b♭", "Bb major"),
        ("Bmin", "B minor"),
        ("Cb", "B major"),
        ("F sharp minor", "F# minor"),
        ("AM", "A major"),
        ("a-moll", "A minor"),
        ("AMIN", "A minor"),
        ("F sharp", "F# major"),
        ("Fis-Dur", "F# major"),
        ("gis-moll", "G# minor"),
        ("As-Dur", "Ab major"),
        ("Es moll", "Eb minor"),
        ("b-moll", "Bb minor"),
        ("Bb moll", "Bb minor"),
        ("h-moll", "B minor"),
        ("H minor", None),
        ("Hm", None),
        ("Cs", None),
        ("", None),
        ("A minor 7", None),
    ],
)
def test_keys_are_understood_as_people_write_them(text: str, name: str | None) -> None:
    assert parse_musical_key(text) == name


def test_every_stored_name_is_understood() -> None:
    assert [parse_musical_key(name) for name in KEYS] == list(KEYS)
    assert len(set(KEYS)) == 24
