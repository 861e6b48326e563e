"""How alike songs are, as players want it: a number from 0 to 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recommender.engine import Recommender


def similarities(recommender: Recommender, cosines: Sequence[float]) -> list[float]:
    """Scores of cosines; in a library of too few pairs the cosines themselves, from 0 on."""
    known = np.asarray(cosines, np.float64)
    scores = recommender.scores(known) if len(known) else known
    found: list[float] = np.where(np.isnan(scores), np.clip(known, 0.0, 1.0), scores).tolist()
    return found
