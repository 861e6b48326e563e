"""Tempo and key against what a composer knows, against click tracks, and against librosa.

librosa takes whole files at its own sample rate; soundalike takes the windows that `index` would.
"""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import soxr

from evaluation.embeddings import one_thread
from evaluation.tables import Figure, Table
from indexer.audio.container import open_file
from indexer.audio.decoding import make_reader
from indexer.audio.reading import SAMPLE_RATE, WINDOW_S, read_windows
from indexer.audio.windows import Windows
from indexer.errors import QueryError
from indexer.features.descriptors import Descriptors, describe, measure
from indexer.features.key import KEYS, parse_musical_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from evaluation.embeddings import Report

    Sound = NDArray[np.float32]

TOLERANCE = 0.04
WINDOW_SAMPLES = round(WINDOW_S * SAMPLE_RATE)
CLICKS_BPM = range(40, 221, 5)
CLICKS_S = 36
SEMITONES = (-3, 2, 5)
_LIBROSA_RATE = 22_050
_LONGEST_S = 600
# Krumhansl & Kessler 1982, as they are most often used with librosa's chroma.
_KRUMHANSL = (
    (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
)


@dataclass(frozen=True)
class Piece:
    """A sound of known tempo, in BPM, and key, if it has one, an index into `KEYS`."""

    tempo: float
    key: int | None
    windows: Sound
    whole: Sound
    rate: int


@dataclass(frozen=True)
class Method:
    """Estimates a piece's tempo (None: no beat) and key (an index into `KEYS`, None: no key)."""

    name: str
    tempo: Callable[[Piece], float | None]
    key: Callable[[Piece], int | None]


def measure_descriptors(library: Path, truth: Path, *, seed: int, report: Report) -> list[Table]:
    """Compare tempo and key with a table of the library's pieces, and with click tracks.

    Parameters
    ----------
    library, truth : Path
        As `make_demo_library.py` writes them.

    Raises
    ------
    QueryError
        The table lacks a column or names a key that is none.
    """
    with one_thread():
        pieces = _read(library, truth)
        report(f"{len(pieces)} pieces read")
        clicks = [_click_track(bpm, seed=seed) for bpm in CLICKS_BPM]
        methods = (
            Method("soundalike", lambda piece: _ours(piece).tempo_bpm, _our_key),
            Method("librosa", _librosa_tempo, _librosa_key),
        )
        tempi = []
        keys = []
        for method in methods:
            for name, group in (("pieces", pieces), ("click tracks", clicks)):
                tempi.append((f"{method.name}, {len(group)} {name}", _tempo_row(method, group)))
            keys.append((method.name, _key_row(method, pieces)))
            report(f"{method.name} has measured all")
    return [
        Table(
            "Tempo",
            ("within 4 %", "or an octave from it", "no beat found", "right of those found"),
            tuple(tempi),
            "Shares of all, and of those with a beat found: within 4 % or an octave from it.",
        ),
        Table(
            "Key",
            ("MIREX", "right", "moved with the sound", "no key found"),
            tuple(keys),
            "MIREX: 1 if right, 0.5 a fifth above, 0.3 relative, 0.2 parallel. Moved: of the "
            f"pieces played faster or slower by {SEMITONES} semitones, those whose key moved by "
            "as much.",
        ),
    ]


def _read(library: Path, truth: Path) -> list[Piece]:
    pieces = []
    with truth.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"path", "tempo", "key"} <= rows[0].keys():
        raise QueryError(f"{truth} needs columns path, tempo and key: make it with --truth")
    for row in rows:
        name = parse_musical_key(row["key"])
        if name is None:
            raise QueryError(f"{row['key']!r} in {truth} is no musical key: write it as 'A minor'")
        path = os.fsencode(library / row["path"])
        with open_file(path) as opened:
            whole = make_reader(opened)
            samples, _ = whole.read(0, whole.length or _LONGEST_S * whole.rate)
        pieces.append(
            Piece(float(row["tempo"]), KEYS.index(name), _windows(path), samples, whole.rate)
        )
    return pieces


def _windows(path: bytes) -> Sound:
    found = read_windows(path)
    if not isinstance(found, Windows):
        raise TypeError(f"{path!r} was skipped")
    return found.waveforms[SAMPLE_RATE]


