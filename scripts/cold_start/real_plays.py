"""How well methods find the users of cold items on real plays, with intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from evaluation.tables import Figure, Table

from cold_start.methods import METHODS, PEERS, Split, split
from recommender.cold_start.ranking_quality import ndcg, recall
from recommender.evaluation.metrics import interval

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cold_start.datasets import Dataset

    Values = NDArray[np.float64]

MEASURES = ("recall@20", "nDCG@20", "recall@20 among all", "nDCG@20 among all")


def measure(scores: NDArray[np.float32], of: Split) -> Values:
    """Measures (asked, 4) of cold items, ranked among cold items and among all not played yet."""
    relevant = of.data.plays[of.asked][:, of.cold].tocsr()
    cold = scores[:, of.cold]
    every = np.hstack([cold, scores[:, of.warm]])
    known = of.plays[of.asked].nonzero()
    every[known[0], known[1] + len(of.cold)] = -np.inf
    return np.stack(
        [kind(part, relevant) for part in (cold, every) for kind in (recall, ndcg)], axis=1
    )


def run(
    data: Dataset,
    names: Sequence[str],
    *,
    seeds: int,
    by_artist: bool,
    factors: int,
    alpha: float,
    cache: Path | None,
    report: Callable[[str], None],
) -> dict[str, Values]:
    """Measures (seeds, users, 4) of each method, NaN where a user was not asked.

    Parameters
    ----------
    cache : Path, optional
        A folder: what is there already is not measured again.
    """
    shape = (seeds, data.plays.shape[0], len(MEASURES))
    found = {name: np.full(shape, np.nan) for name in names}
    for seed in range(seeds):
        part = split(data, by_artist=by_artist, factors=factors, alpha=alpha, seed=seed)
        for name in names:
            key = f"{data.fingerprint}-{'artist' if by_artist else 'item'}-{factors}-{alpha:g}"
            path = cache / f"{key}-{seed}-{name}.npy" if cache else None
            if path is not None and path.exists():
                values = np.load(path)
            else:
                values = measure(METHODS[name](part), part)
                if path is not None:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    np.save(path, values)
            found[name][seed, part.asked] = values
            report(f"seed {seed}, {name}: {values[:, 0].mean():.3f} / {values[:, 1].mean():.3f}")
    return found


def tables(data: Dataset, found: dict[str, Values]) -> list[Table]:
    """The measures of each method, and the differences of the default to the others.

    Intervals are of a bootstrap over users, each with all of its seeds.
    """
    rows = tuple((name, _figures(values)) for name, values in found.items())
    shape = data.plays.shape
    size = f"{shape[0]:,} users, {shape[1]:,} items, {data.plays.nnz:,} plays"
    shown = [Table(f"{data.name}: cold items", MEASURES, rows, f"{size}; intervals of 95 %.")]
    peers = [name for name in found if name in PEERS]
    if "default" in found:
        others = [*(n for n in ("content cosine", "ridge on the plays") if n in found), *peers]
        rows = tuple((name, _figures(found["default"] - found[name])) for name in others)
        shown.append(Table(f"{data.name}: default less the others", MEASURES, rows))
    return shown


def _figures(values: Values) -> tuple[Figure, ...]:
    """The mean over seeds and users, with an interval over users."""
    there = ~np.isnan(values).any(2)
    totals = np.nansum(values, axis=0)[there.any(0)]
    # Rows whose mean is that over all: a user counts as often as it was asked.
    by_user = totals * (len(totals) / there.sum())
    low, high = interval(by_user)
    return tuple(
        Figure(*(round(float(one), 4) for one in column))
        for column in zip(by_user.mean(0), low, high, strict=True)
    )
