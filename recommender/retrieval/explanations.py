"""Why a track is an answer: what it has in common with what was liked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from indexer.features.key import parse_musical_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from indexer.features.descriptors import Descriptors

SHARED_TAGS = 3
"""Tags named at most."""
LEAST_TAG = 0.1
"""Probability that a tag must have in both."""
SAME_TEMPO = 0.04
"""Tempi no further apart than this part are one: the tolerance of MIREX's tempo task."""
LEAST_CONFIDENCE = 0.3
"""Tempi and keys of less confidence are no reasons."""


def shared_tags(
    one: NDArray[np.float32],
    other: NDArray[np.float32],
    mean_activations: NDArray[np.float32],
    tag_names: Sequence[str],
) -> tuple[str, ...]:
    """Tags that two tracks have and most tracks have not, the most telling first.

    With p the smaller of the two probabilities and q the library's mean, by p log(p/q) as far as
    it is above 0: a tag that every track has says nothing of two.

    Parameters
    ----------
    one, other, usual : float32 (tags,)
        Probabilities of the two tracks, NaN where unknown, and their means over the library.
    """
    both = np.nan_to_num(np.minimum(one, other))
    telling = both * np.log(np.maximum(both, 1e-6) / np.maximum(mean_activations, 1e-6))
    telling[both < LEAST_TAG] = 0.0
    order = np.argsort(-telling, kind="stable")[:SHARED_TAGS]
    return tuple(tag_names[place] for place in order.tolist() if telling[place] > 0)


def shared_tempo(one: Descriptors, other: Descriptors) -> float | None:
    """The tempo of the other, if it is that of the first one too."""
    if one.tempo_bpm is None or other.tempo_bpm is None:
        return None
    sure = min(one.tempo_confidence, other.tempo_confidence) >= LEAST_CONFIDENCE
    near = abs(one.tempo_bpm - other.tempo_bpm) <= SAME_TEMPO * one.tempo_bpm
    return other.tempo_bpm if sure and near else None


def shared_musical_key(one: Descriptors, other: Descriptors) -> str | None:
    """The key of both, if they have one."""
    if one.musical_key is None or other.musical_key is None:
        return None
    sure = min(one.key_confidence, other.key_confidence) >= LEAST_CONFIDENCE
    return (
        other.musical_key
        if sure and parse_musical_key(one.musical_key) == parse_musical_key(other.musical_key)
        else None
    )
