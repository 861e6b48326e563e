"""From notes and strokes to tracks, and from tracks to a finished stereo recording."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage, signal

from .piece import SAMPLE_RATE, Instrument, Note, Timeline, Wave

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

LOUDNESS = -16.0
"""LUFS of every finished piece: no style and no format is known by its level."""


def midi_to_hz(pitch: float) -> float:
    """Frequency of a MIDI pitch in equal temperament, A4 = 440 Hz."""
    return float(440.0 * 2 ** ((pitch - 69) / 12))


def silence(timeline: Timeline) -> Wave:
    """An empty stereo track (2, samples) as long as the piece."""
    return np.zeros((2, timeline.samples))


def place(track: Wave, sound: Wave, *, at: float, gain: float = 1.0, pan: float = 0.0) -> None:
    """Add one channel of sound to a stereo track at `at` seconds; `pan` from -1 to 1."""
    start = max(round(at * SAMPLE_RATE), 0)
    stop = min(start + len(sound), track.shape[1])
    if stop <= start:
        return
    angle = (pan + 1) * np.pi / 4
    part = gain * sound[: stop - start]
    track[0, start:stop] += np.sqrt(2) * np.cos(angle) * part
    track[1, start:stop] += np.sqrt(2) * np.sin(angle) * part


def play(
    rng: np.random.Generator,
    notes: Iterable[Note],
    instrument: Instrument,
    timeline: Timeline,
    *,
    pan: float = 0.0,
    spread: float = 0.0,
    jitter: float = 0.004,
    strum: float = 0.0,
) -> Wave:
    """Play notes on an instrument.

    Parameters
    ----------
    rng : numpy.random.Generator
        The unevenness of a player.
    notes : iterable of Note
        What is played.
    instrument : Instrument
        What it is played on; each note of equal pitch, length and force is made once.
    timeline : Timeline
        Beats to seconds.
    pan, spread : float
        Place in the stereo picture; `spread` moves low notes left and high notes right.
    jitter : float
        Standard deviation of the start, in seconds.
    strum : float
        Seconds between the notes of one chord, low to high.

    Returns
    -------
    ndarray of shape (2, samples)
    """
    track = silence(timeline)
    made: dict[tuple[float, float, float], Wave] = {}
    beat, count = -1.0, 0
    for note in sorted(notes, key=lambda n: (n.beat, n.pitch)):
        count = count + 1 if note.beat == beat else 0
        beat = note.beat
        start = timeline.seconds(note.beat)
        held = timeline.seconds(note.beat + note.beats) - start
        # A few lengths and forces are enough, and let most notes be made once.
        key = (note.pitch, max(round(held, 2), 0.03), min(max(round(note.velocity, 1), 0.1), 1.0))
        if key not in made:
            made[key] = instrument(midi_to_hz(note.pitch), key[1], key[2])
        side = float(np.clip(pan + spread * (note.pitch - 62) / 24, -1, 1))
        place(
            track,
            made[key],
            at=start + count * strum + float(rng.normal(0, jitter)) * (start > 0),
            gain=note.velocity,
            pan=side,
        )
    return track


FORCE = {"X": 1.0, "x": 0.75, "o": 0.4, "-": 0.2}


def strokes(pattern: str, *, bar: int, beats_per_bar: int = 4) -> list[tuple[float, float]]:
    """(beat, force) of each stroke of one bar, written as `X...x.o.` (`.` and blank are rests)."""
    steps = pattern.replace(" ", "")
    width = beats_per_bar / len(steps)
    return [
        (bar * beats_per_bar + i * width, FORCE[letter])
        for i, letter in enumerate(steps)
        if letter != "."
    ]


def strike(
    rng: np.random.Generator,
    track: Wave,
    sound: Wave,
    hits: Iterable[tuple[float, float]],
    timeline: Timeline,
    *,
    gain: float = 1.0,
    pan: float = 0.0,
    jitter: float = 0.002,
) -> None:
    """Add strokes (beat, force) of a drum to a track."""
    for beat, force in hits:
        at = timeline.seconds(beat) + float(rng.normal(0, jitter)) * (beat > 0)
        place(track, sound, at=at, gain=gain * force * float(rng.uniform(0.92, 1.04)), pan=pan)


def drum_part(
    rng: np.random.Generator,
    kit: Mapping[str, Wave],
    bars: Sequence[Mapping[str, str]],
    timeline: Timeline,
    *,
    pans: Mapping[str, float] | None = None,
    jitter: float = 0.002,
) -> Wave:
    """A whole drum part: for each bar the patterns of the drums that sound in it."""
    track = silence(timeline)
    for bar, patterns in enumerate(bars):
        for name, pattern in patterns.items():
            hits = strokes(pattern, bar=bar, beats_per_bar=timeline.beats_per_bar)
            pan = (pans or {}).get(name, 0.0)
            strike(rng, track, kit[name], hits, timeline, pan=pan, jitter=jitter)
    return track


def level(track: Wave) -> Wave:
    """Scale a track to a root mean square of 0.1 where it sounds, so that gains mean the same."""
    power = np.mean(track**2, axis=0)
    sounding = power > 1e-4 * power.max()
    return np.asarray(track * (0.1 / (np.sqrt(np.mean(power[sounding])) + 1e-9)))


def blend(*parts: tuple[Wave, float]) -> Wave:
    """Sum of tracks, each levelled and then given its gain in decibels."""
    total = np.zeros_like(parts[0][0])
    for track, decibels in parts:
        if track.any():
            total += level(track) * 10 ** (decibels / 20)
    return total


def loudness(sound: Wave) -> float:
    """Integrated loudness in LUFS of stereo sound (ITU-R BS.1770-4, absolute and relative gate)."""
    shelf_b = [1.5308412300503478, -2.650979995154729, 1.1690790799215869]
    shelf_a = [1.0, -1.6636551132560204, 0.7125954280732254]
    cut_a = [1.0, -1.9891696736297957, 0.9891990357870394]
    weighted = signal.lfilter(shelf_b, shelf_a, sound)
    weighted = signal.lfilter([1.0, -2.0, 1.0], cut_a, weighted)
    block, hop = int(0.4 * SAMPLE_RATE), int(0.1 * SAMPLE_RATE)
    total = np.concatenate([[0.0], np.cumsum(np.sum(weighted**2, axis=0))])
    starts = np.arange(0, sound.shape[1] - block, hop)
    power = (total[starts + block] - total[starts]) / block
    power = power[power > 10 ** ((-70 + 0.691) / 10)]
    if not power.size:
        return -np.inf
    power = power[power > 0.1 * np.mean(power)]
    return float(-0.691 + 10 * np.log10(np.mean(power)))


def limit(sound: Wave, ceiling: float = 0.85) -> Wave:
    """Keep every sample within `ceiling` by lowering the gain around peaks (5 ms ahead)."""
    window = int(0.01 * SAMPLE_RATE)
    crest = ndimage.maximum_filter1d(np.max(np.abs(sound), axis=0), 2 * window)
    gain = ndimage.uniform_filter1d(np.minimum(1.0, ceiling / np.maximum(crest, 1e-9)), window)
    return np.asarray(np.clip(sound * gain, -ceiling, ceiling))


def finish(mix: Wave, *, fade: float = 1.5) -> Wave:
    """The last step: no direct current, a fade at the end, `LOUDNESS`, peaks within 0.85."""
    sound = signal.sosfiltfilt(
        signal.butter(1, 25, "highpass", fs=SAMPLE_RATE, output="sos"), mix, axis=1
    )
    tail = int(fade * SAMPLE_RATE)
    sound[:, -tail:] *= np.linspace(1, 0, tail) ** 1.5
    sound[:, :220] *= np.linspace(0, 1, 220)
    for _ in range(2):
        sound = limit(sound * 10 ** ((LOUDNESS - loudness(sound)) / 20))
    return np.asarray(sound)
