"""Questions to a vector index: their vectors, how long each takes, and how much it finds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.made_up import made_up
from indexer.models.registry import model_info

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from indexer.vectors.base import Subset, VectorIndex

K = 10
_BLOCK = 50_000


def shuffled_vectors(count: int, seed: int) -> NDArray[np.float32]:
    """Vectors (count, dim) of a made-up library in random order."""
    library = made_up(count, dim=model_info().dim, seed=seed)
    order = np.random.default_rng(seed).permutation(count)
    return library.vectors[order].astype(np.float32)


def seconds(ask: Callable[..., object], questions: Iterable[object]) -> list[float]:
    """How long each question took, after the first few have been asked once."""
    asked = list(questions)
    for question in asked[:5]:
        ask(question)
    times = []
    for question in asked:
        began = time.perf_counter()
        ask(question)
        times.append(time.perf_counter() - began)
    return times


def percentiles(times: list[float]) -> tuple[float, float]:
    """The 50th and 99th percentile of seconds, in milliseconds."""
    middle, late = np.percentile(times, [50, 99]) * 1e3
    return float(middle), float(late)


def recall_of(index: VectorIndex, queries: NDArray[np.float32], among: Subset | None) -> float:
    """The part of the `K` nearest, by exact search, that the index finds."""
    _, found = index.search(queries, K, among=among)
    return share_found(found, index, queries, index.ids() if among is None else among.ids)


def share_found(
    found: NDArray[np.float32],
    index: VectorIndex,
    queries: NDArray[np.float32],
    allowed: NDArray[np.int64],
) -> float:
    """The part of the `K` nearest of some ids, by exact search, whose scores (q, K) were found.

    Ties count as found.
    """
    best = np.full((len(queries), K), -2.0, np.float32)
    for start in range(0, len(allowed), _BLOCK):
        # The vectors as the index holds them: rounding is not what is judged here.
        products = queries @ index.reconstruct(allowed[start : start + _BLOCK]).T
        best = np.sort(np.hstack([best, products]), axis=1)[:, -K:]
    return float((found >= best[:, :1] - 1e-5).mean())
