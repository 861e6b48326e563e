"""The tables of a catalog, as SQLAlchemy models."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING

from sqlalchemy import (
    BigInteger,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Dialect

APPLICATION_ID = 0x534C4B31
"""SQLite's application id of a catalog ("SLK1"), at byte 68 of the file."""

REVISIONS = ("0001",)
"""Every schema this program knows, oldest first; the last one is written."""


class Malformed(ValueError):
    """A row that is not as it was written: the catalog is damaged."""


class TextList(TypeDecorator["tuple[str, ...]"]):
    """A tuple of strings, stored as a JSON array."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Sequence[str] | None, dialect: Dialect) -> str:
        """Write the array."""
        del dialect
        return json.dumps(list(value or ()), ensure_ascii=False)

    def process_result_value(self, value: str | None, dialect: Dialect) -> tuple[str, ...]:
        """Read the array."""
        del dialect
        return parse_text_list(value)


@lru_cache(maxsize=10_000)
def parse_text_list(value: object) -> tuple[str, ...]:
    """Strings of a `TextList` as it is stored.

    Raises
    ------
    Malformed
    """
    try:
        found = json.loads(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise Malformed("malformed list of strings")
    return tuple(found)


WholeNumber = BigInteger().with_variant(Integer, "sqlite")
"""Up to 63 bits: tags hold numbers of any size. SQLite gives ids to plain integers only."""


class Base(DeclarativeBase):
    """Base of all tables; names every constraint, so that migrations can name them too."""

    type_annotation_map = {float: Double, int: WholeNumber}  # noqa: RUF012 - SQLAlchemy's own attribute
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )

    digest: Mapped[int] = mapped_column(BigInteger, default=0, sort_order=1)
    """See `indexer.catalog.digests`."""


class CatalogRow(Base):
    """The catalog's identity, change counters and active model: one row."""

    __tablename__ = "catalog"

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36))
    change: Mapped[int] = mapped_column(BigInteger)
    facets_change: Mapped[int] = mapped_column(BigInteger)
    next_track_id: Mapped[int] = mapped_column(BigInteger, default=1)
    """No track has, had or is promised this id or a higher one; see `writer.reserve_track_ids`."""
    active_model_id: Mapped[int | None] = mapped_column(ForeignKey("models.id"))
    created_at: Mapped[float]


class ModelRow(Base):
    """A model whose embeddings the catalog holds."""

    __tablename__ = "models"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    fingerprint: Mapped[str] = mapped_column(String(64), unique=True)
    dim: Mapped[int]
    tag_names: Mapped[tuple[str, ...]] = mapped_column(TextList)
    windows: Mapped[int]
    """Windows embedded of each track; 0: all of it."""


class RootRow(Base):
    """A folder that was indexed; `index` without arguments scans all of them."""

    __tablename__ = "roots"

    path: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    seen_from: Mapped[str] = mapped_column(Text, primary_key=True, default="")
    """The machine that sees the folder; empty where one machine at a time uses the catalog."""


class MountRow(Base):
    """A folder below a root where another disk was mounted when it was last scanned."""

    __tablename__ = "mounts"

    path: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    seen_from: Mapped[str] = mapped_column(Text, primary_key=True, default="")


class RecordingRow(Base):
    """A recording, known by the hash of its encoded audio, with its descriptors.

    The last six columns are those of `indexer.features.descriptors.Descriptors`.
    """

    __tablename__ = "recordings"

    id: Mapped[int] = mapped_column(primary_key=True)
    audio_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    duration_s: Mapped[float]
    container: Mapped[str] = mapped_column(Text)
    codec: Mapped[str] = mapped_column(Text)
    sample_rate: Mapped[int]
    channels: Mapped[int]
    bit_rate: Mapped[int | None]
    bit_depth: Mapped[int | None]
    channel: Mapped[int | None]
    tempo_bpm: Mapped[float | None]
    tempo_confidence: Mapped[float] = mapped_column(default=0.0)
    musical_key: Mapped[str | None] = mapped_column(String(8))
    key_confidence: Mapped[float] = mapped_column(default=0.0)
    loudness_lufs: Mapped[float | None]
    brightness_hz: Mapped[float | None]


