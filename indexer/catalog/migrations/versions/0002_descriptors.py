"""Tempo, key, loudness and brightness of each recording."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add an empty table; the next `index` hears what is missing in it."""
    op.create_table(
        "descriptors",
        sa.Column("recording_id", sa.Integer, nullable=False),
        sa.Column("tempo_bpm", sa.Double),
        sa.Column("tempo_confidence", sa.Double, nullable=False),
        sa.Column("musical_key", sa.String(8)),
        sa.Column("key_confidence", sa.Double, nullable=False),
        sa.Column("loudness_lufs", sa.Double),
        sa.Column("brightness_hz", sa.Double),
        sa.PrimaryKeyConstraint("recording_id", name="pk_descriptors"),
        sa.ForeignKeyConstraint(
            ["recording_id"],
            ["recordings.id"],
            name="fk_descriptors_recording_id",
            ondelete="CASCADE",
        ),
    )
