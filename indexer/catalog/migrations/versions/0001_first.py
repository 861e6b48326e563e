"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from indexer.catalog.title_index import create_titles

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table of an empty catalog."""
    op.create_table(
        "models",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("dim", sa.Integer, nullable=False),
        sa.Column("tag_names", sa.Text, nullable=False),
        sa.Column("windows", sa.Integer, nullable=False),
        sa.Column("digest", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_models"),
        sa.UniqueConstraint("fingerprint", name="uq_models_fingerprint"),
    )
    op.create_table(
        "catalog",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("uuid", sa.String(36), nullable=False),
        sa.Column("change", sa.BigInteger, nullable=False),
        sa.Column("facets_change", sa.BigInteger, nullable=False),
        sa.Column("active_model_id", sa.Integer),
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
        sa.Column("digest", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("path", name="pk_roots"),
    )
    op.create_table(
        "mounts",
        sa.Column("path", sa.LargeBinary, nullable=False),
        sa.Column("digest", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("path", name="pk_mounts"),
    )
    op.create_table(
        "recordings",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("audio_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("duration_s", sa.Double, nullable=False),
        sa.Column("container", sa.Text, nullable=False),
        sa.Column("codec", sa.Text, nullable=False),
        sa.Column("sample_rate", sa.Integer, nullable=False),
        sa.Column("channels", sa.Integer, nullable=False),
        sa.Column("bit_rate", sa.Integer),
        sa.Column("channel", sa.Integer),
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
        sa.Column("recording_id", sa.Integer, nullable=False),
        sa.Column("model_id", sa.Integer, nullable=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
        sa.Column("activations", sa.LargeBinary, nullable=False),
        sa.Column("windows", sa.Integer, nullable=False),
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
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("key_given", sa.Boolean, nullable=False),
        sa.Column("path", sa.LargeBinary, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("mtime_ns", sa.BigInteger, nullable=False),
        sa.Column("recording_id", sa.Integer),
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
        sa.Column("year", sa.Integer),
        sa.Column("track_number", sa.Integer),
        sa.Column("added_at", sa.Double, nullable=False),
        sa.Column("digest", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tracks"),
        sa.UniqueConstraint("key", name="uq_tracks_key"),
        sa.UniqueConstraint("path", name="uq_tracks_path"),
        sa.ForeignKeyConstraint(["recording_id"], ["recordings.id"], name="fk_tracks_recording_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_tracks_change", "tracks", ["change"])
    op.create_index("ix_tracks_facets_change", "tracks", ["facets_change"])
    op.create_index("ix_tracks_recording_id", "tracks", ["recording_id"])
    op.create_table(
        "failures",
        sa.Column("path", sa.LargeBinary, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("mtime_ns", sa.BigInteger, nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("failed_at", sa.Double, nullable=False),
        sa.Column("digest", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("path", name="pk_failures"),
    )
    create_titles(op.get_bind())
