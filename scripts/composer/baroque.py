"""Baroque: a harpsichord with two or three voices in imitation over a moving bass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .effects import reverb
from .harmony import Chord, Key
from .instruments import bowed, flute, harpsichord
from .melody import Motif, draw_motif
from .mixing import blend, finish, play
from .piece import Instrument, Note, Performer, Piece, Style, timeline_for

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

# Two chords a bar.
PROGRESSIONS = {
    "major": (
        "I V vi iii IV I IV V",
        "I IV viidim iii vi ii V I",
        "I vi ii V I IV V I",
    ),
    "minor": (
        "i V i bVII bIII bVII i V",
        "i iv bVII bIII bVI iv V i",
        "i bVI iv V i iv V i",
    ),
}
FIGURES = (
    tuple((i / 4, 0.25) for i in range(16)),
    tuple((i / 4, 0.25) for i in range(4)) + tuple((1 + i / 2, 0.5) for i in range(6)),
    (
        (0.0, 0.5),
        (0.5, 0.25),
        (0.75, 0.25),
        (1.0, 0.5),
        (1.5, 0.25),
        (1.75, 0.25),
        (2.0, 0.25),
        (2.25, 0.25),
        (2.5, 0.25),
        (2.75, 0.25),
        (3.0, 0.5),
        (3.5, 0.5),
    ),
)
ANSWERS = (
    tuple((i / 2, 0.5) for i in range(8)),
    ((0.0, 1.0), (1.0, 0.5), (1.5, 0.5), (2.0, 1.0), (3.0, 1.0)),
)


@dataclass(frozen=True)
class ChamberSound:
    """How an ensemble sounds: its mode, the instruments of the tune, its register, strings."""

    scale: str
    tune: Callable[[np.random.Generator], Instrument] | None
    register: int
    strings: bool
    four_foot: float


def _spin(
    motif: Motif, scale: tuple[int, ...], chords: list[Chord], bar: int, start: int
) -> tuple[list[Note], int]:
    """One bar of a motif from place `start` of the scale, chord notes on the beats."""
    notes = []
    place = start
    for (beat, length), step in zip(motif.cell, motif.steps, strict=True):
        chord = chords[min(int((bar * 4 + beat) // 2), len(chords) - 1)]
        place = min(max(place + step, 0), len(scale) - 1)
        if beat % 1 == 0:
            inside = [i for i, p in enumerate(scale) if chord.holds(p)]
            place = min(inside, key=lambda i: abs(i - place))
        pitch = scale[place]
        # The leading note of a minor key is raised over the dominant.
        if chord.holds(pitch + 1) and not chord.holds(pitch) and len(chord.shape) == 3:
            raised = (pitch + 1 - chord.root) % 12 == 4
            pitch += int(raised)
        notes.append(Note(bar * 4 + beat, length * 0.92, pitch, 0.8))
    return notes, place


def compose(performer: Performer[ChamberSound], rng: np.random.Generator) -> Piece:
    """Write and play one baroque movement."""
    look = performer.sound
    key = Key(int(rng.choice([0, 2, 5, 7, 9, 10])), look.scale)
    timeline = timeline_for(performer.choose_tempo(rng), multiple=2, tail=2.5)
    options = PROGRESSIONS[look.scale]
    chords = timeline.cycle(key.progression(options[rng.integers(len(options))]), beats=2)
    cadence = "ii V I I" if look.scale == "major" else "iv V i i"
    chords[-4:] = key.progression(cadence)
    subject = draw_motif(rng, FIGURES, leap=0.12)
    counter = draw_motif(rng, ANSWERS, leap=0.2)

    high = key.pitches(look.register - 8, look.register + 10)
    middle = key.pitches(57, 74)
    upper, lower, bass, fill = [], [], [], []
    places = [len(high) // 2, len(middle) // 2]
    for bar in range(timeline.bars - 1):
        # The voices take turns with the subject, as in an invention.
        lead, other = (subject, counter) if bar % 2 == 0 else (counter, subject)
        notes, places[0] = _spin(lead, high, chords, bar, (places[0] + len(high) // 2) // 2)
        upper += notes
        if bar > 0:
            notes, places[1] = _spin(
                other, middle, chords, bar, (places[1] + len(middle) // 2) // 2
            )
            lower += notes
    for i, chord in enumerate(chords[:-2]):
        root = chord.bass(40)
        third = root + next(step for step in chord.shape if step in {3, 4})
        bass += [Note(2 * i, 0.95, root, 0.8), Note(2 * i + 1, 0.95, third, 0.75)]
        fill += [Note(2 * i, 1.8, p, 0.6) for p in chord.voicing(60)]
    close = chords[-1]
    end = 4.0 * (timeline.bars - 1)
    for voice, pitches in (
        (upper, [p for p in high if (p - close.root) % 12 == 0][-1:]),
        (lower, close.voicing(62)[:1]),
        (bass, [close.bass(36)]),
        (fill, close.voicing(60)),
    ):
        voice += [Note(end, 4.5, p, 0.8) for p in pitches]

    keys = harpsichord(rng, four_foot=look.four_foot)
    both = lower + (upper if look.tune is None else fill)
    cembalo = play(rng, both + bass, keys, timeline, jitter=0.006, strum=0.012, spread=0.4)
    cello = play(rng, bass, bowed(rng, players=1, bright=1800), timeline, pan=0.3)
    layers = [(cembalo, 0.0), (cello, -7.0)]
    if look.tune is not None:
        layers.append((play(rng, upper, look.tune(rng), timeline, pan=-0.2, jitter=0.008), -2.0))
    if look.strings:
        section = bowed(rng, players=4, attack=0.1, bright=2800)
        layers.append((play(rng, fill, section, timeline, spread=0.7), -6.0))
    mix = reverb(rng, blend(*layers), seconds=2.6, wet=0.5, bright=4500, before=0.03)
    return Piece(finish(mix), timeline.tempo, key)


STYLE = Style(
    "Baroque",
    (
        Performer(
            "Elise Marchand",
            "Inventions for Harpsichord",
            1999,
            (84, 96),
            ChamberSound("minor", None, 74, strings=False, four_foot=0.4),
            ("Invention in the French Manner", "Prelude and Pursuit", "The Clockmaker"),
        ),
        Performer(
            "Camerata Linden",
            "Concerti da Camera",
            2004,
            (88, 100),
            ChamberSound(
                "major",
                lambda rng: bowed(rng, players=2, attack=0.03, bright=3800),
                76,
                strings=True,
                four_foot=0.25,
            ),
            ("Allegro in Terrace Dynamics", "Ritornello", "Giga"),
        ),
        Performer(
            "Consort of Saint Brigid",
            "Airs for Recorder and Continuo",
            2011,
            (80, 92),
            ChamberSound(
                "major",
                lambda rng: flute(rng, breath=0.03, vibrato=0.002),
                79,
                strings=False,
                four_foot=0.3,
            ),
            ("Air for a Small Court", "Bourrée", "The Nightingale's Lesson"),
        ),
    ),
    compose,
)
