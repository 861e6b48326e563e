"""Answers of one query, and the best of them in the one order that all kinds of lists share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class SearchResult:
    """Ids (int64) and scores (float32) of one query, both (k,), best first, equal ones by id."""

    ids: NDArray[np.int64]
    scores: NDArray[np.float32]


NOTHING = SearchResult(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))


def best_of(ids: NDArray[np.int64], scores: NDArray[np.float32], k: int) -> SearchResult:
    """The k best of vectors with these ids and scores, (n,); fewer only if fewer there are."""
    order = np.lexsort((ids, -scores))[:k]
    return SearchResult(ids[order], scores[order])


def merged(results: Sequence[SearchResult], k: int) -> SearchResult:
    """The k best of several results that have no id in common."""
    if len(results) == 1 and len(results[0].ids) <= k:
        return results[0]
    return best_of(
        np.concatenate([one.ids for one in results]),
        np.concatenate([one.scores for one in results]),
        k,
    )
