"""Folk: finger-picked steel strings in alternating bass, a tune on top, a second voice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .drums import shaker
from .effects import reverb, room
from .harmony import Key
from .instruments import bowed, plucked, reed, upright_bass
from .melody import sing
from .mixing import blend, finish, play, silence, strike
from .piece import Instrument, Note, Performer, Piece, Style, timeline_for

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

PROGRESSIONS = {
    "major": ("I IV I V", "I V vi IV", "I vi IV V", "I I IV I V IV I V"),
    "minor": ("i bVII bVI bVII", "i iv bVII i", "i bIII bVII i"),
}
# Strings of the picking hand in quavers: b bass, B its fifth, 1 to 3 the chord from the top down.
PICKINGS = (
    ("b3", "2", "B1", "2", "b3", "1", "B2", "1"),
    ("b1", "3", "B2", "1", "b3", "2", "B1", "2"),
    ("b", "2", "B1", "3", "b2", "1", "B3", "1"),
)
TUNES = (
    ((0.0, 1.0), (1.0, 0.5), (1.5, 0.5), (2.0, 1.0), (3.0, 1.0)),
    ((0.0, 1.5), (1.5, 0.5), (2.0, 2.0)),
    ((0.0, 0.5), (0.5, 0.5), (1.0, 1.0), (2.0, 0.5), (2.5, 0.5), (3.0, 1.0)),
    ((1.0, 0.5), (1.5, 0.5), (2.0, 1.0), (3.0, 1.0)),
)


@dataclass(frozen=True)
class FolkSound:
    """How a folk musician sounds: brightness of the guitar, the tune's instrument, company."""

    brightness: float
    tune: Callable[[np.random.Generator], Instrument]
    tune_range: tuple[int, int]
    scale: str
    bass: bool
    foot: bool


def compose(performer: Performer[FolkSound], rng: np.random.Generator) -> Piece:
    """Write and play one folk piece."""
    look = performer.sound
    key = Key(int(rng.choice([0, 2, 4, 7, 9])), look.scale)
    timeline = timeline_for(performer.choose_tempo(rng), multiple=2, swing=0.54, tail=2.5)
    options = PROGRESSIONS[look.scale]
    chords = timeline.cycle(key.progression(options[rng.integers(len(options))]))
    picking = PICKINGS[rng.integers(len(PICKINGS))]

    guitar, bass, strum = [], [], []
    for bar, chord in enumerate(chords):
        top = chord.voicing(61)[::-1]
        root = chord.bass(40)
        for i, fingers in enumerate(picking):
            beat = bar * 4 + i / 2
            for finger in fingers:
                if finger in "bB":
                    pitch = root if finger == "b" else root + (7 if root < 47 else -5)
                    guitar.append(Note(beat, 1.0, pitch, 0.85))
                else:
                    guitar.append(Note(beat, 1.4, top[int(finger) - 1], 0.7))
        bass += [
            Note(bar * 4, 1.8, chord.bass(28), 0.8),
            Note(bar * 4 + 2, 1.8, chord.bass(28) + 7, 0.7),
        ]
        for start in (1.0, 3.0, 3.5):
            strum += [Note(bar * 4 + start, 0.5, p, 0.6) for p in chord.voicing(67)]
    last = timeline.beats
    close = chords[0]
    guitar += [Note(last, 4, p, 0.8) for p in (close.bass(40), *close.voicing(57))]
    tune = sing(
        rng,
        key.pitches(*look.tune_range, scale=f"{look.scale} pentatonic"),
        chords,
        first_bar=2,
        bars=timeline.bars - 2,
        cells=TUNES,
        form="ABAC",
        rest=0.05,
    )
    steel = plucked(rng, ring=2.5, damping=0.5, brightness=look.brightness, position=0.2, wood=7.0)
    first = play(rng, guitar, steel, timeline, pan=-0.25, jitter=0.006, strum=0.012)
    second = plucked(rng, ring=1.5, damping=0.45, brightness=0.5, position=0.1, body=240)
    chop = play(rng, [x for x in strum if x.beat >= 16], second, timeline, pan=0.5, strum=0.009)
    melody = play(rng, tune, look.tune(rng), timeline, pan=0.15, jitter=0.01)
    layers = [(room(rng, first), 0.0), (chop, -11.0), (room(rng, melody), -3.0)]
    if look.bass:
        layers.append((play(rng, bass, upright_bass(rng), timeline), -12.0))
    if look.foot:
        feet = silence(timeline)
        beats = [(float(b), 0.8 if b % 2 else 0.4) for b in range(8, timeline.beats)]
        strike(rng, feet, shaker(rng), beats, timeline, pan=0.3, jitter=0.006)
        layers.append((feet, -20.0))
    mix = reverb(rng, blend(*layers), seconds=1.1, wet=0.14, bright=6000)
    return Piece(finish(mix), timeline.tempo, key)


def _second_guitar(rng: np.random.Generator) -> Instrument:
    return plucked(rng, ring=2.5, damping=0.5, brightness=0.42, position=0.15, wood=6.0)


STYLE = Style(
    "Folk",
    (
        Performer(
            "Wren Calloway",
            "Letters from the Orchard",
            1972,
            (96, 106),
            FolkSound(0.3, _second_guitar, (64, 81), "major", bass=False, foot=False),
            ("Windowsill Apples", "The Gate Left Open", "First Frost"),
        ),
        Performer(
            "The Barley Line",
            "Harvest Ledger",
            1986,
            (108, 118),
            FolkSound(
                0.36,
                lambda rng: bowed(rng, players=1, vibrato=0.005),
                (67, 84),
                "major",
                bass=True,
                foot=True,
            ),
            ("Seven Mile Lane", "Threshing Day", "The Miller's Reel"),
        ),
        Performer(
            "Amos Thackeray",
            "Coal Town Almanac",
            1968,
            (88, 98),
            FolkSound(
                0.26, lambda rng: reed(rng, bright=2400), (67, 83), "minor", bass=False, foot=False
            ),
            ("Lamp Oil", "Shift Change", "The Canary Song"),
        ),
    ),
    compose,
)

GUEST = Performer(
    "June Hathersage",
    "Demo Tape",
    2024,
    (100, 104),
    FolkSound(0.32, _second_guitar, (66, 83), "major", bass=True, foot=False),
    ("Kitchen Table",),
)
