"""Why a track is an answer: tags, tempo, musical key and windows it has in common with a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from indexer.features.key import parse_musical_key
from recommender.retrieval.answers import Explanation, MatchingWindows, WordShift
from recommender.retrieval.seeds import descriptors_of
from recommender.retrieval.words.steering import steering_label, word_shifts
from recommender.retrieval.words.word_fit import reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from indexer.analysis.window_embeddings import WindowEmbeddings
    from indexer.catalog.records import Track
    from indexer.features.descriptors import Descriptors
    from recommender.retrieval.seeds import QueryProfile, Seed
    from recommender.retrieval.snapshot import Snapshot
    from recommender.retrieval.words.vocabulary import Word

SHARED_TAGS = 3
"""Tags named at most."""
LEAST_TAG = 0.1
"""Probability that a tag must have in both."""
SAME_TEMPO = 0.04
"""Tempi no further apart than this part are one: the tolerance of MIREX's tempo task."""
LEAST_CONFIDENCE = 0.3
"""Tempi and keys of less confidence are no reasons."""


def explain(
    snapshot: Snapshot,
    profile: QueryProfile,
    tracks: Sequence[Track],
    seed_cosines: NDArray[np.float32],
) -> list[Explanation]:
    """What each track has in common with its nearest liked seed.

    Parameters
    ----------
    seed_cosines : float32 (tracks, liked)
    """
    if not tracks:
        return []
    activations = snapshot.catalog.activations_of([track.id for track in tracks], snapshot.model)
    nearest = [profile.liked[column] for column in seed_cosines.argmax(axis=1).tolist()]
    return [
        _explain_one(snapshot, seed, track, row, name_seed=len(profile.liked) > 1)
        for seed, track, row in zip(nearest, tracks, activations, strict=True)
    ]


def explain_words(
    snapshot: Snapshot,
    words: Sequence[Word],
    tracks: Sequence[Track],
    percentiles: NDArray[np.float64],
    moved: NDArray[np.int64] | None = None,
) -> list[tuple[WordShift, ...]]:
    """What each word does to each track, and why.

    Parameters
    ----------
    percentiles : float64 (tracks, words)
    moved : int64 (tracks, words), optional
        By how many places each word moves each track up.
    """
    activations = snapshot.catalog.activations_of([track.id for track in tracks], snapshot.model)
    shifts = word_shifts(percentiles, median_random_cosine=snapshot.median_random_cosine)
    return [
        tuple(
            WordShift(
                steering_label(word),
                round(float(percentiles[row, column]), 4),
                reason(word, track, activations[row], snapshot.model.tag_names),
                round(float(shifts[row, column]), 6),
                None if moved is None else int(moved[row, column]),
            )
            for column, word in enumerate(words)
        )
        for row, track in enumerate(tracks)
    ]


def _explain_one(
    snapshot: Snapshot,
    seed: Seed,
    track: Track,
    activations: NDArray[np.float32],
    *,
    name_seed: bool,
) -> Explanation:
    of_seed = seed.activations
    if of_seed is None and seed.track is not None:
        (of_seed,) = snapshot.catalog.activations_of([seed.track.id], snapshot.model)
    tags: tuple[str, ...] = ()
    if of_seed is not None:
        names = snapshot.model.tag_names
        tags = shared_tags(of_seed, activations, snapshot.mean_activations, names)
    tempo, musical_key = None, None
    if seed.descriptors is not None:
        of_track = descriptors_of(track)
        tempo = shared_tempo(seed.descriptors, of_track)
        musical_key = shared_musical_key(seed.descriptors, of_track)
    return Explanation(seed.label if name_seed else None, tags, tempo, musical_key)


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
    one, other : float32 (tags,)
        Activations of the two tracks; NaN where unknown.
    mean_activations : float32 (tags,)
        Over the library.
    """
    both = np.nan_to_num(np.minimum(one, other))
    telling = both * np.log(np.maximum(both, 1e-6) / np.maximum(mean_activations, 1e-6))
    telling[both < LEAST_TAG] = 0.0
    order = np.argsort(-telling, kind="stable")[:SHARED_TAGS]
    return tuple(tag_names[column] for column in order.tolist() if telling[column] > 0)


def shared_tempo(one: Descriptors, other: Descriptors) -> float | None:
    """Tempo of the other in beats a minute if it is that of the first one too, else None."""
    if one.tempo_bpm is None or other.tempo_bpm is None:
        return None
    sure = min(one.tempo_confidence, other.tempo_confidence) >= LEAST_CONFIDENCE
    near = abs(one.tempo_bpm - other.tempo_bpm) <= SAME_TEMPO * one.tempo_bpm
    return other.tempo_bpm if sure and near else None


def shared_musical_key(one: Descriptors, other: Descriptors) -> str | None:
    """The musical key of both, if it is one, else None."""
    if one.musical_key is None or other.musical_key is None:
        return None
    sure = min(one.key_confidence, other.key_confidence) >= LEAST_CONFIDENCE
    return (
        other.musical_key
        if sure and parse_musical_key(one.musical_key) == parse_musical_key(other.musical_key)
        else None
    )


def best_matching_windows(first: WindowEmbeddings, second: WindowEmbeddings) -> MatchingWindows:
    """The window of each of two files whose embeddings have the largest cosine."""
    (best,) = matching_windows(
        first.vectors @ second.vectors.T,
        first.starts_s,
        second.starts_s,
        length_s=first.length_s,
        count=1,
    )
    return best


def matching_windows(
    cosines: NDArray[np.floating],
    first_s: NDArray[np.float64],
    second_s: NDArray[np.float64],
    *,
    length_s: float,
    count: int,
) -> tuple[MatchingWindows, ...]:
    """Up to `count` pairs of windows that are most alike, none overlapping with a better one's.

    Parameters
    ----------
    cosines : (a, b), NaN where there is nothing to compare
    first_s, second_s : float64 (a,), (b,)
        Where the windows begin, in seconds.
    """
    left = np.where(np.isnan(cosines), -np.inf, cosines).astype(np.float64)
    pairs: list[MatchingWindows] = []
    while len(pairs) < count and left.size and np.isfinite(left.max()):
        row, column = np.unravel_index(int(left.argmax()), left.shape)
        at, there = float(first_s[row]), float(second_s[column])
        cosine = min(1.0, float(cosines[row, column]))
        pairs.append(MatchingWindows(round(at, 3), round(there, 3), length_s, round(cosine, 4)))
        left[np.abs(first_s - at) < length_s] = -np.inf
        left[:, np.abs(second_s - there) < length_s] = -np.inf
    return tuple(pairs)
