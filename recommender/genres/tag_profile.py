"""What sets a group of tracks apart in the words of the model: its tags against the library's.

A tag speaks for a group by its mean probability p in it, and by its lift p/q over the mean q of the
whole library. They are put in order by p log(p/q), the tag's part in the divergence of the group
from the library (Kullback & Leibler 1951): a tag that is strong everywhere says nothing, nor does
one that is ten times next to nothing.
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
"""Tags, in lower case, that say how music feels rather than what it is."""

MIN_PROBABILITY = 0.01
MIN_LIFT = 1.2
"""A tag that is fainter in the group, or hardly stronger than in the library, tells nothing."""
_LEAST = 1e-6
_AT_A_TIME = 10_000


@dataclass(frozen=True)
class GroupTag:
    """A tag of a group of tracks.

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
        """Whether the tag says how music feels."""
        return self.tag.casefold() in MOODS


def telling_tags(
    activations: NDArray[np.float32], background: NDArray[np.floating], tag_names: Sequence[str]
) -> list[GroupTag]:
    """The tags that are stronger in a group than in the library, most telling first.

    Parameters
    ----------
    activations : ndarray, shape (tracks, tags)
        Of the group.
    background : ndarray, shape (tags,)
        Mean over the library.
    """
    if len(activations) == 0:
        return []
    mean = np.asarray(np.nanmean(activations, axis=0, dtype=np.float64))
    lift = np.maximum(mean, _LEAST) / np.maximum(background, _LEAST)
    part = mean * np.log(lift)
    telling = (mean >= MIN_PROBABILITY) & (lift >= MIN_LIFT)
    order = [place for place in np.argsort(-part, kind="stable") if telling[place]]
    return [
        GroupTag(tag_names[place], round(float(mean[place]), 4), round(float(lift[place]), 2))
        for place in order
    ]


def library_tags(recommender: Recommender) -> NDArray[np.float64]:
    """Mean probability of each tag over the tracks of the library, (tags,)."""
    ids = recommender.ids()
    total = np.zeros(len(recommender.model.tag_names), dtype=np.float64)
    for start in range(0, len(ids), _AT_A_TIME):
        rows = recommender.activations(ids[start : start + _AT_A_TIME])
        total += np.nansum(rows, axis=0, dtype=np.float64)
    return total / max(1, len(ids))
