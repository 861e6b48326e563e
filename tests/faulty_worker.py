"""A pool whose workers raise from the stage of the analysis that a file is named after."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import soxr

from indexer.analysis import track_analysis
from indexer.analysis.pools import AnalysisPool, ModelWorker
from indexer.analysis.sandbox import Sandbox
from indexer.audio import container, decoding, opening
from indexer.features import melspectrogram
from indexer.models.registry import DEFAULT_MODEL, load_model

if TYPE_CHECKING:
    from collections.abc import Callable

STAGES: dict[str, tuple[Any, str]] = {
    "open": (opening, "audio_extent"),
    "hash": (container, "_scan_packets"),
    "decode": (decoding, "channel_rows"),
    "resample": (soxr, "resample"),
    "log-mel": (melspectrogram, "mel_scaled"),
    "descriptors": (track_analysis, "measure"),
    "tags": (track_analysis, "read_tags"),
}
"""A function that each stage calls."""


class FaultyPool(AnalysisPool):
    """One worker; `pickle` returns what cannot be pickled, `network` fails in the model."""

    def __init__(self) -> None:
        Sandbox.__init__(self, _prepare)


def _prepare() -> ModelWorker:
    names: list[str] = []
    opened = container.open_descriptor

    def open_descriptor(path: Any, name: str) -> int:
        names[:] = [Path(os.fsdecode(path)).stem]
        return opened(path, name)

    container.open_descriptor = open_descriptor
    for stage, (owner, function) in STAGES.items():
        setattr(owner, function, partial(_call, stage, names, getattr(owner, function)))
    model = load_model(DEFAULT_MODEL)
    model.embed = partial(_call, "network", names, model.embed)
    return ModelWorker(model, None)


def _call(stage: str, names: list[str], function: Callable[..., Any], *args: Any, **kw: Any) -> Any:
    if names == [stage]:
        raise ZeroDivisionError(f"in {stage}\nof a test")
    return function(*args, **kw)
