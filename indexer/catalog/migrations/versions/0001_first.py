"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from indexer.catalog.sqlite.title_index import create_titles

revision = "0001"
down_revision = None

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _one_each(*columns: str, name: str) -> sa.Constraint:
    """The constraint that no two rows have one path or key.

    PostgreSQL's B-trees take up to 2,704 bytes, and a path has up to 4,096: hashes stand for them.
    """
    if op.get_bind().dialect.name != "postgresql":
        kind = sa.PrimaryKeyConstraint if name.startswith("pk_") else sa.UniqueConstraint
        return kind(*columns, name=name)
    # A hash is of one column.
    one = (
        sa.text(f"sha256({columns[0]} || decode(md5({columns[1]}), 'hex'))")
        if columns[1:]
        else columns[0]
    )
    return postgresql.ExcludeConstraint((one, "="), using="hash", name=name)


def upgrade() -> None:
    """Make every table of an empty catalog."""
    op.create_table(
        "models",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("dim", NUMBER, nullable=False),
        sa.Column("tag_names", sa.Text, nullable=False),
        sa.Column("windows", NUMBER, nullable=False),
        sa.Column("digest", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_models"),
        sa.UniqueConstraint("fingerprint", name="uq_models_fingerprint"),
    )
    op.create_table(
        "catalog",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("uuid", sa.String(36), nullable=False),
        sa.Column("change", sa.BigInteger, nullable=False),
        sa.Column("facets_change", sa.BigInteger, nullable=False),
        sa.Column("next_track_id", sa.BigInteger, nullable=False),
        sa.Column("active_model_id", NUMBER),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("digest", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_catalog"),
        sa.ForeignKeyConstraint(
            ["active_model_id"], ["models.id"], name="fk_catalog_active_model_id"
        ),
    )
    op.create_table(
        "roots",
        sa.Column("path", sa.LargeBinary, nullable=False),
        sa.Column("seen_from", sa.Text, nullable=False),
        sa.Column("digest", sa.BigInteger, nullable=False),
        _one_each("path", "seen_from", name="pk_roots"),
    )
    op.create_table(
        "mounts",
        sa.Column("path", sa.LargeBinary, nullable=False),
        sa.Column("seen_from", sa.Text, nullable=False),
        sa.Column("digest", sa.BigInteger, nullable=False),
        _one_each("path", "seen_from", name="pk_mounts"),
    )
    op.create_table(
        "recordings",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("audio_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("duration_s", sa.Double, nullable=False),
        sa.Column("container", sa.Text, nullable=False),
        sa.Column("codec", sa.Text, nullable=False),
        sa.Column("sample_rate", NUMBER, nullable=False),
        sa.Column("channels", NUMBER, nullable=False),
        sa.Column("bit_rate", NUMBER),
        sa.Column("bit_depth", NUMBER),
        sa.Column("channel", NUMBER),
        sa.Column("tempo_bpm", sa.Double),
        sa.Column("tempo_confidence", sa.Double, nullable=False),
        sa.Column("musical_key", sa.String(8)),
        sa.Column("key_confidence", sa.Double, nullable=False),
        sa.Column("loudness_lufs", sa.Double),
        sa.Column("brightness_hz", sa.Double),
        sa.Column("digest", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_recordings"),
        sa.UniqueConstraint("audio_hash", name="uq_recordings_audio_hash"),
    )
    op.create_table(
        "embeddings",
        sa.Column("recording_id", NUMBER, nullable=False),
        sa.Column("model_id", NUMBER, nullable=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
        sa.Column("activations", sa.LargeBinary, nullable=False),
        sa.Column("windows", NUMBER, nullable=False),
        sa.Column("digest", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("recording_id", "model_id", name="pk_embeddings"),
        sa.ForeignKeyConstraint(
            ["recording_id"],
            ["recordings.id"],
            name="fk_embeddings_recording_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name="fk_embeddings_model_id"),
    )
    op.create_table(
        "tracks",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("key_given", sa.Boolean, nullable=False),
        sa.Column("path", sa.LargeBinary, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("mtime_ns", sa.BigInteger, nullable=False),
        sa.Column("recording_id", NUMBER),
        sa.Column("status", sa.String(8), nullable=False),
        sa.Column("change", sa.BigInteger, nullable=False),
        sa.Column("facets_change", sa.BigInteger, nullable=False),
        sa.Column("title", sa.Text),
        sa.Column("artist", sa.Text),
        sa.Column("artists", sa.Text, nullable=False),
        sa.Column("album", sa.Text),
        sa.Column("album_artist", sa.Text),
        sa.Column("album_artists", sa.Text, nullable=False),
        sa.Column("genre", sa.Text),
        sa.Column("genres", sa.Text, nullable=False),
        sa.Column("year", NUMBER),
        sa.Column("track_number", NUMBER),
        sa.Column("disc_number", NUMBER),
        sa.Column("isrc", sa.String(12)),
        sa.Column("musicbrainz_track_id", sa.String(36)),
        sa.Column("musicbrainz_album_id", sa.String(36)),
        sa.Column("musicbrainz_artist_ids", sa.Text, nullable=False),
        sa.Column("musicbrainz_album_artist_ids", sa.Text, nullable=False),
        sa.Column("has_cover", sa.Boolean, nullable=False),
        sa.Column("added_at", sa.Double, nullable=False),
        sa.Column("digest", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tracks"),
        _one_each("key", name="uq_tracks_key"),
        _one_each("path", name="uq_tracks_path"),
        sa.ForeignKeyConstraint(["recording_id"], ["recordings.id"], name="fk_tracks_recording_id"),
    )
    op.create_index("ix_tracks_change", "tracks", ["change"])
    op.create_index("ix_tracks_facets_change", "tracks", ["facets_change"])
    op.create_index("ix_tracks_recording_id", "tracks", ["recording_id"])
    op.create_index("ix_tracks_isrc", "tracks", ["isrc"])
    op.create_index("ix_tracks_musicbrainz_track_id", "tracks", ["musicbrainz_track_id"])
    op.create_table(
        "failures",
        sa.Column("path", sa.LargeBinary, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("mtime_ns", sa.BigInteger, nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("tries", NUMBER, nullable=False),
        sa.Column("failed_at", sa.Double, nullable=False),
        sa.Column("digest", sa.BigInteger, nullable=False),
        _one_each("path", name="pk_failures"),
    )
    op.create_table(
        "opinions",
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("starred_at", sa.Double),
        sa.Column("rating", NUMBER),
        sa.Column("digest", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("kind", "subject", name="pk_opinions"),
    )
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        from indexer.catalog.postgres.titles import create_names

        create_names(connection)
    else:
        create_titles(connection)
