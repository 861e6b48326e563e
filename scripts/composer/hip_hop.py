"""Hip-hop: a swung boom-bap beat, dusty chords in a loop, a deep bass, a voice that speaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .drums import acoustic_kit
from .effects import chorus, crackle, delay, drive, room
from .harmony import Key
from .instruments import electric_piano, flute, piano, plucked, sub_bass
from .melody import sing
from .mixing import blend, drum_part, finish, play
from .oscillators import lowpass
from .piece import Instrument, Note, Performer, Piece, Style, Timeline, timeline_for
from .voice import voice

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRESSIONS = ("i9 iv9", "i9 bVImaj7", "ii9 i9", "i9 bIIImaj7 iv9 v7", "i9 bVII")
BEATS = (
    ("X......x..X.....", "....X.......X..o"),
    ("X.x.......X..x..", "....X..o....X..."),
    ("X..x...x..X.....", "....X.......X.o."),
)
HOOKS = (
    ((0.0, 0.5), (0.75, 0.25), (1.0, 1.0), (2.5, 0.5), (3.0, 0.5)),
    ((0.5, 0.5), (1.0, 0.5), (1.75, 1.0), (3.25, 0.5)),
)


@dataclass(frozen=True)
class BeatSound:
    """How a hip-hop producer sounds: the looped instrument, the hook, the voice, the dust."""

    chords: Callable[[np.random.Generator], Instrument]
    hook: Callable[[np.random.Generator], Instrument]
    voice_pitch: float
    dust: float
    swing: float


def _verse(rng: np.random.Generator, timeline: Timeline, first: int, pitch: float) -> list[Note]:
    """Syllables at semiquavers in lines of a bar, falling at the end of each line."""
    notes = []
    for bar in range(first, timeline.bars - 1):
        step = 0
        while step < 15:
            length = int(rng.choice([1, 1, 1, 2]))
            if rng.random() < 0.88:
                line = 2.0 * np.cos(step / 5) + rng.choice([-1.0, 0.0, 0.0, 1.0, 2.5])
                accent = 0.95 if step % 4 == 0 else 0.7
                notes.append(Note(bar * 4 + step / 4, length * 0.2, pitch + line, accent))
            step += length
    return notes


def compose(performer: Performer[BeatSound], rng: np.random.Generator) -> Piece:
    """Write and play one piece of hip-hop."""
    look = performer.sound
    key = Key(int(rng.integers(12)), "minor")
    timeline = timeline_for(
        performer.choose_tempo(rng), multiple=1, swing=look.swing, swung=0.25, tail=1.5
    )
    chords = timeline.cycle(key.progression(PROGRESSIONS[rng.integers(len(PROGRESSIONS))]))
    kick, snare = BEATS[rng.integers(len(BEATS))]
    patterns: list[dict[str, str]] = []
    for bar in range(timeline.bars):
        part = {"kick": kick, "snare": snare, "hat": "x.o.x.o.x.o.x.oo"}
        if bar % 4 == 3:
            part |= {
                "kick": "X......x..X..x..",
                "snare": "....X.......X.XX",
                "open": "..........x.....",
            }
        if bar == 0:
            part = {"hat": "x.o.x.o.x.o.x.o.", "scratch": "........x..x..x."}
        if bar % 4 == 0 and bar:
            part["scratch"] = "..x............."
        patterns.append(part)
    kit = acoustic_kit(rng, kick_pitch=50, click=0.4, snare_tone=200, wires=0.11, ring=0.17)
    drums = drum_part(
        rng, kit, patterns, timeline, pans={"hat": 0.2, "scratch": -0.3}, jitter=0.004
    )
    drums = drive(room(rng, drums), 3.0)

    loop, bass = [], []
    for bar, chord in enumerate(chords):
        for start, length, force in ((0.0, 1.4, 0.9), (1.75, 0.5, 0.6), (2.5, 1.2, 0.75)):
            loop += [Note(bar * 4 + start, length, p, force) for p in chord.voicing(61)]
        if bar:
            root = chord.bass(29)
            line = ((0.0, 0.9, 0), (1.75, 0.6, 0), (2.5, 0.7, 7), (3.5, 0.4, 12))
            bass += [Note(bar * 4 + b, length, root + up, 0.9) for b, length, up in line]
    tune = sing(
        rng,
        key.pitches(67, 84, "minor pentatonic"),
        chords,
        first_bar=0,
        bars=timeline.bars,
        cells=HOOKS,
        form="AABA",
        rest=0.1,
    )
    sample = blend(
        (play(rng, loop, look.chords(rng), timeline, spread=0.4, jitter=0.008), 0),
        (delay(play(rng, tune, look.hook(rng), timeline), seconds=0.33), -5),
    )
    sample = drive(chorus(lowpass(sample, 3800), rate=0.4, depth=0.004), 1.5)
    low = play(rng, bass, sub_bass(warmth=2.0, decay=0.6), timeline)
    speech = voice(rng, breath=0.15, consonants=1.2, glide=1.5, attack=0.012)
    words = play(rng, _verse(rng, timeline, 1, look.voice_pitch), speech, timeline, jitter=0.008)
    words = room(rng, drive(words, 2.0))
    mix = blend((drums, 2), (low, -3), (sample, -5), (words, -1))
    mix += 10 ** (look.dust / 20) * crackle(rng, timeline.samples)
    return Piece(finish(mix), timeline.tempo, key)


STYLE = Style(
    "Hip-Hop",
    (
        Performer(
            "Corner Atlas",
            "Bus Stop Philosophy",
            1997,
            (88, 93),
            BeatSound(lambda _: electric_piano(bark=1.4), flute, 46.0, -14, 0.58),
            ("Exact Change", "Route 38", "Window Seat"),
        ),
        Performer(
            "Deacon Lowell",
            "Sunday Receipts",
            2003,
            (84, 88),
            BeatSound(
                lambda _: piano(bright=0.7),
                lambda rng: plucked(rng, damping=0.5, brightness=0.5),
                43.0,
                -10,
                0.6,
            ),
            ("Paper Bag", "Collection Plate", "Folding Chairs"),
        ),
        Performer(
            "Tape Orchard",
            "Slow Fruit",
            2014,
            (93, 97),
            BeatSound(
                lambda _: electric_piano(tine=0.5, bark=0.7),
                lambda _: electric_piano(tine=2.0),
                48.0,
                -8,
                0.56,
            ),
            ("Windfall", "Grafted", "Cider Press"),
        ),
    ),
    compose,
)
