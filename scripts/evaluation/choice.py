"""The rule by which a model is chosen: paired by query, artists drawn whole, no task may lose.

Candidates are compared one after the other with the one in place. A costlier one takes its place
only where the mean over the tasks of its difference is above zero with all of its 95 % interval; a
cheaper one where that interval is not wholly below zero. Either only if no task loses more than
`MOST_LOST`. The value of a query is the mean of its P@k and its average precision. The interval is
a bootstrap in which whole artists are drawn again, since songs of one artist are hits and misses
together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recommender.evaluation.metrics import Question, retrieval, same_for_all

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from recommender.evaluation.metrics import Scores, Similarity

    Array = NDArray[np.float64]

MOST_LOST = 0.01
DRAWS = 2000


@dataclass(frozen=True)
class Task:
    """One question asked of one development set.

    Attributes
    ----------
    name : str
    rows : int64 (tracks,)
        Its tracks among all files.
    labels, artists : tuple of str
        Of these tracks; a label of "" is none. A query's own artist is left out of its answers.
    k : int
        Of P@k.
    """

    name: str
    rows: NDArray[np.int64]
    labels: tuple[str, ...]
    artists: tuple[str, ...]
    k: int

    def scores(self, similarity: Similarity) -> Array:
        """P@k and average precision of each query, (queries, 2); of its tracks, by row."""
        return self._answers(similarity).values

    def among(self, present: NDArray[np.bool_]) -> Task:
        """The same question of those of its tracks that are present, (files,)."""
        kept = np.flatnonzero(present[self.rows])
        return Task(
            self.name,
            self.rows[kept],
            tuple(self.labels[row] for row in kept.tolist()),
            tuple(self.artists[row] for row in kept.tolist()),
            self.k,
        )

    def _answers(self, similarity: Similarity) -> Scores:
        question = Question(self.labels, without=self.artists)
        return retrieval(similarity, {self.name: question}, ks=(self.k,))[self.name]

    @property
    def queries(self) -> NDArray[np.int64]:
        """Rows, among its tracks, of those that have something to find, as in `scores`."""
        return self._answers(same_for_all(np.zeros(len(self.labels)))).seeds

    @property
    def query_artists(self) -> list[str]:
        """Artist of each query, in the order of `scores`; a track without one is alone."""
        return [self.artists[seed] or f"track {seed}" for seed in self.queries.tolist()]


@dataclass(frozen=True)
class Verdict:
    """Difference of a candidate to the one before it.

    Attributes
    ----------
    by_task : float64 (tasks,)
        Mean difference over the queries of each task.
    mean, low, high : float
        Of the mean over the tasks, with the 95 % interval.
    """

    by_task: Array
    mean: float
    low: float
    high: float

    def wins(self, *, is_cheaper: bool) -> bool:
        """Whether the candidate takes the place of the one before."""
        convinces = self.high >= 0 if is_cheaper else self.low > 0
        return convinces and bool((self.by_task >= -MOST_LOST).all())


def judge(
    tasks: Sequence[Task],
    before: Sequence[Array],
    candidate: Sequence[Array],
    *,
    random_state: int,
    draws: int = DRAWS,
) -> Verdict:
    """Compare a candidate with the one before it.

    Parameters
    ----------
    before, candidate : sequence of ndarray (queries, 2)
        `Task.scores` of each task.
    """
    rng = np.random.default_rng(random_state)
    by_task = np.empty(len(tasks))
    drawn = np.zeros(draws)
    for number, (task, old, new) in enumerate(zip(tasks, before, candidate, strict=True)):
        difference = (new - old).mean(1)
        by_task[number] = difference.mean()
        artists, owner = np.unique(task.query_artists, return_inverse=True)
        sums = np.bincount(owner, weights=difference)
        counts = np.bincount(owner)
        times = rng.multinomial(len(artists), np.full(len(artists), 1 / len(artists)), size=draws)
        drawn += (times @ sums) / (times @ counts)
    low, high = np.percentile(drawn / len(tasks), [2.5, 97.5])
    return Verdict(by_task, float(by_task.mean()), float(low), float(high))


def choose(
    tasks: Sequence[Task],
    scores: Mapping[str, Sequence[Array]],
    *,
    cheaper: bool,
    random_state: int,
) -> tuple[str, dict[str, Verdict | None]]:
    """Apply the rule.

    Parameters
    ----------
    scores : mapping of name to sequence of ndarray (queries, 2)
        `Task.scores` of each task, first those of the candidate in place.
    cheaper : bool
        Whether each candidate costs less than the one before it, or more.

    Returns
    -------
    winner : str
    verdicts : dict of name to Verdict
        Each against the one that was in place; None for the first.
    """
    winner, *others = scores
    verdicts: dict[str, Verdict | None] = {winner: None}
    for name in others:
        verdict = judge(tasks, scores[winner], scores[name], random_state=random_state)
        verdicts[name] = verdict
        if verdict.wins(is_cheaper=cheaper):
            winner = name
    return winner, verdicts
