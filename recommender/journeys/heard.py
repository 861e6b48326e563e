"""What a station has played: so that nothing comes twice, in whatever encoding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recommender.journeys.stop import artist_of
from recommender.lookup import same_name
from recommender.rerank import VERSION_COSINE, looks_same

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from indexer.catalog import Track
    from recommender.seeds import Seed

_FIRST_ROWS = 64


class Heard:
    """Tracks in the order they were heard, the seed before all of them.

    Attributes
    ----------
    ids : set of int
        The seed's is among them, if it is a track.
    """

    def __init__(self, seed: Seed) -> None:
        self.ids: set[int] = set()
        self._vectors = np.empty((_FIRST_ROWS, len(seed.vector)), np.float32)
        self._durations = np.full(_FIRST_ROWS, np.nan)
        self._tracks: list[Track | None] = []
        self._ago: dict[str, int] = {}  # by artist: how many had been heard then
        self._add(seed.track, seed.vector, seed.duration_s)

    def __len__(self) -> int:
        """How many tracks have been heard, without the seed."""
        return len(self._tracks) - 1

    def add(self, track: Track, vector: NDArray[np.float32]) -> None:
        """Note that a track with a vector (dim,) is heard now."""
        self._add(track, vector, track.duration_s)

    def _add(self, track: Track | None, vector: NDArray[np.float32], duration: float) -> None:
        row = len(self._tracks)
        if row == len(self._vectors):
            self._vectors = np.concatenate([self._vectors, np.empty_like(self._vectors)])
            self._durations = np.concatenate([self._durations, np.empty_like(self._durations)])
        self._vectors[row], self._durations[row] = vector, duration
        self._tracks.append(track)
        if track is not None:
            self.ids.add(track.id)
            artist = artist_of(track)
            if artist is not None:
                self._ago[artist] = row

    @property
    def last(self) -> NDArray[np.float32] | None:
        """The vector (dim,) of the track heard last; None before the first."""
        return self._vectors[len(self)] if len(self) else None

    def latest(self, count: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Id and vector of the tracks heard last, newest first, without the seed."""
        for row in range(len(self), max(0, len(self) - count), -1):
            track = self._tracks[row]
            if track is not None:
                yield track.id, self._vectors[row]

    def since(self, artist: str | None) -> float:
        """How many tracks have been heard since one by an artist; infinity if none was."""
        if artist is None or artist not in self._ago:
            return np.inf
        return len(self) - self._ago[artist]

    def holds(self, track: Track, vector: NDArray[np.float32]) -> bool:
        """Whether a track, or another encoding, cut or version of it, has been heard.

        Told as by `recommender.rerank.collapse`, without hearing them.
        """
        count = len(self._tracks)
        cosines = self._vectors[:count] @ vector
        (near,) = np.nonzero(cosines >= VERSION_COSINE)
        apart = np.abs(self._durations[near] - track.duration_s)
        title = same_name(track.artist, track.title)
        for row, same in zip(near.tolist(), looks_same(cosines[near], apart), strict=True):
            heard = self._tracks[row]
            if same:
                return True
            if heard is None:
                continue
            if heard.recording_id == track.recording_id:
                return True
            if title is not None and same_name(heard.artist, heard.title) == title:
                return True
        return False
