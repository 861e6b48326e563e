"""The catalog: tracks, their embeddings and their failures, in a database.

Reading never waits for a writer, and what a writer has committed is on disk. Vectors are stored as
float16 and returned as unit float32, the same numbers every time.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from sqlalchemy import (
    Row,
    Select,
    Text,
    func,
    literal_column,
    select,
    true,
    type_coerce,
)

from indexer.catalog import opening
from indexer.catalog.digests import is_intact, malformed_row, require_intact
from indexer.catalog.records import CatalogChanges, Changes, Failure, StoredModel, Track
from indexer.catalog.schema import (
    CatalogRow,
    EmbeddingRow,
    FailureRow,
    ModelRow,
    MountRow,
    RecordingRow,
    RootRow,
    TextList,
    TrackRow,
    parse_text_list,
)
from indexer.catalog.status import TrackStatus
from indexer.errors import CatalogError
from indexer.vectors.half_precision import to_unit_float32

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from numpy.typing import NDArray
    from sqlalchemy import ColumnElement, Connection

    from indexer.catalog.database import Database, Rows

Item = TypeVar("Item")

BATCH_IDS = 10_000
"""Ids per SQL statement: SQLite takes 32,766 parameters, PostgreSQL 65,535."""


KEPT_TRACKS = 10_000
"""Tracks kept in memory until what is shown of any changes: some 10 MB. Neighbours of neighbours
come again and again."""
CHECKED_BYTES = 8 << 20
"""Catalogs up to this size are checked whole whenever they are opened; it takes up to 0.1 s."""

log = logging.getLogger(__name__)


class Catalog:
    """An open catalog. Made by `open_for_reading` and `open_for_writing`; close it with `close`.

    Attributes
    ----------
    database : Database
        What holds it.
    uuid : str
        Its identity.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._changes: tuple[int, CatalogChanges | None] = -1, None
        self._read_tracks: tuple[int, dict[int, Track]] = -1, {}
        try:
            self.uuid: str = self._state().uuid
        except BaseException:
            database.close()
            raise

    @classmethod
    def open_for_reading(cls, address: str | os.PathLike[str]) -> Catalog:
        """Open an existing catalog without ever blocking, or being blocked by, its writer.

        Parameters
        ----------
        address : path or str
            Its file, or `postgresql+psycopg://user@host/database`.

        Raises
        ------
        CatalogMissing, NotACatalog, CatalogTooNew, CatalogUnreachable
        """
        catalog = cls(opening.open_for_reading(address))
        if is_small(catalog.path) and (found := catalog.damage()):
            log.warning(
                "%s is damaged (%s): answers may be wrong, `soundalike verify` lists the damage",
                catalog.name,
                found[0],
            )
        return catalog

    @classmethod
    def open_for_writing(cls, address: str | os.PathLike[str], *, create: bool = False) -> Catalog:
        """Open a catalog as its only writer, bringing its tables up to date.

        On a server several processes may write, one transaction after the other.

        Raises
        ------
        CatalogMissing
            There is none and `create` is false.
        CatalogLocked
            Another process is writing it.
        NotACatalog, CatalogTooNew, CatalogFull, CatalogUnreachable
        """
        return cls(opening.open_for_writing(address, create=create))

    @property
    def name(self) -> str:
        """The catalog's address as people are shown it."""
        return self.database.name

    @property
    def address(self) -> str:
        """What opens the catalog again."""
        return self.database.address

    @property
    def path(self) -> Path:
        """The catalog's file, or on a server the one beside which this machine keeps caches."""
        return self.database.path

    @property
    def writable(self) -> bool:
        """Whether this process may write."""
        return self.database.writable

    def close(self) -> None:
        """Close the database and, for a writer, release its lock."""
        self.database.close()

    def reading(self) -> AbstractContextManager[Connection]:
        """A connection that sees one state of the catalog."""
        return self.database.reading()

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction: all of it on disk afterwards, or none of it."""
        if not self.writable:
            raise CatalogError(f"{self.name} was opened for reading only")
        return self.database.writing()

    def alone(self) -> AbstractContextManager[None]:
        """A context in which no other process may write.

        Raises
        ------
        CatalogLocked
            Another one has it open for writing.
        """
        return self.database.alone()

    def translating(self) -> AbstractContextManager[None]:
        """A context in which what is wrong with rows is said as what is wrong with the catalog."""
        return self.database.translating()

    def version(self) -> int:
        """A number that changes whenever anything is written; takes microseconds.

        Raises
        ------
        CatalogError
            The file was moved or replaced since it was opened.
        """
        return self.database.version()

    def change(self) -> int:
        """The number of the last change to the vectors of present tracks."""
        return int(self._state().change)

    def changes(self) -> CatalogChanges:
        """The numbers of the last changes, both of one state of the catalog; takes microseconds.

        Raises
        ------
        CatalogError
            The file was moved or replaced since it was opened.
        """
        version = self.version()
        known_at, changes = self._changes
        if changes is None or known_at != version:
            state = self._state()
            changes = CatalogChanges(vectors=int(state.change), facets=int(state.facets_change))
            self._changes = version, changes
        return changes

    def active_model(self) -> StoredModel | None:
        """The model that answers come from; None in a catalog that was never indexed."""
        active = self._state().active_model_id
        if active is None:
            return None
        query = select(ModelRow, is_intact(ModelRow)).where(ModelRow.id == active)
        with self.reading() as connection:
            row = connection.execute(query).first()
            if row is None or not row[-1]:
                raise malformed_row(f"model {active}")
        return StoredModel(row.id, row.name, row.fingerprint, row.dim, row.tag_names, row.windows)

    @property
    def seen_from(self) -> str:
        """The machine whose paths this process sees; see `Database`."""
        return self.database.seen_from

    def roots(self) -> list[bytes]:
        """Every folder that was indexed and that this machine sees, sorted."""
        return self._paths(RootRow, RootRow.seen_from == self.seen_from)

    def mounts(self) -> list[bytes]:
        """Every folder below a root where another disk was mounted at the last scan, sorted."""
        return self._paths(MountRow, MountRow.seen_from == self.seen_from)

    def failures(self) -> list[Failure]:
        """Every file that could not be analysed, by path."""
        with self.reading() as connection:
            rows = connection.execute(_failure_query().order_by(FailureRow.path))
            return [_failure(row) for row in rows]

    def failure_of(self, path: bytes) -> Failure | None:
        """The failure of one file, by its absolute path."""
        with self.reading() as connection:
            row = connection.execute(_failure_query().where(FailureRow.path == path)).first()
            return None if row is None else _failure(row)

    def tracks(self, ids: Iterable[int]) -> dict[int, Track]:
        """The tracks with these ids; unknown ids are left out."""
        wanted = list(ids)
        kept = self._tracks_of(self.changes().facets)
        absent = [track_id for track_id in wanted if track_id not in kept]
        if absent:
            with self.translating():
                found = self.database.rows_of(_tracks_by_id(), TrackRow.id, absent)
                read = {row[1]: _track(row) for rows in found for row in rows}
            if len(kept) + len(read) <= KEPT_TRACKS:
                kept.update(read)
            else:
                kept = kept | read
        return {track_id: kept[track_id] for track_id in wanted if track_id in kept}

    def _tracks_of(self, change: int) -> dict[int, Track]:
        """Tracks read since a change of facets, by id."""
        # One tuple, so that a thread that still fills the tracks of an older state fills nothing.
        if self._read_tracks[0] != change or len(self._read_tracks[1]) >= KEPT_TRACKS:
            self._read_tracks = change, {}
        return self._read_tracks[1]

    def require_tracks(self, ids: Sequence[int]) -> list[Track]:
        """The tracks with these ids, which are known to be there, in their order.

        Raises
        ------
        NotACatalog
            The catalog is damaged: one of them is not there.
        """
        found = self.tracks(ids)
        with self.translating():
            for track_id in ids:
                require_intact(track_id in found, f"track {track_id} is not there")
        return [found[track_id] for track_id in ids]

    def track_by_key(self, key: str) -> Track | None:
        """The track with exactly this key."""
        return self._one(_track_query().where(TrackRow.key == key))

    def track_by_path(self, path: bytes) -> Track | None:
        """The track with exactly this absolute path."""
        return self._one(_track_query().where(TrackRow.path == path))

    def track_by_hash(self, audio_hash: bytes) -> Track | None:
        """The first present track of the recording with this hash of its encoded audio."""
        query = _track_query().where(
            RecordingRow.audio_hash == audio_hash, TrackRow.status == TrackStatus.PRESENT
        )
        return self._one(query.order_by(TrackRow.id).limit(1))

    def ids_of_keys(self, keys: Sequence[str]) -> dict[str, int]:
        """Ids of the present tracks with these keys; unknown keys are left out."""
        found: dict[str, int] = {}
        with self.reading() as connection:
            for batch in _batches(list(keys)):
                query = select(TrackRow.key, TrackRow.id).where(
                    TrackRow.key.in_(batch), TrackRow.status == TrackStatus.PRESENT
                )
                found.update({row.key: row.id for row in connection.execute(query)})
        return found

    def recording_id(self, audio_hash: bytes) -> int | None:
        """The recording with this hash of its encoded audio."""
        query = select(RecordingRow.id).where(RecordingRow.audio_hash == audio_hash)
        with self.reading() as connection:
            return connection.execute(query).scalar()

    def activations(self, track_id: int, model_id: int) -> NDArray[np.float32] | None:
        """The tag activations (tags,) of a track."""
        found = self._activations_by_id([track_id], model_id).get(track_id)
        return None if found is None else np.frombuffer(found, dtype="<f2").astype(np.float32)

    def activations_of(self, ids: Sequence[int], model: StoredModel) -> NDArray[np.float32]:
        """The tag activations (len(ids), tags) of tracks; NaN in rows of unknown ids."""
        found = self._activations_by_id(ids, model.id)
        absent = np.full(len(model.tag_names), np.nan, dtype="<f2").tobytes()
        stored = b"".join(found.get(track_id, absent) for track_id in ids)
        rows = np.frombuffer(stored, dtype="<f2").reshape(len(ids), len(model.tag_names))
        return rows.astype(np.float32)

    def _activations_by_id(self, ids: Sequence[int], model_id: int) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        with self.translating():
            query = _activations_by_track(model_id)
            for rows in self.database.rows_of(query, TrackRow.id, list(ids)):
                for intact, track_id, activations in rows:
                    require_intact(intact, f"embedding of track {track_id}")
                    found[track_id] = activations
        return found

    def changes_since(self, change: int, model: StoredModel) -> Iterator[Changes]:
        """Changes to vectors after the change number `change`, oldest first, in batches."""
        query = (
            select(
                TrackRow.id,
                TrackRow.status,
                EmbeddingRow.vector,
                is_intact(TrackRow) & func.coalesce(is_intact(EmbeddingRow), true()),
            )
            .outerjoin(
                EmbeddingRow,
                (EmbeddingRow.recording_id == TrackRow.recording_id)
                & (EmbeddingRow.model_id == model.id),
            )
            .where(TrackRow.change > change)
            .order_by(TrackRow.change, TrackRow.id)
        )
        with self.reading() as connection:
            for rows in (
                connection.execution_options(yield_per=BATCH_IDS).execute(query).partitions()
            ):
                for row in rows:
                    require_intact(row[3], f"track {row[0]} or its embedding")
                alive = [r for r in rows if r[1] == TrackStatus.PRESENT and r[2] is not None]
                gone = [r[0] for r in rows if r[1] != TrackStatus.PRESENT or r[2] is None]
                stored = np.frombuffer(b"".join(r[2] for r in alive), dtype="<f2")
                yield Changes(
                    ids=np.array([r[0] for r in alive], dtype=np.int64),
                    vectors=to_unit_float32(stored.reshape(len(alive), model.dim)),
                    gone=np.array(gone, dtype=np.int64),
                )

    def count_changed(self, change: int) -> int:
        """Number of tracks whose vector or presence has changed after a change number."""
        query = select(func.count()).select_from(TrackRow).where(TrackRow.change > change)
        with self.reading() as connection:
            return connection.execute(query).scalar_one()

    def counts(self) -> dict[str, int]:
        """Number of tracks of each status, of failures and of recordings."""
        by_status = select(TrackRow.status, func.count()).group_by(TrackRow.status)
        with self.reading() as connection:
            counts = {str(status): 0 for status in TrackStatus}
            for status, count in connection.execute(by_status):
                require_intact(status in counts, f"a track's status is {status!r}")
                counts[status] = count
            for name, table in (("failures", FailureRow), ("recordings", RecordingRow)):
                counts[name] = connection.execute(
                    select(func.count()).select_from(table)
                ).scalar_one()
        return counts

    def count_missing(self, ids: Sequence[int]) -> int:
        """Number of these tracks that are missing."""
        with self.reading() as connection:
            return sum(
                connection.execute(
                    select(func.count())
                    .select_from(TrackRow)
                    .where(TrackRow.id.in_(batch), TrackRow.status == TrackStatus.MISSING)
                ).scalar_one()
                for batch in _batches(list(ids))
            )

    def played_seconds(self) -> float:
        """Sum of the present tracks' durations, in seconds."""
        query = (
            select(func.coalesce(func.sum(RecordingRow.duration_s), 0.0))
            .join(TrackRow)
            .where(TrackRow.status == TrackStatus.PRESENT)
        )
        with self.reading() as connection:
            return float(connection.execute(query).scalar_one())

    def damage(self) -> list[str]:
        """All damage that can be found, a line each; empty when there is none."""
        return self.database.damage()

    def title_faults(self) -> list[str]:
        """Ways in which the search for titles differs from the tracks; empty where in none."""
        return self.database.title_faults()

    def _one(self, query: Select[Any]) -> Track | None:
        with self.reading() as connection:
            row = connection.execute(query).first()
            return None if row is None else _track(row)

    def _state(self) -> Row[Any]:
        """The row of the table `catalog`."""
        query: Any = select(CatalogRow, is_intact(CatalogRow))
        with self.reading() as connection:
            row = connection.execute(query).first()
            if row is None or not row[-1]:
                raise malformed_row("catalog")
        return row

    def _paths(
        self, row_class: type[RootRow | MountRow], condition: ColumnElement[bool]
    ) -> list[bytes]:
        query = select(row_class.path, is_intact(row_class)).where(condition)
        query = query.order_by(row_class.path)
        with self.reading() as connection:
            rows = connection.execute(query).all()
            for path, intact in rows:
                require_intact(intact, f"{row_class.__tablename__} {path!r}")
        return [row[0] for row in rows]


