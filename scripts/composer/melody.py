"""Melodies in phrases: short motifs that return, change and come to rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .piece import Note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .harmony import Chord

Cell = tuple[tuple[float, float], ...]
"""The rhythm of one bar: (start, length) in beats."""


@dataclass(frozen=True)
class Motif:
    """One bar of melody without its pitches: a rhythm, and a step of the scale to each note."""

    cell: Cell
    steps: tuple[int, ...]


def draw_motif(rng: np.random.Generator, cells: Sequence[Cell], *, leap: float = 0.25) -> Motif:
    """A motif on one of `cells`: mostly steps, leaps with probability `leap`, then turning back."""
    cell = cells[int(rng.integers(len(cells)))]
    steps: list[int] = [0]
    for _ in cell[1:]:
        if rng.random() < leap:
            step = int(rng.choice([-4, -3, -2, 2, 3, 4]))
        else:
            step = int(rng.choice([-1, 1, -1, 1, 0]))
        # A leap is answered by a step in the other direction.
        if abs(steps[-1]) > 2:
            step = -int(np.sign(steps[-1]))
        steps.append(step)
    return Motif(cell, tuple(steps))


def sing(
    rng: np.random.Generator,
    scale: Sequence[int],
    chords: Sequence[Chord],
    *,
    first_bar: int,
    bars: int,
    cells: Sequence[Cell],
    form: str = "ABAC",
    beats_per_bar: int = 4,
    beats_per_chord: int | None = None,
    legato: float = 0.9,
    leap: float = 0.25,
    rest: float = 0.0,
) -> list[Note]:
    """Write a melody over chords.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws motifs and accents.
    scale : sequence of int
        MIDI pitches the melody may use, low to high.
    chords : sequence of Chord
        One for every `beats_per_chord` beats (a bar if None) from the start of the piece.
    first_bar, bars : int
        Where the melody sounds.
    cells : sequence of Cell
        Rhythms the motifs are made on.
    form : str
        A letter a bar, repeated; equal letters share a motif. The last bar of each round ends on
        a long note of the chord.
    beats_per_bar : int
        Length of a bar.
    legato : float
        Share of its written length that a note is held.
    leap : float
        Probability of a leap from note to note.
    rest : float
        Probability that a note is left out.

    Returns
    -------
    list of Note
    """
    motifs = {letter: draw_motif(rng, cells, leap=leap) for letter in sorted(set(form))}
    step = beats_per_chord or beats_per_bar
    centre = len(scale) // 2
    place = centre
    notes: list[Note] = []
    for bar in range(bars):
        letter = form[bar % len(form)]
        motif = motifs[letter]
        closing = bar % len(form) == len(form) - 1
        # Each bar starts between where the last one ended and the middle of the register.
        place = round((place + centre) / 2)
        for i, ((start, length), move) in enumerate(zip(motif.cell, motif.steps, strict=True)):
            beat = (first_bar + bar) * beats_per_bar + start
            chord = chords[min(int(beat // step), len(chords) - 1)]
            place = min(max(place + move, 0), len(scale) - 1)
            last = closing and i == len(motif.cell) - 1
            if start % 1 == 0 or last:
                place = _nearest(scale, place, chord)
            if rng.random() < rest and not last:
                continue
            held = max(length, beats_per_bar - start) if last else length
            velocity = 0.72 + 0.16 * (start % 1 == 0) + 0.1 * rng.random()
            notes.append(Note(beat, held * legato, scale[place], velocity))
    return notes


def _nearest(scale: Sequence[int], place: int, chord: Chord) -> int:
    """Place in the scale of the chord's note nearest to `place` (itself if there is none)."""
    inside = [i for i, pitch in enumerate(scale) if chord.holds(pitch)]
    return min(inside, key=lambda i: abs(i - place), default=place)