def _click_track(bpm: float, *, seed: int) -> Piece:
    """Clicks of 30 ms at one pitch above a little noise."""
    rng = np.random.default_rng([seed, round(bpm)])
    sound = 0.003 * rng.standard_normal(CLICKS_S * SAMPLE_RATE)
    ticks = np.arange(480)
    click = 0.5 * np.sin(2 * np.pi * rng.uniform(150, 4000) * ticks / SAMPLE_RATE)
    click *= np.exp(-ticks / 80)
    for start in np.arange(rng.uniform(0, 0.5), CLICKS_S - 0.1, 60 / bpm):
        sound[int(start * SAMPLE_RATE) :][:480] += click
    whole = sound.astype(np.float32)
    return Piece(bpm, None, whole.reshape(-1, WINDOW_SAMPLES), whole, SAMPLE_RATE)


def _tempo_row(method: Method, pieces: Sequence[Piece]) -> tuple[Figure, Figure, int, Figure]:
    found = np.array([method.tempo(piece) or np.nan for piece in pieces])
    ratio = found / np.array([piece.tempo for piece in pieces])
    exact = np.abs(ratio - 1) < TOLERANCE
    octave = exact | (np.abs(ratio / 2 - 1) < TOLERANCE) | (np.abs(ratio * 2 - 1) < TOLERANCE)
    beat = np.isfinite(found)
    return (
        Figure(float(exact.mean())),
        Figure(float(octave.mean())),
        int((~beat).sum()),
        Figure(float(octave[beat].mean())),
    )


def _key_row(method: Method, pieces: Sequence[Piece]) -> tuple[Figure, Figure, Figure, int]:
    found = [method.key(piece) for piece in pieces]
    scores = [mirex(key, piece.key) for key, piece in zip(found, pieces, strict=True)]
    moved = [
        key is not None and method.key(_transposed(piece, semitones)) == _moved(key, semitones)
        for key, piece in zip(found, pieces, strict=True)
        for semitones in SEMITONES
    ]
    return (
        Figure(float(np.mean(scores))),
        Figure(float(np.mean([score == 1 for score in scores]))),
        Figure(float(np.mean(moved))),
        found.count(None),
    )


def mirex(found: int | None, truth: int | None) -> float:
    """Score of a key (indices into `KEYS`) as MIREX counts it, with fifths above the true key."""
    if found is None or truth is None:
        return 0.0
    if found == truth:
        return 1.0
    same_mode = found // 12 == truth // 12
    interval = (found - truth) % 12
    if same_mode:
        return 0.5 if interval == 7 else 0.0
    if interval == (9 if truth < 12 else 3):
        return 0.3
    return 0.2 if interval == 0 else 0.0


def _moved(key: int, semitones: int) -> int:
    return (key + semitones) % 12 + key // 12 * 12


def _transposed(piece: Piece, semitones: int) -> Piece:
    """The piece played faster or slower."""
    factor = 2 ** (semitones / 12)
    whole = soxr.resample(piece.whole, piece.rate, piece.rate / factor)
    sound = soxr.resample(whole, piece.rate, SAMPLE_RATE)
    windows = sound[: len(sound) // WINDOW_SAMPLES * WINDOW_SAMPLES].reshape(-1, WINDOW_SAMPLES)
    return Piece(piece.tempo * factor, None, windows[:12], whole, piece.rate)


def _ours(piece: Piece) -> Descriptors:
    return describe([measure(piece.windows, sample_rate=SAMPLE_RATE)], channel_power_ratio=1)


def _our_key(piece: Piece) -> int | None:
    name = _ours(piece).musical_key
    return None if name is None else KEYS.index(name)


def _librosa_tempo(piece: Piece) -> float:
    import librosa

    sound = soxr.resample(piece.whole, piece.rate, _LIBROSA_RATE)
    tempo, _beats = librosa.beat.beat_track(y=sound, sr=_LIBROSA_RATE)
    return float(np.atleast_1d(tempo)[0])


def _librosa_key(piece: Piece) -> int:
    import librosa

    sound = soxr.resample(piece.whole, piece.rate, _LIBROSA_RATE)
    chroma = librosa.feature.chroma_cqt(y=sound, sr=_LIBROSA_RATE).mean(axis=1)
    fits = [
        np.corrcoef(np.roll(profile, tonic), chroma)[0, 1]
        for profile in _KRUMHANSL
        for tonic in range(12)
    ]
    return int(np.argmax(fits))