_LISTS = [
    position
    for position, name in enumerate(Track.__dataclass_fields__)
    if name in TrackRow.__table__.columns
    and isinstance(TrackRow.__table__.columns[name].type, TextList)
]
"""Positions of the fields of a track that are lists of texts."""
_HAS_COVER = list(Track.__dataclass_fields__).index("has_cover")


@cache
def _tracks_by_id() -> Rows:
    return _track_query()


@cache
def _activations_by_track(model_id: int) -> Rows:
    return (
        select(is_intact(EmbeddingRow), TrackRow.id, EmbeddingRow.activations)
        .join(TrackRow, TrackRow.recording_id == EmbeddingRow.recording_id)
        .where(EmbeddingRow.model_id == literal_column(str(model_id)))
    )


def _track_query() -> Select[Any]:
    """What `_track` reads: whether both rows are intact, then the fields of a track."""
    tables = (TrackRow, RecordingRow)
    columns: list[Any] = [
        # As stored: rows come straight from the driver, too.
        type_coerce(next(getattr(table, name) for table in tables if hasattr(table, name)), Text)
        for name in Track.__dataclass_fields__
    ]
    intact: Any = is_intact(TrackRow) & is_intact(RecordingRow)
    joined = TrackRow.recording_id == RecordingRow.id
    return select(intact, *columns).select_from(TrackRow).join(RecordingRow, joined)


def _track(row: Sequence[Any]) -> Track:
    require_intact(row[0], f"track {row[1]}")
    values = list(row[1:])
    for position in _LISTS:
        values[position] = parse_text_list(values[position])
    values[_HAS_COVER] = bool(values[_HAS_COVER])
    return Track(*values)


def _failure_query() -> Select[Any]:
    names = Failure.__dataclass_fields__
    return select(is_intact(FailureRow), *[getattr(FailureRow, name) for name in names])


def _failure(row: Sequence[Any]) -> Failure:
    require_intact(row[0], f"failure of {row[1]!r}")
    return Failure(*row[1:])


def _batches(items: list[Item]) -> Iterator[list[Item]]:
    for start in range(0, len(items), BATCH_IDS):
        yield items[start : start + BATCH_IDS]


def is_small(path: Path) -> bool:
    """Whether a catalog is a file so small that it is checked whenever it is opened."""
    return path.exists() and path.stat().st_size <= CHECKED_BYTES
