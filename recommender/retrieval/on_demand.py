"""Files that are heard while a question waits: whole, or window by window."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.errors import AnalysisError, ModelMismatch, QueryError
from recommender.retrieval.answers import MatchingWindows
from recommender.retrieval.seeds import empty_catalog_message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from indexer.analysis.pools import AnalysisPool
    from indexer.analysis.track_analysis import TrackAnalysis
    from indexer.catalog.reader import StoredModel
    from indexer.library import Library
    from indexer.models.registry import Model


@dataclass(frozen=True)
class _Windows:
    """Where a file's windows begin (w,), their unit vectors (w, dim) and their length."""

    starts_s: NDArray[np.float64]
    vectors: NDArray[np.float32]
    length_s: float


def _most_alike(first: _Windows, second: _Windows) -> MatchingWindows:
    cosines = first.vectors @ second.vectors.T
    row, column = np.unravel_index(int(np.argmax(cosines)), cosines.shape)
    return MatchingWindows(
        float(first.starts_s[row]),
        float(second.starts_s[column]),
        first.length_s,
        float(cosines[row, column]),
    )


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
        from indexer.analysis.pools import Task

        model = self._active()
        task = Task(os.path.abspath(os.fsencode(path)), windows=model.windows, skip_known=False)
        pool = self._workers(model)
        heard = pool.result(task, pool.submit(task))
        if isinstance(heard, AnalysisError):
            raise heard
        return heard

    def matching_windows(self, first: bytes, second: bytes) -> MatchingWindows:
        """Hear two files, in this process, and find their most similar windows.

        Raises
        ------
        AnalysisError
            A file has vanished or changed.
        ModelMissing, ModelMismatch
        """
        return _most_alike(self._windows(first), self._windows(second))

    def matching_pairs(
        self, pairs: Sequence[tuple[bytes | None, bytes]]
    ) -> list[MatchingWindows | None]:
        """As `matching_windows` for many pairs; None where the first is None or a file fails."""
        heard: dict[bytes, _Windows | None] = {}
        found: list[MatchingWindows | None] = []
        for pair in pairs:
            windows = []
            for path in pair:
                if path is not None and path not in heard:
                    try:
                        heard[path] = self._windows(path)
                    except AnalysisError:
                        heard[path] = None  # The answer stands without this reason.
                windows.append(None if path is None else heard[path])
            first, second = windows
            found.append(None if first is None or second is None else _most_alike(first, second))
        return found

    def _windows(self, path: bytes) -> _Windows:
        from indexer.analysis.track_analysis import DEFAULT_WINDOWS
        from indexer.audio.reading import open_track

        stored = self._active()
        model = self._loaded(stored)
        front_end = model.info.front_end
        with open_track(
            path, sample_rate=front_end.sample_rate, window_samples=front_end.window_samples
        ) as opened:
            windows = opened.windows(stored.windows or DEFAULT_WINDOWS)
        embeddings, activations = model.embed_windows(windows.waveforms)
        # Each pooled by itself, so that it lies where the vectors of whole tracks lie.
        vectors = [
            model.pool(embeddings[place : place + 1], activations[place : place + 1])[0]
            for place in range(len(embeddings))
        ]
        length_s = front_end.window_samples / front_end.sample_rate
        return _Windows(windows.starts_s, np.stack(vectors), length_s)

    def _active(self) -> StoredModel:
        model = self._library.catalog.active_model()
        if model is None:
            raise QueryError(empty_catalog_message(self._library))
        return model

    def _loaded(self, stored: StoredModel) -> Model:
        from indexer.models.registry import load_model

        with self._lock:
            if self._model is None or self._model.info.fingerprint != stored.fingerprint:
                self._check(stored)
                self._model = load_model(stored.name)
            return self._model

    def _workers(self, stored: StoredModel) -> AnalysisPool:
        from indexer.analysis.pools import AnalysisPool

        with self._lock:
            if self._pool is not None and self._pool_model != stored.fingerprint:
                self.close()
            if self._pool is None:
                self._check(stored)
                self._pool = AnalysisPool(stored.name, stored.fingerprint)
                self._pool_model = stored.fingerprint
            return self._pool

    def _check(self, stored: StoredModel) -> None:
        from indexer.models.registry import model_info

        if model_info(stored.name).fingerprint != stored.fingerprint:
            raise ModelMismatch(
                f"the model {stored.name} on this machine is not the one that made "
                f"{self._library.catalog.path}: index the library again with it"
            )
