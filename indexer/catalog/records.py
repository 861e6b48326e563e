"""What a catalog holds, as values: a model, a track, a failure, an opinion, changes of vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Kind: TypeAlias = Literal["track", "album", "artist"]
"""What there are opinions of."""


@dataclass(frozen=True)
class StoredModel:
    """A model as the catalog stores it."""

    id: int
    name: str
    fingerprint: str
    dim: int
    tag_names: tuple[str, ...]
    windows: int


@dataclass(frozen=True)
class Track:
    """A track and its recording, without vectors.

    `artist`, `album_artist` and `genre` are as shown to people; `artists`, `album_artists` and
    `genres` hold each name by itself. Tags are as `indexer.audio.tags.Tags` has them, facts of the
    recording as `AudioFacts` and `Descriptors` do.
    """

    id: int
    key: str
    path: bytes
    status: str
    title: str | None
    artist: str | None
    artists: tuple[str, ...]
    album: str | None
    album_artist: str | None
    album_artists: tuple[str, ...]
    genre: str | None
    genres: tuple[str, ...]
    year: int | None
    track_number: int | None
    disc_number: int | None
    isrc: str | None
    musicbrainz_track_id: str | None
    musicbrainz_album_id: str | None
    musicbrainz_artist_ids: tuple[str, ...]
    musicbrainz_album_artist_ids: tuple[str, ...]
    has_cover: bool
    added_at: float
    recording_id: int
    duration_s: float
    container: str
    codec: str
    sample_rate: int
    channels: int
    bit_rate: int | None
    bit_depth: int | None
    channel: int | None
    tempo_bpm: float | None
    tempo_confidence: float
    musical_key: str | None
    key_confidence: float
    loudness_lufs: float | None
    brightness_hz: float | None


@dataclass(frozen=True)
class Failure:
    """A file that could not be analysed."""

    path: bytes
    stage: str
    reason: str
    message: str
    tries: int
    failed_at: float


@dataclass(frozen=True, order=True)
class Subject:
    """What an opinion is of.

    Attributes
    ----------
    kind : {"track", "album", "artist"}
    id : str
        Of a track its id in digits; of an album or artist what its caller names it by.
    """

    kind: Kind
    id: str


@dataclass(frozen=True)
class Opinion:
    """A star, a rating, or both; times are seconds of Unix."""

    subject: Subject
    starred_at: float | None
    rating: int | None

    @property
    def says_anything(self) -> bool:
        """Whether there is a star or a rating."""
        return self.starred_at is not None or self.rating is not None


@dataclass(frozen=True)
class CatalogChanges:
    """Numbers of a catalog's last changes.

    Attributes
    ----------
    vectors : int
        Of the vectors of present tracks, and of which tracks are present.
    facets : int
        Of what is shown of tracks: tags, keys, statuses, recordings, embeddings, active model.
    """

    vectors: int
    facets: int


@dataclass(frozen=True)
class Changes:
    """Vectors of present tracks that were added, changed or removed since a change number."""

    ids: NDArray[np.int64]
    vectors: NDArray[np.float32]
    gone: NDArray[np.int64]
