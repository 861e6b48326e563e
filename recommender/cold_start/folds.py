"""Parts of the items to learn from and to test on, artists kept together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.model_selection import GroupKFold, KFold

from recommender.cold_start.validation import name_each

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Fold = tuple[NDArray[np.int64], NDArray[np.int64]]

CHOOSING_ITEMS = 20_000
"""Kind and strength of a map are chosen on so many items at most, drawn at random."""


def numbered(groups: Sequence[object] | NDArray[Any] | None, count: int) -> NDArray[np.int64]:
    """A number for each group; items of no group have numbers of their own."""
    numbers: dict[object, int] = {}
    return np.array(
        [
            numbers.setdefault(("alone", place) if name is None else name, len(numbers))
            for place, name in enumerate(name_each("groups", groups, count))
        ],
        dtype=np.int64,
    )


def splits(labels: NDArray[np.int64], count: int, seed: int) -> list[Fold]:
    """Places to learn from and to test on, by group number; none where there is one group."""
    groups = len(np.unique(labels))
    if groups < 2:
        return []
    rng = np.random.default_rng(seed)
    places = np.sort(rng.permutation(len(labels))[:CHOOSING_ITEMS])
    some = labels[places]
    count = min(count, len(np.unique(some)))
    if groups == len(labels):
        split = KFold(count, shuffle=True, random_state=seed).split(some)
    else:
        split = GroupKFold(count, shuffle=True, random_state=seed).split(some, groups=some)
    return [(places[train], places[test]) for train, test in split]