class EmbeddingRow(Base):
    """Embedding and tag activations of a recording by a model, both as little-endian float16."""

    __tablename__ = "embeddings"

    recording_id: Mapped[int] = mapped_column(
        ForeignKey("recordings.id", ondelete="CASCADE"), primary_key=True
    )
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"), primary_key=True)
    vector: Mapped[bytes] = mapped_column(LargeBinary)
    activations: Mapped[bytes] = mapped_column(LargeBinary)
    windows: Mapped[int]


class TrackRow(Base):
    """A file in the catalog. Rows are never deleted, so an id never means another track."""

    __tablename__ = "tracks"
    __table_args__ = (
        Index("ix_tracks_change", "change"),
        Index("ix_tracks_facets_change", "facets_change"),
        Index("ix_tracks_recording_id", "recording_id"),
        Index("ix_tracks_isrc", "isrc"),
        Index("ix_tracks_musicbrainz_track_id", "musicbrainz_track_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(Text, unique=True)
    key_given: Mapped[bool]
    """Whether the caller named the track; otherwise the key follows the path."""
    path: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    size: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    recording_id: Mapped[int | None] = mapped_column(ForeignKey("recordings.id"))
    status: Mapped[str] = mapped_column(String(8))
    change: Mapped[int] = mapped_column(BigInteger)
    """The catalog's change counter when this track's vector or presence last changed."""
    facets_change: Mapped[int] = mapped_column(BigInteger)
    """The catalog's other counter when its tags, key, status, recording or embedding last did."""
    title: Mapped[str | None] = mapped_column(Text)
    artist: Mapped[str | None] = mapped_column(Text)
    """As shown; `artists` holds each by itself, and likewise for album artists and genres."""
    artists: Mapped[tuple[str, ...]] = mapped_column(TextList, default=())
    album: Mapped[str | None] = mapped_column(Text)
    album_artist: Mapped[str | None] = mapped_column(Text)
    album_artists: Mapped[tuple[str, ...]] = mapped_column(TextList, default=())
    genre: Mapped[str | None] = mapped_column(Text)
    genres: Mapped[tuple[str, ...]] = mapped_column(TextList, default=())
    year: Mapped[int | None]
    track_number: Mapped[int | None]
    disc_number: Mapped[int | None]
    isrc: Mapped[str | None] = mapped_column(String(12))
    musicbrainz_track_id: Mapped[str | None] = mapped_column(String(36))
    musicbrainz_album_id: Mapped[str | None] = mapped_column(String(36))
    musicbrainz_artist_ids: Mapped[tuple[str, ...]] = mapped_column(TextList, default=())
    musicbrainz_album_artist_ids: Mapped[tuple[str, ...]] = mapped_column(TextList, default=())
    has_cover: Mapped[bool] = mapped_column(default=False)
    added_at: Mapped[float]


class FailureRow(Base):
    """A file that could not be analysed: at which stage, for what reason, after how many tries."""

    __tablename__ = "failures"

    path: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    stage: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(String(32))
    message: Mapped[str] = mapped_column(Text)
    tries: Mapped[int]
    failed_at: Mapped[float]


class OpinionRow(Base):
    """What listeners said of a song, an album or an artist: a star, a rating or both.

    No row of another table is referred to: albums and artists have none, and the id of a track
    that was removed never means another one.
    """

    __tablename__ = "opinions"

    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    subject: Mapped[str] = mapped_column(String(255), primary_key=True)
    """The id of the track in digits, or that of the album or artist in the OpenSubsonic API."""
    starred_at: Mapped[float | None]
    rating: Mapped[int | None]
    """1 to 5."""
