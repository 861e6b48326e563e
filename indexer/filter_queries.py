"""What filters ask the catalog: values of a column, tracks for which conditions hold, tags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import select

from indexer.schema import TrackRow
from indexer.track_status import TrackStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import InstrumentedAttribute

    from indexer.catalog import Catalog, StoredModel


def activation_columns(
    catalog: Catalog, model: StoredModel, places: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
    """Ids (n,) of the present tracks, and their activations of some tags (n, len(places))."""
    # A float16 each; SQLite counts bytes from 1.
    tags = ", ".join(f"substr(e.activations, {2 * place + 1:d}, 2)" for place in places)
    query = (
        f"SELECT t.id, {tags} FROM tracks t JOIN embeddings e "  # noqa: S608 - integers
        f"ON e.recording_id = t.recording_id AND e.model_id = {model.id:d} "
        "WHERE t.status = ?"
    )
    with catalog.reading() as connection:
        rows = connection.exec_driver_sql(query, (str(TrackStatus.PRESENT),)).cursor.fetchall()
    ids = np.array([row[0] for row in rows], dtype=np.int64)
    stored = np.frombuffer(b"".join(b"".join(row[1:]) for row in rows), dtype="<f2")
    return ids, stored.reshape(len(ids), len(places))


def values_of(catalog: Catalog, column: InstrumentedAttribute[Any]) -> list[str]:
    """Every text that a column holds, once."""
    query = select(column).distinct().where(column.is_not(None))
    with catalog.reading() as connection:
        return list(connection.execute(query).scalars())


def ids_where(catalog: Catalog, conditions: Sequence[ColumnElement[bool]]) -> NDArray[np.int64]:
    """Ids of the present tracks for which all conditions hold, in any order."""
    query = select(TrackRow.id).where(TrackRow.status == TrackStatus.PRESENT, *conditions)
    with catalog.reading() as connection:
        return np.fromiter(connection.execute(query).scalars(), dtype=np.int64)
