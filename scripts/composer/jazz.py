"""Jazz: a trio that swings, with walking bass, ride cymbal, comping and a solo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .drums import acoustic_kit
from .effects import reverb
from .harmony import Chord, Key
from .instruments import piano, plucked, reed, upright_bass, vibraphone
from .melody import sing
from .mixing import blend, drum_part, finish, play
from .piece import Instrument, Note, Performer, Piece, Style, timeline_for

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

# Two chords a bar.
CHANGES = {
    "major": (
        "Imaj7 vi7 ii9 V13 Imaj7 vi7 ii9 V13 I7 I7 IVmaj7 iv7 iii7 vi7 ii9 V13",
        "Imaj9 Imaj9 ii9 V13 iii7 VI7 ii9 V9 Imaj7 I7 IVmaj7 iv7 iii7 VI7 ii9 V13",
    ),
    "minor": (
        "i9 i9 ii7b5 V7 i9 bVImaj7 ii7b5 V7 iv9 bVII9 bIIImaj7 bVImaj7 ii7b5 V7 i9 V7",
        "i9 bVII9 bVImaj7 V7 i9 bVII9 bVImaj7 V7 iv9 iv9 i9 i9 ii7b5 V7 i9 V7",
    ),
}
LINES = (
    ((0.0, 0.5), (0.5, 0.5), (1.0, 0.5), (1.5, 0.5), (2.0, 1.0), (3.5, 0.5)),
    ((0.5, 0.5), (1.0, 0.5), (1.5, 1.0), (3.0, 0.5), (3.5, 0.5)),
    ((0.0, 1.0), (1.5, 0.5), (2.0, 0.5), (2.5, 0.5), (3.0, 0.5), (3.5, 0.5)),
    tuple((i / 2, 0.5) for i in range(8)),
)
COMPING = ((0.0, 1.5), (1.5, 2.5), (0.5, 2.5), (0.0, 3.5), (1.5, 3.5))


@dataclass(frozen=True)
class TrioSound:
    """How a jazz group sounds: soloist, its register, mode, sticks or brushes."""

    solo: Callable[[np.random.Generator], Instrument]
    register: tuple[int, int]
    scale: str
    brushes: bool
    comp: Callable[[np.random.Generator], Instrument]


def _walk(rng: np.random.Generator, chords: list[Chord]) -> list[Note]:
    """Crotchets: the root when the chord changes, then a way to just beside the next root."""
    line = []
    pitch = chords[0].bass(33)
    for i, chord in enumerate(chords):
        coming = chords[min(i + 1, len(chords) - 1)]
        options = [p for p in range(29, 49) if (p - chord.root) % 12 == 0]
        root = min(options, key=lambda p: abs(p - pitch))
        target = min(
            (p for p in range(29, 49) if (p - coming.root) % 12 == 0), key=lambda p: abs(p - root)
        )
        approach = target + int(rng.choice([-1, 1]))
        if coming == chord:
            approach = root + int(rng.choice([3 if chord.holds(root + 3) else 4, 7, -5]))
        line += [Note(2 * i, 0.95, root, 0.85), Note(2 * i + 1, 0.9, approach, 0.75)]
        pitch = approach
        if rng.random() < 0.12:
            line.append(Note(2 * i + 1.5, 0.4, root, 0.5))
    return line


def compose(performer: Performer[TrioSound], rng: np.random.Generator) -> Piece:
    """Write and play one chorus of jazz."""
    look = performer.sound
    key = Key(int(rng.choice([0, 2, 3, 5, 7, 10])), look.scale)
    timeline = timeline_for(performer.choose_tempo(rng), multiple=2, swing=0.64, tail=2.5)
    options = CHANGES[look.scale]
    chords = timeline.cycle(key.progression(options[rng.integers(len(options))]), beats=2)
    # The last bar comes home.
    home = key.chord("I6" if look.scale == "major" else "i9")
    chords[-2:] = [home, home]

    patterns: list[dict[str, str]] = []
    for bar in range(timeline.bars):
        part = {"ride": "X.Xx" * 2, "foot": "..x...x."}
        if look.brushes:
            part = {"ride": "o.ox" * 2, "foot": "..x...x.", "brush": "x.x.x.x."}
        if bar % 2:
            part["snare"] = ["...-...o", ".....-.o", "...o....", "......-o"][rng.integers(4)]
        part["kick"] = "o.o.o.o." if bar % 4 != 3 else "o.o.o..x"
        patterns.append(part)
    patterns.append({"crash": "o.......", "kick": "x......."})
    kit = acoustic_kit(rng, kick_pitch=68, click=0.1, snare_tone=215, wires=0.1, ring=0.1)
    kit["foot"] = 0.6 * kit["hat"]
    kit["kick"] = 0.5 * kit["kick"]
    kit["snare"] = 0.7 * kit["snare"]
    pans = {"ride": 0.35, "foot": -0.3, "crash": 0.4, "brush": -0.1}
    drums = drum_part(rng, kit, patterns, timeline, pans=pans, jitter=0.004)

    bass = _walk(rng, chords)
    bass = [x for x in bass if x.beat < timeline.beats]
    bass.append(Note(timeline.beats, 3, home.bass(33), 0.9))
    comp = []
    for bar in range(timeline.bars):
        for start in COMPING[rng.integers(len(COMPING))]:
            # An anticipation already belongs to the next chord.
            chord = chords[min(int((bar * 4 + start + 0.5) // 2), len(chords) - 1)]
            length = float(rng.choice([0.3, 0.8]))
            comp += [Note(bar * 4 + start, length, p, 0.6) for p in chord.voicing(59)]
    comp += [Note(timeline.beats, 3, p, 0.7) for p in home.voicing(60)]
    scale = key.pitches(*look.register, scale="dorian" if look.scale == "minor" else "major")
    solo = sing(
        rng,
        scale,
        chords,
        first_bar=0,
        bars=timeline.bars,
        cells=LINES,
        form="ABCADBCE",
        beats_per_chord=2,
        leap=0.3,
        rest=0.12,
        legato=0.95,
    )
    solo.append(Note(timeline.beats, 2.5, home.voicing(sum(look.register) / 2)[-1], 0.8))
    mix = blend(
        (drums, -3),
        (play(rng, bass, upright_bass(rng), timeline, jitter=0.006), 0),
        (play(rng, comp, look.comp(rng), timeline, pan=-0.35, jitter=0.008), -6),
        (play(rng, solo, look.solo(rng), timeline, pan=0.1, jitter=0.012), 0),
    )
    mix = reverb(rng, mix, seconds=1.0, wet=0.16, bright=5000)
    return Piece(finish(mix), timeline.tempo, key)


STYLE = Style(
    "Jazz",
    (
        Performer(
            "Leo Vantongeren Trio",
            "Half Past Blue",
            1961,
            (148, 168),
            TrioSound(lambda _: piano(), (67, 88), "major", brushes=False, comp=lambda _: piano()),
            ("Corner Table", "Two Sugars", "Umbrella Stand"),
        ),
        Performer(
            "The Ida Brandt Four",
            "Velvet Staircase",
            1958,
            (132, 146),
            TrioSound(
                lambda rng: reed(rng, bright=1700, growl=0.05),
                (58, 77),
                "minor",
                brushes=True,
                comp=lambda _: piano(bright=0.8),
            ),
            ("Smoke Ring Road", "Hatcheck", "Slow Elevator"),
        ),
        Performer(
            "Sonny Okafor Quartet",
            "Mallets and Maps",
            1965,
            (160, 180),
            TrioSound(
                lambda _: vibraphone(),
                (65, 86),
                "minor",
                brushes=False,
                comp=lambda rng: plucked(rng, damping=0.5, brightness=0.45, ring=1.5),
            ),
            ("Legend and Scale", "Folded North", "Contour"),
        ),
    ),
    compose,
)
