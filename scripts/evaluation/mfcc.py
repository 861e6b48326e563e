"""The baseline: timbre as one Gaussian over 20 MFCCs, compared by the Kullback-Leibler divergence.

Mandel & Ellis, "Song-level features and support vector machines for music classification", ISMIR
2005; Pampalk, "Computational models of music similarity", 2006, section 2.2.3 (G1). What two
decades of music similarity were measured against.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from indexer.audio.reading import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from evaluation.embeddings import Arrays, Cache, Excerpts
    from recommender.evaluation.metrics import Similarity

NAME = "20 MFCC, Gaussian"
COEFFICIENTS = 20
N_FFT, HOP = 1024, 512
# Keeps the covariance of a sound that hardly changes invertible.
_RIDGE = 1e-3


def gaussian(waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean (20,) and covariance (20, 20) of the MFCCs of all frames, as one row (420,).

    Parameters
    ----------
    waveforms : float32 (windows, samples) at `SAMPLE_RATE`
    """
    import librosa

    # All windows at once: what lies 80 dB below the loudest of them is cut off.
    coefficients = librosa.feature.mfcc(
        y=waveforms, sr=SAMPLE_RATE, n_mfcc=COEFFICIENTS, n_fft=N_FFT, hop_length=HOP
    )
    frames = np.moveaxis(coefficients, 1, 2).reshape(-1, COEFFICIENTS).astype(np.float64)
    covariance = np.cov(frames.T) + _RIDGE * np.eye(COEFFICIENTS)
    return np.concatenate([frames.mean(0), covariance.ravel()]).astype(np.float32)


def mfcc_embedder(excerpts: Excerpts, cache: Cache) -> Callable[[Path], Arrays]:
    """What `embed_all` takes: the Gaussian of the windows that a model of 3 s would take."""

    def fresh(path: Path) -> Arrays:
        began = time.process_time()
        waveforms = excerpts.waveforms(path)
        vector = gaussian(waveforms)
        cpu_s = np.array(time.process_time() - began)
        return {"vector": vector, "cpu_s": cpu_s, "windows": np.array(len(waveforms))}

    return lambda path: cache.get(f"mfcc-{COEFFICIENTS}-{excerpts}", path, lambda: fresh(path))


def divergence(gaussians: NDArray[np.float32]) -> Similarity:
    """Nearness of Gaussians (n, 420): the symmetric Kullback-Leibler divergence, negated.

    For means m and covariances S of two songs, without constants,
    tr(S1^-1 S2) + tr(S2^-1 S1) + (m1 - m2)' (S1^-1 + S2^-1) (m1 - m2).
    """
    rows = gaussians.astype(np.float64)
    means = rows[:, :COEFFICIENTS]
    covariances = rows[:, COEFFICIENTS:]
    inverses = np.linalg.inv(covariances.reshape(-1, COEFFICIENTS, COEFFICIENTS))
    flat = inverses.reshape(len(rows), -1)
    # (m1 - m2)' P1 (m1 - m2) = m1' P1 m1 - 2 (P1 m1)' m2 + the inner product of P1 and m2 m2'.
    pulled = np.einsum("nij,nj->ni", inverses, means)
    own = np.einsum("ni,ni->n", pulled, means)
    outer = np.einsum("ni,nj->nij", means, means).reshape(len(rows), -1)

    def nearness(seeds: NDArray[np.int64]) -> NDArray[np.float32]:
        traces = flat[seeds] @ covariances.T + covariances[seeds] @ flat.T
        mine = own[seeds, None] - 2 * pulled[seeds] @ means.T + flat[seeds] @ outer.T
        theirs = own[None] - 2 * means[seeds] @ pulled.T + outer[seeds] @ flat.T
        return np.asarray(-(traces + mine + theirs), dtype=np.float32)

    return nearness
