"""Play history of a station, so that no recording comes twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recommender.retrieval.names import artist_of
from recommender.retrieval.near_duplicates import TrackFacts, is_near_duplicate, lowest_threshold
from recommender.retrieval.seeds import Seed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from indexer.catalog.records import Track

_FIRST_ROWS = 64


class PlayHistory:
    """Tracks in the order they were played, the seed before all of them.

    Attributes
    ----------
    ids : set of int
        The seed's is among them, if it is a track.
    """

    def __init__(self, seed: Seed) -> None:
        self.ids: set[int] = set()
        self._vectors = np.empty((_FIRST_ROWS, len(seed.vector)), np.float32)
        self._played: list[Track | Seed] = []
        self._last_row: dict[str, int] = {}  # by artist
        self._add(seed if seed.track is None else seed.track, seed.vector)

    def __len__(self) -> int:
        """How many tracks have been played, without the seed."""
        return len(self._played) - 1

    def add(self, track: Track, vector: NDArray[np.float32]) -> None:
        """Append a track with a vector (dim,)."""
        self._add(track, vector)

    def _add(self, one: Track | Seed, vector: NDArray[np.float32]) -> None:
        row = len(self._played)
        if row == len(self._vectors):
            self._vectors = np.concatenate([self._vectors, np.empty_like(self._vectors)])
        self._vectors[row] = vector
        self._played.append(one)
        if not isinstance(one, Seed):
            self.ids.add(one.id)
            artist = artist_of(one)
            if artist is not None:
                self._last_row[artist] = row

    @property
    def last(self) -> NDArray[np.float32] | None:
        """The vector (dim,) of the track played last; None before the first."""
        return self._vectors[len(self)] if len(self) else None

    def latest(self, count: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Id and vector of the last `count` tracks, newest first, without the seed."""
        for row in range(len(self), max(0, len(self) - count), -1):
            track = self._played[row]
            if not isinstance(track, Seed):
                yield track.id, self._vectors[row]

    def since(self, artist: str | None) -> float:
        """How many tracks have been played since one by an artist; infinity if none was."""
        if artist is None or artist not in self._last_row:
            return np.inf
        return len(self) - self._last_row[artist]

    def holds(
        self, track: Track, vector: NDArray[np.float32], *, median_random_cosine: float
    ) -> bool:
        """Whether a track, or a near-duplicate of it, has been played."""
        cosines = self._vectors[: len(self._played)] @ vector
        (near,) = np.nonzero(cosines >= lowest_threshold(median_random_cosine))
        facts = TrackFacts.of([*(self._played[row] for row in near.tolist()), track])
        same = is_near_duplicate(
            cosines[near],
            facts.at(slice(-1)),
            facts.at(-1),
            median_random_cosine=median_random_cosine,
        )
        return bool(same.any())
