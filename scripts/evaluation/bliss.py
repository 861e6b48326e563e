"""Bliss: the descriptors of bliss-audio (PyPI `bliss-audio`), a peer, if it is installed.

Its distance is Euclidean; vectors are made such that their cosine has the same order.
"""

from __future__ import annotations

import importlib.util
import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from evaluation.embeddings import Arrays, Cache

NAME = "bliss"


def is_installed() -> bool:
    """Whether the package is there."""
    return importlib.util.find_spec("bliss_audio") is not None


def bliss_embedder(cache: Cache) -> Callable[[Path], Arrays]:
    """What `embed_all` takes: the analysis of a file by bliss."""

    def fresh(path: Path) -> Arrays:
        import bliss_audio

        began = time.process_time()
        song = bliss_audio.Song(str(path))
        vector = np.asarray(song.analysis, dtype=np.float32)
        cpu_s = np.array(time.process_time() - began)
        return {"vector": vector, "cpu_s": cpu_s, "windows": np.array(1)}

    return lambda path: cache.get(NAME, path, lambda: fresh(path))
