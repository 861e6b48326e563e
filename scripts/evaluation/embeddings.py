"""Embeddings of files, kept in a folder so that a run goes on where the last one ended."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.analysis.track_analysis import ALL_WINDOWS, DEFAULT_WINDOWS, analyse
from indexer.audio.reading import SAMPLE_RATE, open_track
from indexer.errors import AnalysisError, QueryError
from indexer.filesystem import atomic_write
from indexer.models.registry import Model, load_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    Arrays = Mapping[str, NDArray[Any]]
    Report = Callable[[str], None]

EVERY = 25
"""Files between two lines of progress."""


@dataclass(frozen=True)
class Excerpts:
    """Which parts of a track are embedded.

    Attributes
    ----------
    windows : int
        Windows spread over the track, as `soundalike index` takes them; `ALL_WINDOWS` for all.
    """

    windows: int = DEFAULT_WINDOWS

    def __str__(self) -> str:
        return "all" if self.windows == ALL_WINDOWS else str(self.windows)

    def waveforms(self, path: Path) -> NDArray[np.float32]:
        """Windows (windows, samples) at `SAMPLE_RATE`.

        Raises
        ------
        AnalysisError
        """
        with open_track(os.fsencode(path)) as track:
            if self.windows != ALL_WINDOWS:
                return track.windows(self.windows).waveforms[SAMPLE_RATE]
            return np.stack([waveforms[SAMPLE_RATE] for _, waveforms in track.stream()])


class Cache:
    """Arrays by name of what made them and by file; a changed file is another one.

    Parameters
    ----------
    folder : Path or None
        Where they are kept; None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def get(self, maker: str, path: Path, make: Callable[[], Arrays]) -> Arrays:
        """What `make` answers, or has answered before, for one file."""
        if self._folder is None:
            return make()
        kept = self._folder / maker / f"{_digest(path)}.npz"
        if kept.exists():
            with np.load(kept) as stored:
                return dict(stored)
        arrays = make()
        kept.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(kept) as file:
            np.savez(file, allow_pickle=False, **dict(arrays))
        return arrays


def _digest(path: Path) -> str:
    facts = path.stat() if path.exists() else None
    named = f"{path.resolve()}:{facts.st_size}:{facts.st_mtime_ns}" if facts else str(path)
    return hashlib.blake2b(os.fsencode(named), digest_size=16).hexdigest()


@dataclass(frozen=True)
class Embeddings:
    """What was made of each file; rows of files that cannot be analysed are NaN.

    Attributes
    ----------
    vectors : float32 (files, dim)
    cpu_s : float64 (files,)
        Seconds of one core, from opening to the vector, when it was made.
    windows : float64 (files,)
        How many were embedded.
    """

    vectors: Vectors
    cpu_s: NDArray[np.float64]
    windows: NDArray[np.float64]

    @property
    def present(self) -> NDArray[np.bool_]:
        """Which files were embedded."""
        return ~np.isnan(self.cpu_s)


def embed_all(
    name: str,
    paths: Sequence[Path],
    embed: Callable[[Path], Arrays],
    *,
    report: Report,
) -> Embeddings:
    """Embed files one after the other in this process.

    Parameters
    ----------
    embed : function of Path
        Answers "vector" (dim,), "cpu_s" () and "windows" (); an AnalysisError that it raises leaves
        the file out.

    Raises
    ------
    QueryError
        None of them can be analysed.
    """
    found: list[Arrays | None] = []
    reason = ""
    for number, path in enumerate(paths, start=1):
        try:
            found.append(embed(path))
        except AnalysisError as error:
            found.append(None)
            reason = str(error)
        if number % EVERY == 0 or number == len(paths):
            report(f"{name}: embedded {number} of {len(paths)}")
    there = [arrays for arrays in found if arrays is not None]
    if not there:
        raise QueryError(f"none of {len(paths)} files can be analysed: {reason or 'none named'}")
    if len(there) < len(paths):
        report(f"{name}: {len(paths) - len(there)} files are left out, the last because {reason}")
    nothing = np.full_like(there[0]["vector"], np.nan)
    return Embeddings(
        np.stack([nothing if a is None else a["vector"] for a in found]).astype(np.float32),
        np.array([np.nan if a is None else float(a["cpu_s"]) for a in found]),
        np.array([np.nan if a is None else float(a["windows"]) for a in found]),
    )


def embedder(model: Model, excerpts: Excerpts, cache: Cache) -> Callable[[Path], Arrays]:
    """What `embed_all` takes: embeds with a model, as `soundalike index` does, on one thread."""
    maker = f"{model.info.name}-{model.info.fingerprint[:16]}-{excerpts}"

    def fresh(path: Path) -> Arrays:
        began = time.process_time()
        analysis = analyse(os.fsencode(path), model, windows=excerpts.windows)
        cpu_s = np.array(time.process_time() - began)
        vector = analysis.embedding.astype(np.float32)
        return {"vector": vector, "cpu_s": cpu_s, "windows": np.array(analysis.windows)}

    return lambda path: cache.get(maker, path, lambda: fresh(path))


def load_models(names: Sequence[str]) -> dict[str, Model]:
    """Models by the names that tables show; two of one name get their files' names beside it.

    Raises
    ------
    ModelMissing, ModelCorrupt
    """
    models: dict[str, Model] = {}
    for name in names:
        model = load_model(name)
        shown = model.info.name
        if shown in models:
            shown = f"{shown} ({name})"
        models[shown] = model
    return models


@contextmanager
def one_thread() -> Iterator[None]:
    """As a worker computes, so that CPU seconds are those of one core."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
