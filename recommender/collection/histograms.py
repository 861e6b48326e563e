"""How many tracks there are of each kind, or between one value and the next."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Bars:
    """How many tracks there are of each kind, the commonest first.

    Attributes
    ----------
    rest : tuple of int
        Kinds that are not among them, and their tracks.
    """

    counts: tuple[tuple[str, int], ...]
    rest: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Histogram:
    """Counts between edges, one fewer than edges; `unknown` tracks have no value."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    median: float | None
    unknown: int


def bars(labels: Iterable[str] | Mapping[str, int], most: int) -> Bars:
    """The `most` commonest labels and how many of each there are, counted already or not."""
    counted = Counter(labels).most_common()
    left = counted[most:]
    return Bars(tuple(counted[:most]), (len(left), sum(count for _, count in left)))


def durations(seconds: Sequence[float]) -> Histogram:
    """Lengths in steps that suit the library: fine for clips, minutes for songs."""
    longest = float(np.percentile(seconds, 99))
    step = next((step for step in (1, 5, 10, 30, 60, 300) if longest / step <= 24), 600)
    top = step * (int(longest / step) + 1)
    edges = np.arange(0.0, min(top, 40 * step) + step, step)
    return histogram(list(seconds), edges)


def years(named: Sequence[int | None]) -> Histogram:
    """In steps of one year to fifty, as many as they span."""
    # A year of 0 or 9999 is a slip of the tagger's.
    sane = [year if year is not None and 1000 <= year <= 3000 else None for year in named]
    known = [year for year in sane if year is not None]
    first, last = (min(known), max(known)) if known else (2000, 2009)
    step = next((step for step in (1, 5, 10) if (last - first) / step <= 24), 50)
    edges = np.arange(first // step * step, last // step * step + step + 1, step, dtype=np.float64)
    return histogram(sane, edges)


def histogram(values: Sequence[float | None], edges: NDArray[np.float64]) -> Histogram:
    """Values between edges; what lies beyond the last or first counts for the step there."""
    known = np.array([value for value in values if value is not None], dtype=np.float64)
    inside = np.clip(known, edges[0], np.nextafter(edges[-1], -np.inf))
    counts, _ = np.histogram(inside, edges)
    return Histogram(
        tuple(edges.tolist()),
        tuple(counts.tolist()),
        float(np.median(known)) if len(known) else None,
        len(values) - len(known),
    )
