"""Files that are heard while a question waits: whole, or window by window."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.errors import AnalysisError, ModelMismatch, QueryError
from recommender.seeds import nothing_in

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from indexer.analysis import TrackAnalysis
    from indexer.catalog import StoredModel, Track
    from indexer.library import Library
    from indexer.model import Model
    from indexer.workers import AnalysisPool


@dataclass(frozen=True)
class MatchingWindows:
    """The two stretches of two tracks that sound most alike.

    Attributes
    ----------
    first_s, second_s : float
        Where they begin, in seconds.
    length_s : float
    cosine : float
    """

    first_s: float
    second_s: float
    length_s: float
    cosine: float


class Hearing:
    """Hears files with a library's model. Several threads may use one."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._lock = threading.Lock()
        self._pool: AnalysisPool | None = None
        self._pool_model = ""
        self._model: Model | None = None

    def close(self) -> None:
        """End the worker."""
        if self._pool is not None:
            self._pool.close(at_once=True)
            self._pool = None

    def hear(self, path: str | bytes | os.PathLike[str]) -> TrackAnalysis:
        """Analyse a file as `index` would, in a worker under limits.

        Raises
        ------
        AnalysisError, ModelMissing, ModelMismatch
        QueryError
            The catalog has no model yet.
        """
        from indexer.workers import Task

        model = self._active()
        task = Task(os.path.abspath(os.fsencode(path)), windows=model.windows, skip_known=False)
        pool = self._workers(model)
        heard = pool.result(task, pool.submit(task))
        if isinstance(heard, AnalysisError):
            raise heard
        return heard

    def matching_windows(self, first: Track, second: Track) -> MatchingWindows:
        """Hear two tracks again, in this process, and find their most similar windows.

        Raises
        ------
        AnalysisError
            A file has vanished or changed.
        ModelMissing, ModelMismatch
        """
        ones, others = self._windows(first), self._windows(second)
        cosines = ones[1] @ others[1].T
        row, column = np.unravel_index(int(np.argmax(cosines)), cosines.shape)
        return MatchingWindows(
            float(ones[0][row]), float(others[0][column]), ones[2], float(cosines[row, column])
        )

    def _windows(self, track: Track) -> tuple[NDArray[np.float64], NDArray[np.float32], float]:
        """Where a track's windows begin (w,), their unit vectors (w, dim) and length, in s."""
        from indexer.analysis import DEFAULT_WINDOWS
        from indexer.audio import open_track

        stored = self._active()
        model = self._loaded(stored)
        front_end = model.info.front_end
        with open_track(
            track.path, sample_rate=front_end.sample_rate, window_samples=front_end.window_samples
        ) as opened:
            windows = opened.windows(stored.windows or DEFAULT_WINDOWS)
        embeddings, activations = model.embed_windows(windows.waveforms)
        # Each pooled by itself, so that it lies where the vectors of whole tracks lie.
        vectors = [
            model.pool(embeddings[place : place + 1], activations[place : place + 1])[0]
            for place in range(len(embeddings))
        ]
        length_s = front_end.window_samples / front_end.sample_rate
        return windows.starts_s, np.stack(vectors), length_s

    def _active(self) -> StoredModel:
        model = self._library.catalog.active_model()
        if model is None:
            raise QueryError(nothing_in(self._library))
        return model

    def _loaded(self, stored: StoredModel) -> Model:
        from indexer.model import load_model

        with self._lock:
            if self._model is None or self._model.info.fingerprint != stored.fingerprint:
                self._check(stored)
                self._model = load_model(stored.name)
            return self._model

    def _workers(self, stored: StoredModel) -> AnalysisPool:
        from indexer.workers import AnalysisPool

        with self._lock:
            if self._pool is not None and self._pool_model != stored.fingerprint:
                self.close()
            if self._pool is None:
                self._check(stored)
                self._pool = AnalysisPool(stored.name, stored.fingerprint)
                self._pool_model = stored.fingerprint
            return self._pool

    def _check(self, stored: StoredModel) -> None:
        from indexer.model import model_info

        if model_info(stored.name).fingerprint != stored.fingerprint:
            raise ModelMismatch(
                f"the model {stored.name} on this machine is not the one that made "
                f"{self._library.catalog.path}: index the library again with it"
            )
