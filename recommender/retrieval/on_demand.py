"""Files that are heard while a question waits: whole, or window by window."""

from __future__ import annotations

import os
import threading
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from indexer.errors import AnalysisError, QueryError
from recommender.retrieval.answers import MatchingWindows
from recommender.retrieval.seeds import empty_catalog_message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from indexer.analysis.pools import AnalysisPool
    from indexer.analysis.track_analysis import TrackAnalysis
    from indexer.analysis.window_embeddings import WindowEmbeddings
    from indexer.catalog.reader import StoredModel
    from indexer.library import Library


def _most_alike(first: WindowEmbeddings, second: WindowEmbeddings) -> MatchingWindows:
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
        from indexer.analysis.pools import analyse_file

        model = self._active()
        return self._workers(model).run(
            partial(analyse_file, windows=model.windows), os.path.abspath(os.fsencode(path))
        )

    def matching_windows(self, first: bytes, second: bytes) -> MatchingWindows:
        """Embed the windows of two files and find their most similar windows.

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
        heard: dict[bytes, WindowEmbeddings | None] = {}
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

    def _windows(self, path: bytes) -> WindowEmbeddings:
        from indexer.analysis.pools import embed_file_windows
        from indexer.analysis.track_analysis import DEFAULT_WINDOWS

        model = self._active()
        return self._workers(model).run(
            partial(embed_file_windows, windows=model.windows or DEFAULT_WINDOWS), path
        )

    def _active(self) -> StoredModel:
        model = self._library.catalog.active_model()
        if model is None:
            raise QueryError(empty_catalog_message(self._library))
        return model

    def _workers(self, stored: StoredModel) -> AnalysisPool:
        from indexer.analysis.pools import AnalysisPool

        with self._lock:
            if self._pool is not None and self._pool_model != stored.fingerprint:
                self.close()
            if self._pool is None:
                self._pool = AnalysisPool(stored.name, stored.fingerprint)
                self._pool_model = stored.fingerprint
            return self._pool
