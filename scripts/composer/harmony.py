"""Keys, scales and chords: the notes that a style may choose from."""

from __future__ import annotations

import re
from dataclasses import dataclass

NOTE_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "harmonic minor": (0, 2, 3, 5, 7, 8, 11),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "major pentatonic": (0, 2, 4, 7, 9),
    "minor pentatonic": (0, 3, 5, 7, 10),
    "blues": (0, 3, 5, 6, 7, 10),
}
_ROOTS = {"i": 0, "ii": 2, "iii": 4, "iv": 5, "v": 7, "vi": 9, "vii": 11}
_MAJOR_SHAPES = {
    "": (0, 4, 7),
    "5": (0, 7),
    "6": (0, 4, 7, 9),
    "7": (0, 4, 7, 10),
    "9": (0, 4, 7, 10, 14),
    "13": (0, 4, 10, 14, 21),
    "maj7": (0, 4, 7, 11),
    "maj9": (0, 4, 7, 11, 14),
    "add9": (0, 4, 7, 14),
    "sus2": (0, 2, 7),
    "sus4": (0, 5, 7),
}
_MINOR_SHAPES = {
    "": (0, 3, 7),
    "5": (0, 7),
    "7": (0, 3, 7, 10),
    "9": (0, 3, 7, 10, 14),
    "11": (0, 3, 7, 10, 14, 17),
    "dim": (0, 3, 6),
    "7b5": (0, 3, 6, 10),
    "add9": (0, 3, 7, 14),
}


@dataclass(frozen=True)
class Chord:
    """A root pitch class (0 = C) and the semitones of the chord's notes above it."""

    root: int
    shape: tuple[int, ...]

    def holds(self, pitch: int) -> bool:
        """Whether the MIDI pitch belongs to the chord, in any octave."""
        return (pitch - self.root) % 12 in {step % 12 for step in self.shape}

    def bass(self, lowest: int) -> int:
        """The lowest MIDI pitch of the root that is not below `lowest`."""
        return lowest + (self.root - lowest) % 12

    def voicing(self, centre: float) -> tuple[int, ...]:
        """Close position of the chord with its middle nearest to `centre`, low to high."""
        classes = [(self.root + step) % 12 for step in self.shape]
        best: tuple[int, ...] = ()
        for rotation in range(len(classes)):
            pitches = [classes[rotation]]
            for offset in range(1, len(classes)):
                pitch = classes[(rotation + offset) % len(classes)]
                pitches.append(pitch + 12 * ((pitches[-1] - pitch) // 12 + 1))
            middle = sum(pitches) / len(pitches)
            shift = 12 * round((centre - middle) / 12)
            moved = tuple(pitch + shift for pitch in pitches)
            if not best or abs(sum(moved) / len(moved) - centre) < abs(
                sum(best) / len(best) - centre
            ):
                best = moved
        return tuple(sorted(best))


@dataclass(frozen=True)
class Key:
    """A tonic pitch class (0 = C) and the name of a scale of `SCALES`."""

    tonic: int
    scale: str = "major"

    @property
    def name(self) -> str:
        """Tonic and mode as a listener names them, such as `A minor`."""
        mode = "major" if 4 in SCALES[self.scale] else "minor"
        return f"{NOTE_NAMES[self.tonic % 12]} {mode}"

    def pitches(self, low: int, high: int, scale: str | None = None) -> tuple[int, ...]:
        """MIDI pitches of the scale between `low` and `high`, both included."""
        steps = SCALES[scale or self.scale]
        return tuple(p for p in range(low, high + 1) if (p - self.tonic) % 12 in steps)

    def chord(self, numeral: str) -> Chord:
        """The chord of a Roman numeral: `ii7`, `V`, `bVImaj7`; a small numeral is a minor chord.

        Numerals count from the major scale of the tonic, so that the sixth of a minor key is
        written `bVI`.
        """
        match = re.fullmatch(r"(b?)([IV]+|[iv]+)(.*)", numeral)
        if match is None:
            raise ValueError(f"{numeral!r} is not a chord: write it like ii7, V or bVImaj7.")
        flat, roman, shape = match.groups()
        root = (self.tonic + _ROOTS[roman.lower()] - len(flat)) % 12
        shapes = _MAJOR_SHAPES if roman.isupper() else _MINOR_SHAPES
        return Chord(root, shapes[shape])

    def progression(self, numerals: str) -> tuple[Chord, ...]:
        """The chords of Roman numerals separated by blanks."""
        return tuple(self.chord(numeral) for numeral in numerals.split())
