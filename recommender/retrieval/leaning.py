"""Which of a listener's likes and dislikes count for a radio: those that sound like its seeds.

A song that is disliked is no answer. Of the likes, and of the dislikes, the `MOST` nearest to the
mean of the seeds count that are more alike to it than nine of ten random pairs of the library: the
likes pull (`PULL` of `recommender.retrieval.seeds`), and the dislikes push away. What is liked or
disliked elsewhere in the library changes nothing.

How many likes count, how near and how much was chosen by `scripts/evaluate.py stars` on plays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.vectors.half_precision import inner_products
from indexer.vectors.unit_vectors import unit_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from recommender.retrieval.library_statistics import Percentiles
    from recommender.retrieval.snapshot import Snapshot

MOST = 20
"""Likes that count at most, and dislikes."""
LEAST_SCORE = 0.9
"""Share of random pairs that are less alike than a seed and what counts for it."""


@dataclass(frozen=True)
class Leaning:
    """What a radio starts from and how opinions steer it: ids of tracks.

    Attributes
    ----------
    seeds : tuple of int
        Without those that are disliked, unless all are.
    toward, away : tuple of int
        Likes and dislikes that count, the nearest first.
    """

    seeds: tuple[int, ...]
    toward: tuple[int, ...]
    away: tuple[int, ...]


def lean(
    snapshot: Snapshot, seeds: Sequence[int], liked: Collection[int], disliked: Collection[int]
) -> Leaning:
    """How likes and dislikes, of which some may have left the library, steer a radio.

    Raises
    ------
    UnknownTrack
        Of a seed.
    """
    kept = [one for one in seeds if one not in disliked] or list(seeds)
    vectors = snapshot.index.reconstruct(np.array(kept, np.int64))
    centre = unit_rows(vectors.mean(axis=0, keepdims=True))[0]
    if not centre.any():
        return Leaning(tuple(kept), (), ())
    # The same sound cannot be a seed and disliked, or pull both ways.
    of_seeds = _recordings(snapshot, kept)
    away = _nearest(snapshot, centre, disliked, of_seeds)
    toward = _nearest(snapshot, centre, liked, of_seeds | _recordings(snapshot, disliked))
    return Leaning(tuple(kept), toward, away)


def _nearest(
    snapshot: Snapshot, centre: NDArray[np.float32], ids: Collection[int], without: set[int]
) -> tuple[int, ...]:
    """Those of the ids that count, each recording once."""
    found = np.array(sorted(ids), np.int64)
    found = found[snapshot.index.holds(found)]
    if not len(found):
        return ()
    cosines = inner_products(snapshot.index.reconstruct(found), centre)
    found = found[near_rows(cosines, snapshot.percentiles)]
    chosen: dict[int, int] = {}
    tracks = snapshot.catalog.tracks(found.tolist())
    for track_id in found.tolist():
        recording = tracks[track_id].recording_id
        if recording not in without:
            chosen.setdefault(recording, track_id)
        if len(chosen) == MOST:
            break
    return tuple(chosen.values())


def near_rows(
    cosines: NDArray[np.float32], percentiles: Percentiles, *, least_score: float = LEAST_SCORE
) -> NDArray[np.int64]:
    """Rows of opinions near enough to count, the nearest first; equal ones as they are given.

    Parameters
    ----------
    cosines : float32 (opinions,)
        Of what is liked, or disliked, with the mean of the seeds.
    percentiles : Percentiles
        Of the library. In one of too few pairs there is nothing to compare with, and all count.
    """
    order = np.argsort(-cosines, kind="stable")
    return order[~(percentiles.percentile(cosines[order]) < least_score)]


def _recordings(snapshot: Snapshot, ids: Collection[int]) -> set[int]:
    return {track.recording_id for track in snapshot.catalog.tracks(ids).values()}
