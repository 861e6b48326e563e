"""Cross-validation folds over items, each group (artist) on one side only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.model_selection import GroupKFold, KFold

from recommender.cold_start.validation import names_per_row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Fold = tuple[NDArray[np.int64], NDArray[np.int64]]

CHOOSING_ITEMS = 20_000
"""Most items that kind and strength of a map are chosen on, drawn at random."""


def group_numbers(groups: Sequence[object] | NDArray[Any] | None, count: int) -> NDArray[np.int64]:
    """A number for each item's group; an item without a group has one of its own."""
    numbers: dict[object, int] = {}
    return np.array(
        [
            numbers.setdefault(("alone", row) if name is None else name, len(numbers))
            for row, name in enumerate(names_per_row("groups", groups, count))
        ],
        dtype=np.int64,
    )


def split_by_group(labels: NDArray[np.int64], count: int, seed: int) -> list[Fold]:
    """Rows to train and to test on, for each of `count` folds; no folds where all is one group."""
    groups = len(np.unique(labels))
    if groups < 2:
        return []
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(len(labels))[:CHOOSING_ITEMS])
    some = labels[rows]
    count = min(count, len(np.unique(some)))
    if groups == len(labels):
        split = KFold(count, shuffle=True, random_state=seed).split(some)
    else:
        split = GroupKFold(count, shuffle=True, random_state=seed).split(some, groups=some)
    return [(rows[train], rows[test]) for train, test in split]
