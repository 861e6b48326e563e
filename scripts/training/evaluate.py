"""Quick measurements of embeddings while training: are a piece's nearest neighbours like it?

Every measure is a mean over seeds (pieces that have anything to find), by cosine; P@k is the share
of the k nearest with the seed's label, mAP the mean average precision over all others. For genre,
pieces of the seed's own artist are taken out first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float32]

MEASURES = ("P@1", "P@5", "mAP")


@dataclass(frozen=True)
class Scores:
    """Measures of each seed.

    Attributes
    ----------
    values : ndarray, float64 (seeds, 3)
        Columns as in `MEASURES`.
    """

    values: NDArray[np.float64]

    @property
    def means(self) -> NDArray[np.float64]:
        """Mean of each measure."""
        return np.asarray(self.values.mean(0))

    def interval(self, *, seed: int = 0, draws: int = 1000) -> NDArray[np.float64]:
        """Bootstrap interval (2.5 % and 97.5 %, rows) of each mean, seeds drawn again."""
        rng = np.random.default_rng(seed)
        drawn = rng.integers(len(self.values), size=(draws, len(self.values)))
        return np.asarray(np.percentile(self.values[drawn].mean(1), [2.5, 97.5], axis=0))


def unit(vectors: Array) -> Array:
    """Rows at unit length."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-9), dtype=np.float32)


def standardise(vectors: Array) -> Array:
    """Columns with mean 0 and deviation 1 over these rows, then rows at unit length."""
    centred = vectors - vectors.mean(0)
    return unit(centred / np.maximum(vectors.std(0), 1e-9))


def retrieval(
    vectors: Array, labels: Sequence[str], *, without: Sequence[str] | None = None
) -> Scores:
    """Scores of the label's retrieval.

    Parameters
    ----------
    vectors : ndarray, shape (n, dim)
        Any length; the cosine is taken.
    labels : sequence of str, length n
        "" is no label: such a piece is found by others but seeds nothing.
    without : sequence of str, optional, length n
        Pieces that share this with the seed are taken out; "" shares nothing.
    """
    similarity = unit(vectors) @ unit(vectors).T
    label = np.array(labels)
    alike = (label[:, None] == label[None]) & (label != "")[:, None]
    barred = np.eye(len(label), dtype=bool)
    if without is not None:
        owner = np.array(without)
        barred |= (owner[:, None] == owner[None]) & (owner != "")[:, None]
    rows = []
    for seed in range(len(label)):
        others = np.flatnonzero(~barred[seed])
        hits = alike[seed, others[np.argsort(-similarity[seed, others], kind="stable")]]
        if hits.any():
            precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
            rows.append((hits[0], hits[:5].mean(), precision[hits].mean()))
    return Scores(np.array(rows, dtype=np.float64))


def precision_at(vectors: Array, labels: Sequence[str], k: int) -> float:
    """Mean P@k, nothing taken out but the seed itself."""
    similarity = unit(vectors) @ unit(vectors).T
    np.fill_diagonal(similarity, -2.0)
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    label = np.array(labels)
    return float((label[nearest] == label[:, None]).mean())


def battery(vectors: Array, facts: Mapping[str, Sequence[str]]) -> dict[str, Scores]:
    """The three measurements on a prepared `eval` set.

    Parameters
    ----------
    vectors : ndarray, shape (pieces, dim)
    facts : mapping
        "source", "artist", "genre", "group" of each piece.
    """
    source = np.array(facts["source"])
    songs, tracks = np.flatnonzero(source == "emotify"), np.flatnonzero(source == "debian")

    def of(name: str, rows: NDArray[np.int64]) -> list[str]:
        return [facts[name][row] for row in rows]

    return {
        "emotify genre": retrieval(vectors[songs], of("genre", songs), without=of("artist", songs)),
        "emotify artist": retrieval(vectors[songs], of("artist", songs)),
        "soundtracks group": retrieval(vectors[tracks], of("group", tracks)),
        "soundtracks artist": retrieval(vectors[tracks], of("artist", tracks)),
    }


def line(name: str, scores: Mapping[str, Scores], *, intervals: bool = False) -> str:
    """One row of a table: P@1 / P@5 / mAP of each measurement."""
    cells = []
    for measured in scores.values():
        numbers = [f"{value:.3f}" for value in measured.means]
        if intervals:
            low, high = measured.interval()
            numbers = [f"{n} ({a:.3f}-{b:.3f})" for n, a, b in zip(numbers, low, high, strict=True)]
        cells.append(" / ".join(numbers))
    return f"| {name} | " + " | ".join(cells) + " |"
