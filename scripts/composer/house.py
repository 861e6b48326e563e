"""House: four on the floor, off-beat bass, minor ninths as stabs, and a breakdown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .drums import machine_kit
from .effects import delay, duck, reverb
from .harmony import Key
from .instruments import bell, electric_piano, organ, pad, stab, synth_bass
from .melody import sing
from .mixing import blend, drum_part, finish, play
from .oscillators import sweep
from .piece import Instrument, Note, Performer, Piece, Style, timeline_for

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRESSIONS = (
    "i9 i9 iv9 v7",
    "i9 bVImaj9 bIIImaj7 bVII",
    "i9 iv9 bVImaj7 v7",
    "i9 bVII i9 iv9",
)
STAB_RHYTHMS = ("..X..X....X..X..", "X..X..X...X.....", "..X...X...X...X.", "X.....X..X......")
BASS_RHYTHMS = ("..x...x...x..xx.", "x.xx..x...x..xx.", "..xx..xx..xx..xx", "x..x..x.x..x..x.")
HOOKS = (
    ((0.0, 0.5), (0.75, 0.5), (1.5, 0.5), (2.5, 0.25), (3.0, 0.5)),
    ((0.5, 0.25), (1.0, 0.25), (1.75, 0.5), (2.5, 0.5), (3.25, 0.5)),
    ((0.0, 0.25), (0.5, 0.25), (1.5, 0.25), (2.0, 0.5), (3.5, 0.5)),
)


@dataclass(frozen=True)
class HouseSound:
    """How a house producer sounds: the chord instrument, the lead, bass and drum machine."""

    chords: Callable[[np.random.Generator], Instrument]
    lead: Callable[[np.random.Generator], Instrument]
    bass_cutoff: float
    kick: float
    ride: bool


def compose(performer: Performer[HouseSound], rng: np.random.Generator) -> Piece:
    """Write and play one piece of house."""
    look = performer.sound
    key = Key(int(rng.integers(12)), "minor")
    timeline = timeline_for(performer.choose_tempo(rng), multiple=2, swing=0.53, swung=0.25)
    chords = timeline.cycle(key.progression(PROGRESSIONS[rng.integers(len(PROGRESSIONS))]))
    rhythm = STAB_RHYTHMS[rng.integers(len(STAB_RHYTHMS))]
    groove = BASS_RHYTHMS[rng.integers(len(BASS_RHYTHMS))]
    bars = timeline.bars
    broken = {bars // 2 + 1}

    patterns: list[dict[str, str]] = []
    for bar in range(bars):
        part = {"hat": "x-o-x-o-x-o-x-o-", "shaker": "oxoxoxoxoxoxoxox"}
        if bar not in broken:
            part |= {"kick": "X...X...X...X...", "open": "..x...x...x...x."}
        if bar > 0:
            part["clap"] = "....X.......X..." if bar % 4 != 3 else "....X..o....X.xx"
        if bar > 1 and look.ride:
            part["ride"] = "x.x.x.x.x.x.x.x."
        if bar in {2, bars // 2 + 2}:
            part["crash"] = "X..............."
        if bar % 2:
            part["conga"] = "...o..x....o.x.x"
        patterns.append(part)
    kit = machine_kit(rng, low=look.kick)
    pans = {"shaker": 0.4, "conga": -0.4, "ride": 0.3, "hat": -0.15}
    drums = drum_part(rng, kit, patterns, timeline, pans=pans, jitter=0.0005)

    bass, stabs, pads = [], [], []
    for bar, chord in enumerate(chords):
        root = chord.bass(33)
        for i, letter in enumerate(groove):
            if letter == "x" and bar > 1:
                pitch = root + (12 if i % 8 == 5 or i == 14 else 0)
                bass.append(Note(bar * 4 + i / 4, 0.22, pitch, 0.9))
        for i, letter in enumerate(rhythm):
            if letter == "X":
                stabs += [Note(bar * 4 + i / 4, 0.3, p, 0.85) for p in chord.voicing(63)]
        pads += [Note(bar * 4, 4, p, 0.7) for p in chord.voicing(58)]
    hook = sing(
        rng,
        key.pitches(69, 86, "minor pentatonic"),
        chords,
        first_bar=4,
        bars=bars - 4,
        cells=HOOKS,
        form="AABA",
    )
    kicks = [timeline.seconds(b) for b in range(timeline.beats) if b // 4 not in broken]
    n = timeline.samples
    opening = np.interp(np.arange(n) / n, [0, 0.2, 0.45, 0.55, 1], [700, 6000, 3000, 9000, 9000])
    chord_track = play(rng, stabs, look.chords(rng), timeline, spread=0.6, jitter=0.0)
    chord_track = delay(chord_track, seconds=45 / timeline.tempo, wet=0.35)
    chord_track = duck(sweep(chord_track, opening), kicks, depth=0.5)
    bass_track = play(rng, bass, synth_bass(cutoff=look.bass_cutoff), timeline, jitter=0.0)
    pad_track = play(rng, pads, pad(rng, attack=0.2, release=0.4), timeline, spread=0.8)
    lead = delay(play(rng, hook, look.lead(rng), timeline), seconds=45 / timeline.tempo, wet=0.4)
    music = blend((chord_track, -5), (duck(pad_track, kicks, depth=0.8), -12), (lead, -9))
    music = reverb(rng, music, seconds=1.6, wet=0.25)
    mix = blend((drums, 1), (duck(bass_track, kicks, depth=0.5), -2), (music, -2))
    return Piece(finish(mix), timeline.tempo, key)


STYLE = Style(
    "House",
    (
        Performer(
            "Night Tram",
            "Depot Lights",
            2016,
            (122, 125),
            HouseSound(
                chords=lambda rng: stab(rng, cutoff=2400),
                lead=lambda _: bell(ratio=2.0, index=1.2, ring=0.3),
                bass_cutoff=420,
                kick=47,
                ride=False,
            ),
            ("Platform Nine", "Last Service", "Between Stations"),
        ),
        Performer(
            "Marble Arcade",
            "Coin Return",
            2019,
            (125, 128),
            HouseSound(
                chords=lambda _: organ((8, 8, 8, 0, 4, 0, 0, 0, 0), click=0.05),
                lead=lambda rng: stab(rng, cutoff=4200, decay=0.1),
                bass_cutoff=650,
                kick=52,
                ride=True,
            ),
            ("High Score", "Insert Credit", "Extra Life"),
        ),
        Performer(
            "Oda Keller",
            "Concrete Garden",
            2021,
            (119, 123),
            HouseSound(
                chords=lambda _: electric_piano(tine=1.5, bark=1.2),
                lead=lambda rng: stab(rng, cutoff=3000, decay=0.14, cents=4),
                bass_cutoff=350,
                kick=50,
                ride=True,
            ),
            ("Ivy on Brick", "Courtyard", "Rooftop Basil"),
        ),
    ),
    compose,
)
