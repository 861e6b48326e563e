"""Embeddings of the single windows of one file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.audio.reading import WINDOW_S, open_track

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from indexer.models.registry import Model


@dataclass(frozen=True, eq=False)
class WindowEmbeddings:
    """Windows of a file and their embeddings.

    Attributes
    ----------
    starts_s : float64 (w,)
        Where each window begins, in seconds.
    vectors : float32 (w, dim), unit length
    length_s : float
        Of a window, in seconds.
    """

    starts_s: NDArray[np.float64]
    vectors: NDArray[np.float32]
    length_s: float


def embed_windows(path: bytes, model: Model, *, windows: int) -> WindowEmbeddings:
    """Embed windows spread over a file.

    Raises
    ------
    AnalysisError
        The file has no usable sound; its class and stage say why.
    """
    with open_track(path, sample_rates=model.sample_rates) as track:
        found = track.windows(windows)
    # Each pooled by itself, so that it lies where the vectors of whole tracks lie.
    vectors = [
        model.pool([model.embed({rate: w[row : row + 1] for rate, w in found.waveforms.items()})])[
            0
        ]
        for row in range(len(found.starts_s))
    ]
    return WindowEmbeddings(found.starts_s, np.stack(vectors), WINDOW_S)
