"""Music in styles that the corpus lacks, rendered: mma's grooves, a soundfont, and a voice.

`mma` (Musical MIDI Accompaniment) plays a random chord progression in one of its 1,100 grooves with
a random melody over it, `fluidsynth` renders that with a soundfont, and in a third of the pieces
`espeak-ng` speaks over it. All three are Debian packages. The student hears what the teachers say
about such music; nobody is meant to like it.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile
import soxr

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

RATE = 32_000
SECONDS = 34.0
KEYS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
PROGRESSIONS = (
    (0, "", 9, "m", 5, "", 7, "7"),
    (0, "", 7, "", 9, "m", 5, ""),
    (0, "7", 5, "7", 0, "7", 7, "7"),
    (2, "m7", 7, "7", 0, "M7", 9, "7"),
    (0, "m", 8, "", 3, "", 10, ""),
    (0, "m", 5, "m", 7, "7", 0, "m"),
    (0, "", 5, "", 0, "", 7, "7"),
    (0, "m7", 5, "7", 0, "m7", 10, "7"),
)
"""Four chords each: semitones above the key, kind."""
SOLOISTS = (
    "Piano1", "NylonGuitar", "SteelGuitar", "CleanGuitar", "DistortionGuitar", "Violin", "Flute",
    "Trumpet", "AltoSax", "TenorSax", "Clarinet", "Harmonica", "Organ1", "SynthVox", "ChoirAahs",
    "Banjo", "Fiddle", "SawLead", "Vibraphone", "Accordion",
)  # fmt: skip
VOICES = ("en", "en-us", "fr", "de", "es", "it", "pt", "pl")
WORDS = [
    "love",
    "night",
    "river",
    "train",
    "alone",
    "summer",
    "fire",
    "dance",
    "money",
    "home",
    "rain",
    "heart",
    "tomorrow",
    "city",
]


@dataclass(frozen=True)
class Band:
    """The grooves and soundfonts there are."""

    grooves: tuple[str, ...]
    soundfonts: tuple[Path, ...]


def find_band(library: Path, soundfonts: Path) -> Band:
    """Read the names of the grooves in mma's library, and list the soundfonts.

    Raises
    ------
    FileNotFoundError
        One of the two is not there.
    """
    names: list[str] = []
    for file in sorted(library.glob("*.mma")):
        names += re.findall(r"^DefGroove\s+(\S+)", file.read_text(errors="replace"), re.MULTILINE)
    fonts = tuple(sorted(path for path in soundfonts.glob("sf?/*.sf?") if not path.is_symlink()))
    if not names or not fonts:
        raise FileNotFoundError(
            f"no grooves in {library} or no soundfonts in {soundfonts}: "
            "install mma, fluidsynth and a soundfont"
        )
    return Band(tuple(dict.fromkeys(names)), fonts)


def render(
    out: Path, band: Band, *, count: int, seed: int, threads: int, report: Callable[[str], None]
) -> None:
    """Write `count` pieces as FLAC into `out`, one folder a groove; those already there are kept.

    Pieces that mma cannot play are left out and said.
    """
    order = np.random.default_rng(seed).permutation(len(band.grooves))

    def one(number: int) -> None:
        groove = band.grooves[order[number % len(order)]]
        path = out / groove / f"{number:05d}.flac"
        if path.exists():
            return
        try:
            sound = _piece(groove, band, np.random.default_rng([seed, number]))
        except (subprocess.CalledProcessError, FileNotFoundError) as error:
            report(f"{groove} is left out: {error}")
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}")
        soundfile.write(unfinished, sound, RATE, format="FLAC")
        unfinished.replace(path)

    with ThreadPoolExecutor(threads) as pool:
        for done, _ in enumerate(pool.map(one, range(count)), 1):
            if done % 50 == 0 or done == count:
                report(f"rendered {done} of {count} pieces")


def _piece(groove: str, band: Band, rng: np.random.Generator) -> NDArray[np.float32]:
    with tempfile.TemporaryDirectory() as folder:
        score, midi, wave = (Path(folder) / name for name in ("a.mma", "a.mid", "a.wav"))
        score.write_text(score_of(groove, rng))
        _run("mma", "-f", str(midi), str(score))
        font = band.soundfonts[rng.integers(len(band.soundfonts))]
        _run("fluidsynth", "-ni", "-q", "-r", str(RATE), "-F", str(wave), str(font), str(midi))
        music, _ = soundfile.read(wave, dtype="float32", always_2d=True)
        sound = np.asarray(music.mean(1)[: int(SECONDS * RATE)], dtype=np.float32)
        if rng.random() < 1 / 3:
            _run(
                "espeak-ng", "-v", str(rng.choice(VOICES)), "-p", str(rng.integers(10, 90)),
                "-s", str(rng.integers(90, 190)), "-w", str(wave), lyrics_of(rng),
            )  # fmt: skip
            voice, rate = soundfile.read(wave, dtype="float32")
            spoken = np.resize(soxr.resample(voice, rate, RATE), len(sound))
            level = np.sqrt(np.square(sound).mean() / max(float(np.square(spoken).mean()), 1e-8))
            sound = sound + spoken * np.float32(level * rng.uniform(0.3, 1.2))
    return np.asarray(sound * (0.8 / max(float(np.abs(sound).max()), 1e-4)), dtype=np.float32)


def score_of(groove: str, rng: np.random.Generator) -> str:
    """An mma score of enough bars in a random key, tempo and progression, with a melody."""
    tempo = int(np.clip(rng.normal(115, 30), 60, 200))
    key = int(rng.integers(12))
    progression = PROGRESSIONS[rng.integers(len(PROGRESSIONS))]
    chords = [
        KEYS[(key + int(step)) % 12] + str(kind)
        for step, kind in zip(progression[::2], progression[1::2], strict=True)
    ]
    bars = int(SECONDS * tempo / 60 / 2) + 4
    lines = [f"Tempo {tempo}", f"Groove {groove}"]
    if rng.random() < 0.7:
        soloist = SOLOISTS[rng.integers(len(SOLOISTS))]
        notes = "; ".join(
            f"{beat} {rng.choice(['4', '8', '8', '2'])} {rng.integers(70, 110)}"
            for beat in (1, 1.5, 2, 3, 3.5)
            if rng.random() < 0.7
        )
        lines += [
            "Begin Aria",
            f"  Voice {soloist}",
            f"  Octave {rng.integers(4, 7)}",
            f"  Sequence {{{notes or '1 4 90'}}}",
            "  Direction " + " ".join(str(step) for step in rng.integers(-2, 3, 8)),
            "End",
        ]
    lines += [f"{bar + 1} {chords[bar % 4]}" for bar in range(bars)]
    return "\n".join(lines) + "\n"


def lyrics_of(rng: np.random.Generator) -> str:
    """Some words to speak."""
    return " ".join(rng.choice(WORDS, 40))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=120)
