"""Worker processes that analyse untrusted files, and the tasks that they do.

A pool takes any task that is a function of its workers' state and a path; see `Sandbox`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.analysis.sandbox import DEFAULT_LIMITS, Limits, Sandbox
from indexer.analysis.track_analysis import (
    DEFAULT_WINDOWS,
    KnownRecording,
    TrackAnalysis,
    analyse,
    analyse_unless_known,
)
from indexer.analysis.window_embeddings import WindowEmbeddings, embed_windows
from indexer.audio.tags import TaggedLyrics, Tags, read_lyrics, read_tags
from indexer.errors import AnalysisError, ModelMismatch
from indexer.features.alignment import file_fingerprint
from indexer.models.registry import load_model, model_info

if TYPE_CHECKING:
    from indexer.models.checkpoint import ModelInfo
    from indexer.models.registry import Model

Outcome: TypeAlias = TrackAnalysis | KnownRecording | AnalysisError
Fingerprint: TypeAlias = NDArray[np.float16]


@dataclass(frozen=True)
class ModelWorker:
    """What a worker of an `AnalysisPool` holds: a model, and which recordings are known already."""

    model: Model
    known: NDArray[np.uint64] | None

    def knows(self, audio_hash: bytes) -> bool:
        """Whether a recording with this hash need not be decoded again."""
        if self.known is None or len(self.known) == 0:
            return False
        prefix = np.uint64(int.from_bytes(audio_hash[:8], "big"))
        row = int(np.searchsorted(self.known, prefix))
        return row < len(self.known) and bool(self.known[row] == prefix)


class AnalysisPool(Sandbox[ModelWorker]):
    """Worker processes with a model each, which computes on one thread.

    Tasks are functions of a `ModelWorker` and a path, such as `analyse_file`.

    Parameters
    ----------
    model_name : str
        The model every worker loads.
    fingerprint : str
        What the model's fingerprint must be.
    workers : int
        How many processes.
    known : uint64 (n,), sorted
        First 8 bytes of the hashes of recordings that `analyse_new_file` skips.

    Raises
    ------
    ModelMissing, ModelCorrupt
    ModelMismatch
        The model on this machine has another fingerprint.
    """

    def __init__(
        self,
        model_name: str,
        fingerprint: str,
        *,
        workers: int = 1,
        limits: Limits = DEFAULT_LIMITS,
        known: NDArray[np.uint64] | None = None,
    ) -> None:
        _require_fingerprint(model_info(model_name), fingerprint)
        super().__init__(
            partial(_load_worker, model_name, fingerprint, known), workers=workers, limits=limits
        )


def decoding_pool(workers: int = 1, *, limits: Limits = DEFAULT_LIMITS) -> Sandbox[None]:
    """Worker processes without a model, for tasks that only decode, as `fingerprint_file`."""
    return Sandbox(_load_nothing, workers=workers, limits=limits)


def tags_pool(workers: int = 1, *, limits: Limits = DEFAULT_LIMITS) -> Sandbox[None]:
    """Worker processes without a model, for `read_file_tags` and `read_file_lyrics`."""
    return Sandbox(_load_nothing, workers=workers, limits=limits)


def analyse_file(
    worker: ModelWorker, path: bytes, *, windows: int = DEFAULT_WINDOWS
) -> TrackAnalysis:
    """Analyse a file."""
    return analyse(path, worker.model, windows=windows)


def analyse_new_file(
    worker: ModelWorker, path: bytes, *, windows: int = DEFAULT_WINDOWS
) -> TrackAnalysis | KnownRecording:
    """Analyse a file unless the worker knows its recording."""
    return analyse_unless_known(path, worker.model, worker.knows, windows=windows)


def embed_file_windows(
    worker: ModelWorker, path: bytes, *, windows: int = DEFAULT_WINDOWS
) -> WindowEmbeddings:
    """Embed windows spread over a file, each by itself."""
    return embed_windows(path, worker.model, windows=windows)


def fingerprint_file(_worker: object, path: bytes) -> Fingerprint:
    """Coarse log-mel of a file's beginning, for aligning it with others."""
    return file_fingerprint(path)


def read_file_tags(_worker: object, path: bytes) -> Tags:
    """Tags of a file; empty ones where it has none that can be read."""
    return read_tags(path)


def read_file_lyrics(_worker: object, path: bytes) -> TaggedLyrics | None:
    """Lyrics in the tags of a file; None where it has none that can be read."""
    return read_lyrics(path)


def _load_worker(
    model_name: str, fingerprint: str, known: NDArray[np.uint64] | None
) -> ModelWorker:
    import torch

    torch.set_num_threads(1)
    # Numbers that vanish between two layers cost a CPU a hundred times as much as others.
    torch.set_flush_denormal(True)
    model = load_model(model_name)
    # Again, for a model that was replaced while the pool runs.
    _require_fingerprint(model.info, fingerprint)
    return ModelWorker(model, known)


def _load_nothing() -> None:
    """Hold nothing in a worker."""


def _require_fingerprint(info: ModelInfo, fingerprint: str) -> None:
    if info.fingerprint != fingerprint:
        raise ModelMismatch(
            f"the model {info.name} on this machine is not the one that made the catalog: "
            f"`soundalike index --model {info.name}` embeds the library again with it"
        )
