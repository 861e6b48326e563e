"""Drum and bass: fast broken beats, a heavy moving bass, wide pads above at half the speed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .drums import acoustic_kit
from .effects import delay, drive, reverb
from .harmony import Key
from .instruments import bell, electric_piano, pad, reese, stab, sub_bass
from .melody import sing
from .mixing import blend, drum_part, finish, play
from .oscillators import highpass
from .piece import Instrument, Note, Performer, Piece, Style, timeline_for

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

PROGRESSIONS = (
    "i9 i9 bVImaj7 bVImaj7 iv9 iv9 v7 v7",
    "i9 i9 bVII bVII bVImaj7 bVImaj7 bVII bVII",
    "i9 i9 iv9 iv9 bVImaj9 bVImaj9 v7 v7",
)
BREAKS = (
    ("X.........X.....", "....X..o.o..X..o"),
    ("X.X.......X.....", "....X..o.o..X..."),
    ("X.X.......XX....", "....X..o.o.oX..o"),
    ("X.........X..X..", "....X..o....X.o."),
)
FILLS = (("X.X...X...X...X.", "....X.X..X.XXoXX"), ("X..X..X...X.....", "...XX..X.XX.XXXX"))
BASS_RHYTHMS = (
    ((0.0, 1.4), (1.5, 0.9), (2.5, 1.4)),
    ((0.0, 2.4), (2.5, 0.5), (3.0, 0.9)),
    ((0.0, 0.9), (1.0, 0.4), (1.75, 1.2), (3.25, 0.7)),
)
PHRASES = (
    ((0.0, 1.0), (1.5, 1.0), (3.0, 1.0)),
    ((0.5, 0.5), (1.0, 0.5), (2.0, 1.5)),
    ((0.0, 2.0), (2.5, 0.5), (3.0, 1.0)),
)


@dataclass(frozen=True)
class BreakSound:
    """How a drum and bass producer sounds."""

    lead: Callable[[np.random.Generator], Instrument]
    cutoff: float
    wobble: float
    snare: float
    grit: float


def compose(performer: Performer[BreakSound], rng: np.random.Generator) -> Piece:
    """Write and play one piece of drum and bass."""
    look = performer.sound
    key = Key(int(rng.integers(12)), "minor")
    timeline = timeline_for(performer.choose_tempo(rng), multiple=4)
    chords = timeline.cycle(key.progression(PROGRESSIONS[rng.integers(len(PROGRESSIONS))]))
    drop = 2
    first, second = rng.permutation(len(BREAKS))[:2]

    patterns: list[dict[str, str]] = []
    for bar in range(timeline.bars):
        kick, snare = BREAKS[first if bar % 2 == 0 else second]
        if bar % 8 == 7:
            kick, snare = FILLS[rng.integers(len(FILLS))]
        part = {"kick": kick, "snare": snare, "hat": "X.x.X.x.X.x.X.x."}
        part["ride"] = "x.xox.x.x.xox.x." if bar >= drop else "................"
        part["shaker"] = "xoxoxoxoxoxoxoxo"
        if bar in {drop, timeline.bars // 2 + drop}:
            part["crash"] = "X..............."
        if bar < drop:
            part = {"hat": "x.x.x.x.x.x.x.x.", "snare": "............X.XX" if bar else "."}
        patterns.append(part)
    kit = acoustic_kit(rng, kick_pitch=62, click=0.6, snare_tone=look.snare, wires=0.08, ring=0.09)
    pans = {"ride": 0.35, "shaker": -0.4, "hat": 0.1}
    drums = drum_part(rng, kit, patterns, timeline, pans=pans, jitter=0.001)
    drums = drive(reverb(rng, drums, seconds=0.4, wet=0.12, bright=7000), 2.5)

    bass, pads = [], []
    groove = [BASS_RHYTHMS[i] for i in rng.integers(len(BASS_RHYTHMS), size=2)]
    for bar, chord in enumerate(chords):
        if bar >= drop:
            for i, (start, length) in enumerate(groove[bar % 2]):
                pitch = chord.bass(31) + (0, 0, 12, 7)[i]
                bass.append(Note(bar * 4 + start, length, pitch, 0.9))
        if bar % 2 == 0:
            pads += [Note(bar * 4, 8, p, 0.8) for p in chord.voicing(62)]
    tune = sing(
        rng,
        key.pitches(66, 84, "minor pentatonic"),
        chords,
        first_bar=4,
        bars=timeline.bars - 4,
        cells=PHRASES,
        form="ABAC",
        rest=0.15,
    )
    wobbling = look.wobble * timeline.tempo / 60
    growl = play(rng, bass, reese(rng, cutoff=look.cutoff, wobble=wobbling), timeline, jitter=0.0)
    growl = drive(highpass(growl, 90), look.grit)
    low = play(rng, bass, sub_bass(), timeline, jitter=0.0)
    sky = play(rng, pads, pad(rng, attack=0.5, cutoff=3000, cents=18), timeline, spread=0.8)
    lead = delay(play(rng, tune, look.lead(rng), timeline), seconds=45 / timeline.tempo, wet=0.5)
    music = reverb(rng, blend((sky, -7), (lead, -7)), seconds=2.8, wet=0.4)
    mix = blend((drums, 2), (growl, -4), (low, -3), (music, -4))
    return Piece(finish(mix), timeline.tempo, key)


STYLE = Style(
    "Drum and Bass",
    (
        Performer(
            "Vector Lark",
            "Low Orbit",
            2008,
            (172, 174),
            BreakSound(lambda _: bell(ratio=3.5, index=1.5, ring=0.8), 600, 1.0, 210, 2.0),
            ("Perigee", "Slow Burn at Dawn", "Transfer Window"),
        ),
        Performer(
            "Cold Harbour Unit",
            "Tidal Locks",
            2012,
            (174, 177),
            BreakSound(lambda rng: stab(rng, cutoff=2600, decay=0.3), 480, 2.0, 235, 4.0),
            ("Sluice", "Breakwater", "Undertow"),
        ),
        Performer(
            "Mina Voss",
            "Glass Weather",
            2017,
            (169, 172),
            BreakSound(lambda _: electric_piano(tine=1.2), 700, 0.5, 195, 1.5),
            ("Hail on Chrome", "Clear by Evening", "Barometer"),
        ),
    ),
    compose,
)
