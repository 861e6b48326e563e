"""Heavy metal: palm-muted riffs on two detuned guitars, double bass drum, a soaring lead."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .drums import acoustic_kit
from .effects import amplifier, delay, drive, reverb, room
from .harmony import Key
from .instruments import electric_string, plucked
from .melody import sing
from .mixing import blend, drum_part, finish, play
from .oscillators import lowpass
from .piece import Note, Performer, Piece, Style, Timeline, Wave, timeline_for

# One bar of riff in semiquavers: m palm-muted tonic, capital letters power chords on degrees.
RIFFS = (
    "A..mmmC..mmmB.A.",
    "m.mmm.mmA...F...",
    "mmmmA.mmmmC.mmD.",
    "A.mmB.mmC.mmB.A.",
    "m.mmA.m.mmC.B.A.",
    "A...mmmmF...mmmm",
)
DEGREES = {"m": 0, "A": 0, "B": 1, "C": 3, "D": 5, "F": 8, "G": 10}
CHORUSES = ("i5 bVI5 bIII5 bVII5", "i5 bVII5 bVI5 bVII5", "i5 bIII5 iv5 bVI5")
BEATS = {
    "riff": {"kick": "XxxxXxxxXxxxXxxx", "snare": "....X.......X...", "hat": "x...x...x...x..."},
    "thrash": {"kick": "X..xX..xX..xX..x", "snare": "..X...X...X...X.", "ride": "x.x.x.x.x.x.x.x."},
    "chorus": {
        "kick": "XxxxXxxxXxxxXxxx",
        "snare": "....X.......X...",
        "crash": "x...x...x...x...",
    },
    "half": {"kick": "X..X..X.....X.xx", "snare": "........X.......", "crash": "x...x...x...x..."},
}
FILL = {
    "snare": "X.XxX.Xx........",
    "tom1": "........X.Xx....",
    "tom3": "............XxXx",
    "kick": "X...X...X...X...",
}
LICKS = (
    ((0.0, 0.5), (0.5, 0.5), (1.0, 1.0), (2.0, 0.5), (2.5, 0.5), (3.0, 1.0)),
    ((0.0, 1.5), (1.5, 0.25), (1.75, 0.25), (2.0, 2.0)),
    (*tuple((i / 4, 0.25) for i in range(12)), (3.0, 1.0)),
)


@dataclass(frozen=True)
class BandSound:
    """How a metal band sounds: lowest string, gain, presence, the beat of the verse."""

    lowest: int
    gain: float
    presence: float
    beat: str
    harmony: bool


def _guitars(
    rng: np.random.Generator,
    look: BandSound,
    muted: list[Note],
    ringing: list[Note],
    timeline: Timeline,
) -> Wave:
    """Two takes of the same riff, one amplifier left and one right."""
    sides = []
    for side in range(2):
        # No two guitars are in tune to the last few cents.
        cents = 4.0 - 8.0 * side
        chug = [replace(note, pitch=note.pitch + cents / 100) for note in muted]
        ring = [replace(note, pitch=note.pitch + cents / 100) for note in ringing]
        take = play(rng, chug, electric_string(rng, muted=True), timeline, jitter=0.003)
        take = 0.8 * take + play(rng, ring, electric_string(rng), timeline, jitter=0.003)
        presence = look.presence * (1.0 if side == 0 else 1.12)
        sides.append(amplifier(take[0], gain=look.gain, presence=presence))
    left, right = sides
    return room(rng, np.stack([left + 0.15 * right, right + 0.15 * left]))


def compose(performer: Performer[BandSound], rng: np.random.Generator) -> Piece:
    """Write and play one piece of heavy metal."""
    look = performer.sound
    key = Key((look.lowest + int(rng.choice([0, 0, 2, 5]))) % 12, "minor")
    timeline = timeline_for(performer.choose_tempo(rng), multiple=4, tail=2.5)
    bars = timeline.bars
    tonic = look.lowest + (key.tonic - look.lowest) % 12
    verse = rng.permutation(len(RIFFS))[:2]
    chorus = key.progression(CHORUSES[rng.integers(len(CHORUSES))])
    refrain = set(range(bars // 2, bars))

    muted, ringing, bass = [], [], []
    patterns: list[dict[str, str]] = []
    harmony = []
    for bar in range(bars):
        beat = bar * 4.0
        if bar in refrain:
            chord = chorus[bar % 4]
            root = chord.bass(look.lowest)
            for start, length in ((0.0, 1.45), (1.5, 1.45), (3.0, 0.95)):
                ringing += [Note(beat + start, length, root + up, 0.9) for up in (0, 7, 12)]
            bass += [Note(beat + i / 2, 0.45, root, 0.9) for i in range(8)]
            harmony.append(chord)
        else:
            riff = RIFFS[verse[(bar // 2) % 2]]
            for i, letter in enumerate(riff):
                if letter == ".":
                    continue
                length = 1
                while i + length < 16 and riff[i + length] == ".":
                    length += 1
                pitch = tonic + DEGREES[letter]
                if letter == "m":
                    muted += [Note(beat + i / 4, 0.22, pitch + up, 0.9) for up in (0, 7)]
                else:
                    ringing += [
                        Note(beat + i / 4, length / 4 - 0.03, pitch + up, 0.9) for up in (0, 7, 12)
                    ]
                bass.append(Note(beat + i / 4, length / 4, pitch, 0.9))
            harmony.append(key.chord("i5"))
        part = BEATS["chorus" if bar in refrain else look.beat]
        if bar % 8 == 7 or bar == bars // 2 - 1:
            part = FILL
        if bar in {0, 4, bars // 2}:
            part = part | {"crash": "X......." + part.get("crash", "........")[8:]}
        patterns.append(dict(part))
    end = timeline.beats
    ringing += [Note(end, 2.5, tonic + up, 0.9) for up in (0, 7, 12)]
    bass.append(Note(end, 2.5, tonic, 0.9))
    patterns.append({"kick": "X...............", "crash": "X..............."})

    kit = acoustic_kit(rng, kick_pitch=64, click=1.1, snare_tone=205, wires=0.14, ring=0.07)
    pans = {"hat": 0.4, "ride": -0.4, "crash": 0.3, "tom1": 0.4, "tom2": 0.0, "tom3": -0.4}
    drums = drum_part(rng, kit, patterns, timeline, pans=pans, jitter=0.002)
    drums = reverb(rng, lowpass(drums, 9000), seconds=1.2, wet=0.45, bright=7000)
    rhythm = _guitars(rng, look, muted, ringing, timeline)
    low = play(rng, bass, plucked(rng, ring=2.5, damping=0.2, brightness=0.95), timeline)
    low = drive(lowpass(low, 2500), 3.0)

    solo = sing(
        rng,
        key.pitches(69, 90),
        harmony,
        first_bar=bars // 2,
        bars=bars // 2,
        cells=LICKS,
        form="ABAC",
        leap=0.15,
        legato=0.98,
    )
    lead = _lead(rng, look, solo, timeline)
    if look.harmony:
        scale = key.pitches(60, 99)
        thirds = [
            Note(x.beat, x.beats, scale[min(scale.index(int(x.pitch)) + 2, len(scale) - 1)], 0.8)
            for x in solo
        ]
        lead = blend((lead, 0), (_lead(rng, look, thirds, timeline), -2))
    mix = blend((rhythm, 1), (drums, -1), (low, -3), (lead, -6))
    return Piece(finish(reverb(rng, mix, seconds=0.7, wet=0.06)), timeline.tempo, key)


def _lead(rng: np.random.Generator, look: BandSound, notes: list[Note], timeline: Timeline) -> Wave:
    """One lead guitar with vibrato through a singing amplifier and an echo."""
    take = play(rng, notes, electric_string(rng, vibrato=0.9), timeline)
    sung = amplifier(take[0], gain=1.3 * look.gain, presence=1800, bottom=200)
    return delay(np.stack([sung, sung]), seconds=0.36, wet=0.3)


STYLE = Style(
    "Metal",
    (
        Performer(
            "Iron Estuary",
            "Salt and Rust",
            1989,
            (138, 148),
            BandSound(40, 7, 2600, "riff", harmony=True),
            ("Anchor Chain", "Drowned Cathedral", "Ebb of Kings"),
        ),
        Performer(
            "Gravelmourn",
            "The Quarry Hymns",
            2005,
            (112, 124),
            BandSound(38, 10, 2200, "half", harmony=False),
            ("Blasting Cap", "Overburden", "Slag"),
        ),
        Performer(
            "Vulture Parliament",
            "Order of Business",
            1994,
            (164, 176),
            BandSound(40, 9, 3000, "thrash", harmony=False),
            ("Motion Carried", "Point of Disorder", "Quorum of Ash"),
        ),
    ),
    compose,
)
