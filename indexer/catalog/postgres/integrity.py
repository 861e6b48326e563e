"""Damage of a catalog on a server: rows that no writer of ours has written.

What lies on the server's disk it checks itself, by checksums of pages (`initdb --data-checksums`);
reading every value brings those to light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from indexer.catalog.schema import CatalogRow, EmbeddingRow, ModelRow, TrackRow
from indexer.catalog.status import TrackStatus

if TYPE_CHECKING:
    from sqlalchemy import Connection


def damage(connection: Connection) -> list[str]:
    """All damage that can be found, a line each; empty where there is none."""
    embeddings = (
        select(EmbeddingRow.recording_id)
        .join(ModelRow, ModelRow.id == EmbeddingRow.model_id)
        .where(func.octet_length(EmbeddingRow.vector) != 2 * ModelRow.dim)
    )
    statuses = select(TrackRow.id).where(TrackRow.status.not_in([str(one) for one in TrackStatus]))
    found = [
        f"the embedding of recording {row} has another length than its model's"
        for row in connection.execute(embeddings).scalars()
    ]
    found += [
        f"the status of track {row} is unknown" for row in connection.execute(statuses).scalars()
    ]
    rows = connection.execute(select(func.count()).select_from(CatalogRow)).scalar_one()
    if rows != 1:
        found.append(f"the table catalog has {rows} rows instead of 1")
    return found
