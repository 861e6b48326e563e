"""Analysis of files while a question waits, in a worker process under limits."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from indexer.errors import AnalysisError, QueryError
from indexer.filesystem import absolute_path
from recommender.retrieval.explanations import best_matching_windows

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from indexer.analysis.pools import AnalysisPool
    from indexer.analysis.sandbox import Limits
    from indexer.analysis.track_analysis import TrackAnalysis
    from indexer.catalog.records import StoredModel
    from recommender.retrieval.answers import MatchingWindows


def analyse_files(
    model: StoredModel,
    paths: Sequence[str | bytes | os.PathLike[str]],
    *,
    workers: int | None = None,
    limits: Limits | None = None,
) -> list[TrackAnalysis | AnalysisError]:
    """Analyse files as `index` would, in worker processes that end with the last.

    Parameters
    ----------
    workers : int, optional
        By default as many as processors, and no more than files.

    Raises
    ------
    ModelMissing, ModelMismatch, WorkersFailed
    """
    from indexer.analysis.pools import AnalysisPool, analyse_file
    from indexer.analysis.sandbox import DEFAULT_LIMITS, worker_count

    if not paths:
        return []
    count = worker_count(workers or 0, len(paths))
    task = partial(analyse_file, windows=model.windows)
    with AnalysisPool(
        model.name, model.fingerprint, workers=count, limits=limits or DEFAULT_LIMITS
    ) as pool:
        return list(pool.map(task, [absolute_path(path) for path in paths]))


def model_of_new_catalogs() -> StoredModel:
    """The model with which `index` begins a catalog.

    Raises
    ------
    ModelMissing, ModelCorrupt
    """
    from indexer.analysis.track_analysis import DEFAULT_WINDOWS
    from indexer.catalog.records import StoredModel
    from indexer.models.registry import model_info

    info = model_info()
    return StoredModel(
        0, info.name, info.fingerprint, info.dim, tuple(info.tag_names), DEFAULT_WINDOWS
    )


class OnDemandPool:
    """A worker process with a catalog's model, started with the first file and kept until `close`.

    Several threads may use one.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._pool: AnalysisPool | None = None
        self._fingerprint = ""
        self._closed = False

    def close(self) -> None:
        """End the worker, for good."""
        with self._lock:
            self._closed = True
            self._close()

    def analyse(self, model: StoredModel, path: str | bytes | os.PathLike[str]) -> TrackAnalysis:
        """Analyse a file as `index` would.

        Raises
        ------
        AnalysisError, ModelMissing, ModelMismatch
        """
        from indexer.analysis.pools import analyse_file

        return self._with_model(model).run(
            partial(analyse_file, windows=model.windows), absolute_path(path)
        )

    def matching_windows(
        self, model: StoredModel, pairs: Sequence[tuple[bytes, bytes]]
    ) -> list[MatchingWindows | AnalysisError]:
        """The windows of each two files that are most alike, or why one cannot be decoded.

        Raises
        ------
        ModelMissing, ModelMismatch, WorkersFailed
        """
        from indexer.analysis.pools import embed_file_windows
        from indexer.analysis.track_analysis import DEFAULT_WINDOWS

        paths = list(dict.fromkeys(path for pair in pairs for path in pair))
        task = partial(embed_file_windows, windows=model.windows or DEFAULT_WINDOWS)
        embedded = dict(zip(paths, self._with_model(model).map(task, paths), strict=True))
        found: list[MatchingWindows | AnalysisError] = []
        for first, second in ((embedded[one], embedded[other]) for one, other in pairs):
            if isinstance(first, AnalysisError):
                found.append(first)
            elif isinstance(second, AnalysisError):
                found.append(second)
            else:
                found.append(best_matching_windows(first, second))
        return found

    def _with_model(self, model: StoredModel) -> AnalysisPool:
        from indexer.analysis.pools import AnalysisPool
        from indexer.analysis.sandbox import DEFAULT_LIMITS

        with self._lock:
            if self._closed:
                raise QueryError("the catalog was closed: open it again to analyse files")
            if self._fingerprint != model.fingerprint:
                self._close()
            if self._pool is None:
                self._pool = AnalysisPool(
                    model.name, model.fingerprint, limits=self._limits or DEFAULT_LIMITS
                )
                self._fingerprint = model.fingerprint
            return self._pool

    def _close(self) -> None:
        if self._pool is not None:
            self._pool.close(at_once=True)
            self._pool = None
