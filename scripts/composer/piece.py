"""What a composed piece is made of: notes on a timeline, a performer, a style."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .harmony import Chord, Key

SAMPLE_RATE = 44100

Wave = NDArray[np.float64]
"""Sound in [-1, 1] by convention: (samples,) for one channel, (2, samples) for stereo."""

Instrument = Callable[[float, float, float], Wave]
"""(frequency in Hz, seconds held, velocity 0..1) -> one channel, with its own release."""

Sound = TypeVar("Sound")


@dataclass(frozen=True)
class Note:
    """A MIDI pitch (fractions bend it) that starts at `beat` and is held for `beats`."""

    beat: float
    beats: float
    pitch: float
    velocity: float = 0.8


@dataclass(frozen=True)
class Timeline:
    """Beats to seconds: a steady tempo, swung if asked for, and room for the last sound.

    Parameters
    ----------
    tempo : float
        Beats a minute.
    bars, beats_per_bar : int
        Length of the music.
    swing : float
        Where the second of two equal parts falls, 0.5 (straight) to 0.67 (triplets).
    swung : float
        Length in beats of each of those parts: 0.5 swings quavers, 0.25 semiquavers.
    tail : float
        Seconds after the last bar.
    """

    tempo: float
    bars: int
    beats_per_bar: int = 4
    swing: float = 0.5
    swung: float = 0.5
    tail: float = 2.0

    @property
    def beats(self) -> int:
        """Number of beats of the whole piece."""
        return self.bars * self.beats_per_bar

    @property
    def samples(self) -> int:
        """Number of samples of the whole piece, tail included."""
        return round((self.beats * 60 / self.tempo + self.tail) * SAMPLE_RATE)

    def seconds(self, beat: float) -> float:
        """The moment of a beat, in seconds from the start."""
        pair = 2 * self.swung
        whole, part = divmod(beat / pair, 1.0)
        if part < 0.5:
            part = part * 2 * self.swing
        else:
            part = self.swing + (part - 0.5) * 2 * (1 - self.swing)
        return float((whole + part) * pair * 60 / self.tempo)

    def cycle(self, chords: Sequence[Chord], *, beats: int | None = None) -> list[Chord]:
        """One chord for every `beats` beats (a bar if None), repeated through the whole piece."""
        step = beats or self.beats_per_bar
        return [chords[i % len(chords)] for i in range(-(-self.beats // step))]


def timeline_for(
    tempo: float,
    *,
    beats_per_bar: int = 4,
    multiple: int = 4,
    swing: float = 0.5,
    swung: float = 0.5,
    tail: float = 2.0,
) -> Timeline:
    """A timeline with as many bars, in multiples of `multiple`, as end before 29 seconds."""
    bar = beats_per_bar * 60 / tempo
    bars = int((29.0 - tail) / bar / multiple) * multiple
    return Timeline(tempo, bars, beats_per_bar, swing, swung, tail)


@dataclass(frozen=True)
class Piece:
    """Finished music: stereo sound (2, samples) at `SAMPLE_RATE`, beats a minute, and the key."""

    sound: Wave
    tempo: float
    key: Key


@dataclass(frozen=True)
class Performer(Generic[Sound]):
    """An invented performer: name, one album, its year, range of tempo, and a sound of its own."""

    name: str
    album: str
    year: int
    tempo: tuple[float, float]
    sound: Sound
    titles: tuple[str, ...]

    def choose_tempo(self, rng: np.random.Generator) -> float:
        """A tempo within the performer's range, in half beats a minute."""
        return round(2 * rng.uniform(*self.tempo)) / 2


@dataclass(frozen=True)
class Style(Generic[Sound]):
    """A style: its name (the genre tag), its performers, and how it is composed and played."""

    name: str
    performers: tuple[Performer[Sound], ...]
    compose: Callable[[Performer[Sound], np.random.Generator], Piece]
