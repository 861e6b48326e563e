"""Playlists: tracks in an order, with their cosines to the seeds and to each other."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from recommender.playlists.files import track_values
from recommender.retrieval.answers import TupleSequence
from recommender.retrieval.names import artist_of
from recommender.retrieval.where import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from indexer.catalog.records import Track
    from recommender.engine import Recommender
    from recommender.retrieval.answers import WordShift
    from recommender.retrieval.where import Where


def filter_label(where: Where | None) -> str:
    """The beginning of a sentence about the tracks that a filter keeps."""
    return f"the filter ({where}) keeps" if where not in (None, EVERYTHING) else "the library has"


@dataclass(frozen=True)
class Entry:
    """One track of a playlist.

    Attributes
    ----------
    to_seed : float
        Its cosine to the seed; of several seeds, to the nearest.
    to_previous : float or None
        Its cosine to the entry before; None at the first.
    words : tuple of WordShift
        How well each word that steers fits it.
    """

    track: Track
    to_seed: float
    to_previous: float | None
    words: tuple[WordShift, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The entry as plain values."""
        return {
            **track_values(self.track),
            "cosine_to_seed": round(self.to_seed, 6),
            "cosine_to_previous": None if self.to_previous is None else round(self.to_previous, 6),
            "words": [asdict(word) for word in self.words],
        }


@dataclass(frozen=True)
class Playlist(TupleSequence[Entry]):
    """Tracks in the order they are to be played.

    Attributes
    ----------
    title : str
        The name of the playlist when it is saved.
    entries : tuple of Entry
    note : str or None
        Why it holds less than was asked for; None when it does not.
    """

    title: str
    entries: tuple[Entry, ...]
    note: str | None = None

    @property
    def _items(self) -> tuple[Entry, ...]:
        return self.entries

    @property
    def tracks(self) -> list[Track]:
        """The tracks alone, as `recommender.playlists.files` takes them."""
        return [entry.track for entry in self.entries]

    @property
    def duration_s(self) -> float:
        """The duration of all tracks together, in seconds."""
        return sum(entry.track.duration_s for entry in self.entries)

    @property
    def steps(self) -> tuple[float, ...]:
        """The cosine distance (1 - cosine) from each entry to the next."""
        return tuple(
            1 - entry.to_previous for entry in self.entries if entry.to_previous is not None
        )

    @property
    def evenness(self) -> float | None:
        """The longest step divided by the mean one: 1 is perfectly even; None without steps."""
        steps = self.steps
        mean = sum(steps) / len(steps) if steps else 0.0
        return max(steps) / mean if mean > 0 else None

    def to_json(self) -> dict[str, Any]:
        """The playlist as plain values, as the command line's `--json` prints it."""
        evenness = self.evenness
        return {
            "title": self.title,
            "duration_s": round(self.duration_s, 3),
            "evenness": None if evenness is None else round(evenness, 4),
            "note": self.note,
            "entries": [entry.to_json() for entry in self.entries],
        }

    @classmethod
    def along(
        cls,
        title: str,
        tracks: Sequence[Track],
        vectors: NDArray[np.float32],
        seeds: NDArray[np.float32],
        note: str | None = None,
        words: Sequence[tuple[WordShift, ...]] = (),
    ) -> Playlist:
        """The playlist of tracks with vectors (n, dim), which starts from seeds (s, dim).

        With words that steer, what they do to each track.
        """
        to_seed = (vectors @ seeds.T).max(axis=1, initial=-1.0).tolist()
        before = np.einsum("nd,nd->n", vectors[:-1], vectors[1:]).tolist()
        entries = map(Entry, tracks, to_seed, [None, *before], words or [()] * len(tracks))
        return cls(title, tuple(entries), note)


@dataclass(frozen=True)
class PlaylistCandidates:
    """Tracks that a playlist may hold.

    Attributes
    ----------
    tracks : list of Track, c of them
    vectors : float32 (c, dim)
        Unit length.
    """

    tracks: list[Track]
    vectors: NDArray[np.float32]

    @classmethod
    def of(cls, recommender: Recommender, ids: NDArray[np.int64]) -> PlaylistCandidates:
        """The present tracks with these ids."""
        return cls(recommender.tracks(ids), recommender.vectors(ids))

    def __len__(self) -> int:
        return len(self.tracks)

    @property
    def ids(self) -> NDArray[np.int64]:
        """Ids, int64 (c,)."""
        return np.array([track.id for track in self.tracks], dtype=np.int64)

    @property
    def durations_s(self) -> NDArray[np.float64]:
        """Durations in seconds, float64 (c,)."""
        return np.array([track.duration_s for track in self.tracks], dtype=np.float64)

    @property
    def artists(self) -> list[str | None]:
        """The artist of each track, see `artist_of`."""
        return [artist_of(track) for track in self.tracks]
