"""What a journey is made of: the tracks it stops at, and what it may choose them from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from indexer.catalog.status import TrackStatus
from indexer.errors import UnknownTrack
from indexer.filesystem import display_path
from indexer.vectors.half_precision import to_unit_float32
from recommender.playlists.files import entries
from recommender.retrieval.lookup import display_name, fold, name_key
from recommender.retrieval.seeds import NO_SEED, Seed, descriptors_of
from recommender.retrieval.where import EVERYTHING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from indexer.catalog.reader import Track
    from recommender.engine import Recommender
    from recommender.retrieval.seeds import SeedLike
    from recommender.retrieval.where import Where


def seed_of(recommender: Recommender, given: SeedLike) -> Seed:
    """What a journey begins at.

    A text that names a track of the catalog by id, key or path is that track; else, if it names a
    file, the file is heard; else it is a part of "artist - title".

    Raises
    ------
    UnknownTrack, AmbiguousTrack, AnalysisError
    BadVector
        The vector has another shape, or no direction.
    """
    if isinstance(given, np.ndarray | list | tuple):
        vector = np.asarray(given, dtype=np.float64)
        with np.errstate(invalid="ignore"):
            unit = (vector / np.linalg.norm(vector)).astype(np.float32)
        # The index refuses what has another shape, or no direction.
        recommender.nearest(unit[np.newaxis], 1)
        return Seed("a vector", unit)
    if isinstance(given, str) and os.path.isfile(given) and not recommender.knows(given):
        heard = recommender.hear(given)
        assert heard.embedding is not None  # noqa: S101 - nothing was skipped
        return Seed(
            display_path(os.path.basename(os.fsencode(given))),
            to_unit_float32(heard.embedding[np.newaxis])[0],
            duration_s=heard.facts.duration_s,
            descriptors=heard.descriptors,
            name=name_key(heard.tags.artist, heard.tags.title),
        )
    track = present(recommender.track(given))  # type: ignore[arg-type]  # others are refused there
    return Seed(
        display_name(track),
        recommender.vectors([track.id])[0],
        recording=track.recording_id,
        duration_s=track.duration_s,
        track=track,
        descriptors=descriptors_of(track),
        name=name_key(track.artist, track.title),
    )


def seed_label(where: Where | None) -> str:
    """How a sentence on the tracks that a filter keeps begins."""
    return f"the filter ({where}) keeps" if where not in (None, EVERYTHING) else "the library has"


def present(track: Track) -> Track:
    """The track, if it can be heard.

    Raises
    ------
    UnknownTrack
        It is missing, was removed, or has changed into something that cannot be heard.
    """
    if track.status != TrackStatus.PRESENT:
        raise UnknownTrack(
            f"track {track.id} ({display_name(track)}) {NO_SEED[TrackStatus(track.status)]}"
        )
    return track


@dataclass(frozen=True)
class Entry:
    """One track of a journey.

    Attributes
    ----------
    to_seed : float
        Its cosine to what the journey began at; of several seeds, to the nearest.
    to_previous : float or None
        Its cosine to the stop before; None at the first.
    """

    track: Track
    to_seed: float
    to_previous: float | None

    def to_json(self) -> dict[str, Any]:
        """The stop as plain values."""
        return {
            **entries([self.track])[0],
            "cosine_to_seed": round(self.to_seed, 6),
            "cosine_to_previous": None if self.to_previous is None else round(self.to_previous, 6),
        }


@dataclass(frozen=True)
class Playlist(Sequence[Entry]):
    """Tracks in the order they are to be played.

    Attributes
    ----------
    title : str
        What it is, in words; the name of the playlist when it is saved.
    stops : tuple of Stop
    note : str or None
        Why it holds less than was asked for; None when it does not.
    """

    title: str
    stops: tuple[Entry, ...]
    note: str | None = None

    def __len__(self) -> int:
        return len(self.stops)

    @overload
    def __getitem__(self, place: int) -> Entry: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Entry, ...]: ...
    def __getitem__(self, place: int | slice) -> Entry | tuple[Entry, ...]:
        return self.stops[place]

    @property
    def tracks(self) -> list[Track]:
        """The tracks alone, as `recommender.playlists.files` takes them."""
        return [stop.track for stop in self.stops]

    @property
    def duration_s(self) -> float:
        """All tracks together, in seconds."""
        return sum(stop.track.duration_s for stop in self.stops)

    @property
    def strides(self) -> tuple[float, ...]:
        """The cosine distance (1 - cosine) from each stop to the next."""
        return tuple(1 - stop.to_previous for stop in self.stops if stop.to_previous is not None)

    @property
    def evenness(self) -> float | None:
        """The longest stride divided by the mean one: 1 is perfectly even; None without strides."""
        strides = self.strides
        mean = sum(strides) / len(strides) if strides else 0.0
        return max(strides) / mean if mean > 0 else None

    def to_json(self) -> dict[str, Any]:
        """The journey as plain values, as the command line's `--json` prints it."""
        evenness = self.evenness
        return {
            "title": self.title,
            "duration_s": round(self.duration_s, 3),
            "evenness": None if evenness is None else round(evenness, 4),
            "note": self.note,
            "stops": [stop.to_json() for stop in self.stops],
        }

    @classmethod
    def along(
        cls,
        title: str,
        tracks: Sequence[Track],
        vectors: NDArray[np.float32],
        seeds: NDArray[np.float32],
        note: str | None = None,
    ) -> Playlist:
        """A journey through tracks with vectors (n, dim), which began at seeds (s, dim)."""
        to_seed = (vectors @ seeds.T).max(axis=1, initial=-1.0).tolist()
        before = np.einsum("nd,nd->n", vectors[:-1], vectors[1:]).tolist()
        stops = map(Entry, tracks, to_seed, [None, *before])
        return cls(title, tuple(stops), note)


@dataclass(frozen=True)
class PlaylistCandidates:
    """Tracks that a journey may stop at.

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
        """int64 (c,)"""
        return np.array([track.id for track in self.tracks], dtype=np.int64)

    @property
    def durations_s(self) -> NDArray[np.float64]:
        """float64 (c,)"""
        return np.array([track.duration_s for track in self.tracks], dtype=np.float64)

    @property
    def artists(self) -> list[str | None]:
        """Of each track as `artist_of` has it."""
        return [artist_of(track) for track in self.tracks]


def artist_of(track: Track) -> str | None:
    """The artist, or else the album's, to be compared; None where the file names none."""
    artist = track.artist or track.album_artist
    return (fold(artist).strip() or None) if artist else None
