"""Confusion matrix of a classifier: how many tracks of each genre were predicted as which.

Accuracy is the share of tracks predicted as what they are; balanced accuracy is the mean over the
genres of the share of each one's tracks (its recall), so that a genre of few tracks counts as much
as one of many. Chance has a balanced accuracy of 1/genres.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Confusion:
    """Counts of tracks by actual and predicted genre.

    Attributes
    ----------
    genres : tuple of str
    counts : tuple of tuples of int
        `counts[i][j]` tracks of genre i were predicted as genre j.
    """

    genres: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    @classmethod
    def of(
        cls, genres: Sequence[str], actual: NDArray[np.int64], predicted: NDArray[np.int64]
    ) -> Confusion:
        """Confusion of tracks (tracks,) by the indices of their actual and predicted genres."""
        table = np.zeros((len(genres), len(genres)), dtype=np.int64)
        np.add.at(table, (actual, predicted), 1)
        return cls(tuple(genres), tuple(map(tuple, table.tolist())))

    @property
    def table(self) -> NDArray[np.int64]:
        """The counts as an array (genres, genres)."""
        return np.array(self.counts, dtype=np.int64).reshape(len(self.genres), len(self.genres))

    @property
    def accuracy(self) -> float:
        """Share of the tracks whose predicted genre is their own."""
        return float(self.table.trace() / max(1, self.table.sum()))

    @property
    def recall(self) -> NDArray[np.float64]:
        """Share of each genre's tracks predicted as it; NaN for a genre without tracks."""
        return _shares(self.table.diagonal(), self.table.sum(axis=1))

    @property
    def precision(self) -> NDArray[np.float64]:
        """Share of the tracks predicted as each genre that are of it; NaN where there are none."""
        return _shares(self.table.diagonal(), self.table.sum(axis=0))

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall of the genres."""
        return float(np.nanmean(self.recall))

    @property
    def macro_f1(self) -> float:
        """Mean over the genres of the harmonic mean of precision and recall."""
        both = self.table.sum(axis=0) + self.table.sum(axis=1)
        return float(np.nanmean(_shares(2 * self.table.diagonal(), both)))

    @property
    def commonest(self) -> float:
        """Share of the commonest genre: the accuracy of always predicting it."""
        return float(self.table.sum(axis=1).max() / max(1, self.table.sum()))

    def pairs(self) -> list[tuple[str, str, int]]:
        """Actual and predicted genre of the mistakes with their counts, commonest first."""
        wrong = [
            (self.genres[row], self.genres[column], int(count))
            for (row, column), count in np.ndenumerate(self.table)
            if row != column and count
        ]
        return sorted(wrong, key=lambda pair: -pair[2])

    def rows(self) -> list[list[object]]:
        """The matrix for a table on a screen: genre, counts, recall."""
        return [
            [genre, *(count or "." for count in counts), f"{recall:.2f}"]
            for genre, counts, recall in zip(self.genres, self.counts, self.recall, strict=True)
        ]

    def to_json(self) -> dict[str, Any]:
        """Genres and counts as plain values."""
        return {"genres": list(self.genres), "counts": [list(row) for row in self.counts]}


def _shares(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    shares = np.full(len(whole), np.nan)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares
