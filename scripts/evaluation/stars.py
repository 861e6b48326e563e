"""Stars, measured on real plays: does a radio that they steer hold more of what a listener plays?

Each listener's items are divided at random: one is the seed of a radio, half of the others are
starred, and what is looked for is the rest. Stars themselves are no answers here. Listeners are
halved: one half chooses the settings, the other is what is reported.

The rule: a radio stays one of its seed. Of the settings whose answers keep at least `KEPT` of the
cosine with the seed that answers without stars have, those within one standard error of the most
hits (of the paired difference; Breiman et al. 1984); of these the one with the fewest stars, then
the least pull, then the highest least score.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from evaluation.tables import Cell, Figure, Table
from indexer.errors import QueryError
from recommender.evaluation.metrics import interval
from recommender.retrieval.leaning import LEAST_SCORE, MOST, near_rows
from recommender.retrieval.library_statistics import Percentiles
from recommender.retrieval.seeds import PULL, pull_toward

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cold_start.datasets import Dataset
    from numpy.typing import NDArray

FIRST = 20
"""Answers that are looked at."""
FEWEST = 12
"""Items that a listener has played at least."""
KEPT = 0.95
STARS = (1, 3, 5, 10, 20)
PULLS = (0.125, 0.25, 0.5, 0.75, 1.0, 1.5)
LEAST_SCORES = (0.95, 0.9, 0.8, 0.5)


@dataclass(frozen=True, order=True)
class Setting:
    """How stars steer; the rule takes the first in order of those that do equally well."""

    stars: int
    pull: float
    most_distant: float
    """One minus the least score."""

    @property
    def least_score(self) -> float:
        """Share of random pairs that are less alike than the seed and a star that counts."""
        return round(1 - self.most_distant, 6)

    def __str__(self) -> str:
        return f"{self.stars} stars, pull {self.pull:g}, score {self.least_score:g}"


IN_USE = Setting(MOST, PULL, round(1 - LEAST_SCORE, 6))
SETTINGS = tuple(
    Setting(stars, pull, round(1 - least, 6))
    for stars, pull, least in product(STARS, PULLS, LEAST_SCORES)
)


@dataclass(frozen=True, eq=False)
class Listener:
    """Rows of items: where a radio starts, what is starred, and what is looked for."""

    seed: int
    starred: NDArray[np.int64]
    wanted: NDArray[np.int64]


def measure_stars(data: Dataset, *, seed: int) -> list[Table]:
    """Choose the settings on one half of the listeners, and measure radios on the other.

    Parameters
    ----------
    seed : int
        Of the halves, of what is starred and of the bootstrap.

    Raises
    ------
    QueryError
        There are too few listeners.
    """
    listeners = _draw_listeners(data, seed=seed)
    if len(listeners) < 2 * FIRST:
        raise QueryError(f"{data.name} has too few users who have played {FEWEST} items")
    percentiles = Percentiles.from_vectors(data.vectors, random_state=seed)
    one, other = listeners[::2], listeners[1::2]
    return [
        _choose(data.vectors, percentiles, one),
        _report(data.vectors, percentiles, other, seed=seed),
    ]


def _draw_listeners(data: Dataset, *, seed: int) -> list[Listener]:
    rng = np.random.default_rng(seed)
    plays = data.plays
    found = []
    for user in rng.permutation(plays.shape[0]).tolist():
        items = plays.indices[plays.indptr[user] : plays.indptr[user + 1]]
        if len(items) >= FEWEST:
            first, *rest = rng.permutation(items.astype(np.int64)).tolist()
            half = len(rest) // 2
            found.append(Listener(first, np.array(rest[:half]), np.array(rest[half:])))
    return found


def _choose(
    vectors: NDArray[np.float32], percentiles: Percentiles, listeners: Sequence[Listener]
) -> Table:
    """Hits and nearness to the seed of each setting, and the setting that the rule takes."""
    plain = _radios(vectors, percentiles, listeners, None)
    by_setting = {one: _radios(vectors, percentiles, listeners, one) for one in SETTINGS}
    kept = {one: of[:, 1].mean() / plain[:, 1].mean() for one, of in by_setting.items()}
    stays = [one for one in SETTINGS if kept[one] >= KEPT]
    best = max(stays, key=lambda one: by_setting[one][:, 0].mean())
    good = [one for one in stays if _is_as_good(by_setting[one][:, 0], by_setting[best][:, 0])]
    chosen = min(good)
    cells: list[tuple[str, tuple[Cell, ...]]] = [
        (str(one), (Figure(float(by_setting[one][:, 0].mean())), Figure(float(kept[one]))))
        for one in sorted(by_setting, key=lambda one: -by_setting[one][:, 0].mean())
    ]
    return Table(
        "How stars steer, on the half of the listeners that chooses",
        (f"hits @{FIRST}", "cosine with the seed, kept"),
        (("no stars", (Figure(float(plain[:, 0].mean())), Figure(1.0))), *cells),
        f"{len(listeners)} listeners. Of those that keep {KEPT:g}, most hits: {best}; "
        f"the rule takes {chosen}; in use is {IN_USE}.",
    )


def _is_as_good(hits: NDArray[np.float64], best: NDArray[np.float64]) -> bool:
    """Whether hits are within one standard error of the best ones, of the same listeners."""
    lost = best - hits
    return float(lost.mean()) <= float(lost.std(ddof=1)) / len(lost) ** 0.5


def _report(
    vectors: NDArray[np.float32],
    percentiles: Percentiles,
    listeners: Sequence[Listener],
    *,
    seed: int,
) -> Table:
    """What a radio without stars answers, one with them, and the difference."""
    plain, steered = (_radios(vectors, percentiles, listeners, one) for one in (None, IN_USE))
    return Table(
        "Radios, on the other half of the listeners",
        (f"hits @{FIRST}", "cosine with the seed"),
        (
            ("no stars", _figures(plain, seed=seed)),
            (str(IN_USE), _figures(steered, seed=seed)),
            ("difference", _figures(steered - plain, seed=seed)),
        ),
        f"{len(listeners)} listeners; hits are shares of what they play besides, or of {FIRST}.",
    )


def _figures(values: NDArray[np.float64], *, seed: int) -> tuple[Figure, ...]:
    low, high = interval(values, random_state=seed)
    columns = zip(values.mean(axis=0).tolist(), low.tolist(), high.tolist(), strict=True)
    return tuple(Figure(*column) for column in columns)


def _radios(
    vectors: NDArray[np.float32],
    percentiles: Percentiles,
    listeners: Sequence[Listener],
    setting: Setting | None,
) -> NDArray[np.float64]:
    """Hits of each listener's radio and its mean cosine with the seed, (listeners, 2)."""
    found = np.empty((len(listeners), 2))
    for row, listener in enumerate(listeners):
        start = vectors[listener.seed]
        query = start if setting is None else _steer(vectors, percentiles, listener, setting)
        relevance = vectors @ query
        relevance[[listener.seed, *listener.starred.tolist()]] = -np.inf
        answers = np.argpartition(-relevance, FIRST)[:FIRST]
        hits = np.isin(answers, listener.wanted).sum() / min(FIRST, len(listener.wanted))
        found[row] = hits, (vectors[answers] @ start).mean()
    return found


def _steer(
    vectors: NDArray[np.float32], percentiles: Percentiles, listener: Listener, setting: Setting
) -> NDArray[np.float32]:
    """The query of a radio that stars steer, (dim,)."""
    start, stars = vectors[listener.seed], vectors[listener.starred]
    near = near_rows(stars @ start, percentiles, least_score=setting.least_score)
    if not len(near):
        return start
    toward = stars[near[: setting.stars]]
    return pull_toward(start[np.newaxis], toward, pull=setting.pull)[0]
