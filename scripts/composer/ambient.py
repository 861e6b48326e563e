"""Ambient: slow chords without a beat, deep space, a few bells, weather."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .effects import chorus, delay, reverb
from .harmony import Key
from .instruments import bell, bowed, flute, pad, piano
from .mixing import blend, finish, play, silence
from .oscillators import bandpass, noise, sweep
from .piece import SAMPLE_RATE, Instrument, Note, Performer, Piece, Style, timeline_for

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRESSIONS = {
    "major": ("Imaj9 IVmaj9", "Imaj7 iii7 IVmaj7", "Iadd9 vi9 IVmaj9", "Isus2 IVmaj7 vi7"),
    "minor": ("i9 bVImaj7", "iadd9 bVImaj9 bIIImaj7", "i9 iv9 bVImaj7", "i9 bVII bVImaj7"),
}


@dataclass(frozen=True)
class DriftSound:
    """How an ambient musician sounds: mode, brightness, the sparse voice, amount of weather."""

    scale: str
    cutoff: float
    bells: Callable[[np.random.Generator], Instrument]
    weather: float
    strings: bool


def compose(performer: Performer[DriftSound], rng: np.random.Generator) -> Piece:
    """Write and play one ambient piece."""
    look = performer.sound
    key = Key(int(rng.integers(12)), look.scale)
    timeline = timeline_for(performer.choose_tempo(rng), multiple=1, tail=5.0)
    options = PROGRESSIONS[look.scale]
    chords = timeline.cycle(key.progression(options[rng.integers(len(options))]), beats=8)

    pads, drone, drops = [], [], []
    for i, chord in enumerate(chords):
        length = min(8.0, timeline.beats - 8.0 * i)
        for pitch in chord.voicing(60):
            # Voices enter one after the other.
            late = float(rng.uniform(0, 1.5))
            pads.append(Note(8 * i + late, length - late, pitch, float(rng.uniform(0.6, 0.9))))
        drone.append(Note(8 * i, length, chord.bass(33), 0.8))
        for beat in np.sort(rng.uniform(0.5, length - 0.5, 3)):
            choice = [p for p in key.pitches(69, 88) if chord.holds(p)]
            drops.append(Note(8 * i + float(beat), 1.5, float(rng.choice(choice)), 0.6))
    n = timeline.samples
    t = np.arange(n) / SAMPLE_RATE
    period = rng.uniform(9, 14)
    opening = look.cutoff * 2 ** (0.9 * np.sin(2 * np.pi * t / period - 1.5))
    body = play(
        rng,
        pads,
        pad(rng, attack=1.6, release=3.5, cutoff=2.5 * look.cutoff, voices=6),
        timeline,
        spread=0.9,
    )
    body = sweep(chorus(body, rate=0.17, depth=0.006), opening)
    ground = play(
        rng, drone, pad(rng, attack=1.2, release=3.0, cutoff=350, voices=3, cents=6), timeline
    )
    sparks = delay(play(rng, drops, look.bells(rng), timeline, spread=0.9), seconds=0.75, wet=0.5)
    air = silence(timeline)
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * t / 7.3)
    for channel in range(2):
        air[channel] = bandpass(noise(rng, n), 300, 2200, order=1) * swell
    layers = [(body, 0.0), (ground, -4.0), (sparks, -9.0), (air, look.weather)]
    if look.strings:
        section = bowed(rng, players=4, attack=1.4, bright=2500)
        high = [Note(x.beat, x.beats, x.pitch + 12, 0.5) for x in pads[::2]]
        layers.append((play(rng, high, section, timeline, spread=0.7), -9.0))
    mix = reverb(rng, blend(*layers), seconds=5.5, wet=0.9, bright=4500, before=0.04)
    rise = np.minimum(t / 2.5, 1.0)
    return Piece(finish(mix * rise, fade=4.0), timeline.tempo, key)


STYLE = Style(
    "Ambient",
    (
        Performer(
            "Halden Fjord",
            "Still Water Maps",
            2010,
            (58, 66),
            DriftSound(
                "major", 900, lambda _: bell(ratio=3.0, index=0.8, ring=2.5), -24, strings=False
            ),
            ("Soundings", "Inlet", "The Long Shore"),
        ),
        Performer(
            "Aster Quiet",
            "Rooms at Night",
            2015,
            (60, 68),
            DriftSound("minor", 700, lambda _: piano(bright=0.5), -22, strings=True),
            ("Hallway Lamp", "Snow Against Glass", "Three in the Morning"),
        ),
        Performer(
            "Low Meridian",
            "Cloud Survey",
            2020,
            (54, 62),
            DriftSound("major", 1200, lambda rng: flute(rng, breath=0.15), -18, strings=False),
            ("Altostratus", "Leeward", "Above the Weather"),
        ),
    ),
    compose,
)
