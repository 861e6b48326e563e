"""How tracks sound without any network: the taste of users, and features to evaluate.

Models that learned from other models (a distilled one from its teachers) share what they know, so a
taste drawn from a teacher would leak into the evaluation of the pupil. What is computed here was
learned from nothing.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
from evaluation.embeddings import Cache, Excerpts, embed_all

from indexer.filesystem import display_path
from indexer.vectors.unit_vectors import unit_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from evaluation.embeddings import Arrays
    from numpy.typing import NDArray

    from indexer.catalog.records import Track

RATE, WINDOW_SAMPLES = 16_000, 48_000
N_FFT, HOP = 2048, 1024
COEFFICIENTS = 20
MFCC = 2 * COEFFICIENTS
"""The first columns: mean and deviation of the MFCCs, which are features of their own."""


def spectral_features(waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
    """MFCC (40), interval content of the chroma (7), chroma's and contrast's deviation, contrast.

    Parameters
    ----------
    waveforms : float32 (windows, samples) at `RATE`

    Returns
    -------
    float32 (40 + 7 + 1 + 7 + 7,)
    """
    import librosa

    power = np.abs(librosa.stft(waveforms, n_fft=N_FFT, hop_length=HOP)) ** 2
    mel = librosa.feature.melspectrogram(S=power, sr=RATE, n_mels=64)
    mfcc = _frames(librosa.feature.mfcc(S=librosa.power_to_db(mel), n_mfcc=COEFFICIENTS))
    # The tuning is not estimated: a few cents do not move sound between twelve classes.
    chroma = _frames(librosa.feature.chroma_stft(S=power, sr=RATE, tuning=0.0))
    contrast = _frames(librosa.feature.spectral_contrast(S=np.sqrt(power), sr=RATE, fmin=100.0))
    return np.concatenate(
        [
            mfcc.mean(0), mfcc.std(0), intervals(chroma), [chroma.std(0).mean()],
            contrast.mean(0), contrast.std(0),
        ]
    ).astype(np.float32)  # fmt: skip


def intervals(chroma: NDArray[np.floating]) -> NDArray[np.floating]:
    """Which intervals sound together (7,), from chroma (frames, 12); the same in every key."""
    unit = unit_rows(chroma)
    return np.array([(unit * np.roll(unit, lag, axis=1)).sum(1).mean() for lag in range(7)])


def _frames(bands: NDArray[np.floating]) -> NDArray[np.floating]:
    """(windows, bands, frames) as (all frames, bands)."""
    return np.moveaxis(bands, 1, 2).reshape(-1, bands.shape[1])


def of_catalog(track: Track) -> list[float]:
    """Tempo, where on the circle of octaves, so that half and double time agree; brightness."""
    angle = 2 * np.pi * np.log2(track.tempo_bpm) if track.tempo_bpm else 0.0
    known = track.tempo_confidence or 0.0
    brightness = np.log2(track.brightness_hz) if track.brightness_hz else np.nan
    return [known * np.cos(angle), known * np.sin(angle), known, brightness]


def measure_descriptors(catalog: Path, out: Path, *, cache: Path | None = None) -> int:
    """Describe every track of a catalog in an npz of path, vector and MFCC; returns how many."""
    from pathlib import Path

    from recommender.engine import Recommender

    with Recommender.open(catalog) as sound:
        tracks = sound.tracks(sound.ids())
    paths = [Path(display_path(track.path)) for track in tracks]
    measured = embed_all("descriptors", paths, _measurer(Cache(cache)), report=print)
    rows = np.hstack([measured.vectors, np.array([of_catalog(track) for track in tracks])])
    rows = rows[measured.present]
    rows = np.where(np.isnan(rows), np.nanmean(rows, axis=0), rows).astype(np.float32)
    names = [str(path) for path, there in zip(paths, measured.present, strict=True) if there]
    np.savez(out, path=np.array(names), vector=rows, MFCC=rows[:, :MFCC])
    return len(names)


def _measurer(cache: Cache) -> Callable[[Path], Arrays]:
    excerpts = Excerpts()

    def fresh(path: Path) -> Arrays:
        began = time.process_time()
        waveforms = excerpts.waveforms(path, rate=RATE, window_samples=WINDOW_SAMPLES)
        vector = spectral_features(waveforms)
        cpu_s = np.array(time.process_time() - began)
        return {"vector": vector, "cpu_s": cpu_s, "windows": np.array(len(waveforms))}

    return lambda path: cache.get(f"descriptors-{excerpts}", path, lambda: fresh(path))
