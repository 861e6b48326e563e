"""Tags that are characteristic of a group of tracks, compared with the whole library.

A tag has a mean probability p in the group and q in the library; its lift is p/q. Tags are ordered
by p log(p/q), their part in the divergence of the group from the library (Kullback & Leibler 1951):
neither a tag that is strong everywhere nor one that is faint everywhere ranks high.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from recommender.engine import Recommender

_FEELINGS = ("happy", "sad", "tender", "exciting", "angry", "scary", "funny")
MOODS = frozenset(
    {*_FEELINGS, *(f"{feeling} music" for feeling in _FEELINGS)}
    | {"mellow", "chill", "chillout", "easy listening", "relaxing", "calm", "soft", "quiet"}
    | {"catchy", "beautiful", "sexy", "party", "slow", "fast", "loud"}
)
"""Tags, in lower case, of moods rather than of genres and instruments."""

MIN_PROBABILITY = 0.01
MIN_LIFT = 1.2
"""Tags that are fainter in the group, or hardly stronger than in the library, are left out."""
_LEAST = 1e-6
_BLOCK = 10_000


@dataclass(frozen=True)
class GroupTag:
    """A tag of a group of tracks, with its strength.

    Attributes
    ----------
    probability : float
        Mean over the tracks of the group.
    lift : float
        How many times the mean over the library.
    """

    tag: str
    probability: float
    lift: float

    @property
    def is_mood(self) -> bool:
        """Whether the tag is of a mood."""
        return self.tag.casefold() in MOODS


def characteristic_tags(
    mean: NDArray[np.floating], background: NDArray[np.floating], tag_names: Sequence[str]
) -> list[GroupTag]:
    """The tags that are stronger in a group than in the library, most characteristic first.

    Parameters
    ----------
    mean, background : ndarray, shape (tags,)
        Mean probability of each tag over the group, and over the library: see `mean_tags`.
    """
    lift = np.maximum(mean, _LEAST) / np.maximum(background, _LEAST)
    part = mean * np.log(lift)
    strong = (mean >= MIN_PROBABILITY) & (lift >= MIN_LIFT)
    order = [number for number in np.argsort(-part, kind="stable") if strong[number]]
    return [
        GroupTag(tag_names[number], round(float(mean[number]), 4), round(float(lift[number]), 2))
        for number in order
    ]


def library_tags(recommender: Recommender) -> NDArray[np.float64]:
    """Mean probability of each tag over the tracks of the library, (tags,)."""
    return mean_tags(recommender, recommender.ids())


def mean_tags(recommender: Recommender, ids: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean probability of each tag over some tracks, (tags,); zeros of none."""
    total = np.zeros(len(recommender.model.tag_names), dtype=np.float64)
    known = 0
    for start in range(0, len(ids), _BLOCK):
        rows = recommender.activations(ids[start : start + _BLOCK])
        total += np.nansum(rows, axis=0, dtype=np.float64)
        known += int(np.isfinite(rows).all(axis=1).sum())
    return total / max(1, known)
