"""A catalog on a PostgreSQL server: `indexer.catalog.database.Database` of it.

Readers see one state of it for as long as a transaction lasts (REPEATABLE READ) and never wait.
Several processes may write, one transaction after the other.
"""

from __future__ import annotations

import os
import socket
import threading
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from sqlalchemy import (
    ARRAY,
    URL,
    BigInteger,
    bindparam,
    create_engine,
    func,
    inspect,
    make_url,
    or_,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import psycopg as psycopg_dialect
from sqlalchemy.exc import ArgumentError

from indexer.catalog.address import server_url
from indexer.catalog.database import BLOCK, Rows, TitleMatches
from indexer.catalog.postgres.errors import translate_errors
from indexer.catalog.postgres.integrity import damage
from indexer.catalog.postgres.locks import BESIDE_OTHERS, ONE_TRANSACTION, WritersLock
from indexer.catalog.postgres.titles import (
    make_names_again,
    name_faults,
    named_tracks,
    search_titles,
    store_names,
)
from indexer.catalog.revisions import check_revision, first_row, migrate
from indexer.catalog.schema import REVISIONS, CatalogRow
from indexer.errors import CatalogMissing, InvalidOption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection

Result = TypeVar("Result")

CONNECT_S = 10
"""Seconds that a server may take to answer."""
_XMIN = "SELECT xmin::text::bigint FROM catalog"
_SHOW_READERS = "UPDATE catalog SET id = id"
"""Readers look at this row only to see whether anything has changed."""


class PostgresDatabase:
    """See `indexer.catalog.database.Database`, whose methods these are."""

    path: Path

    def __init__(self, url: URL) -> None:
        self.address = url.render_as_string(hide_password=False)
        url = server_url(self.address)
        self.name = url.render_as_string(hide_password=True)
        self.seen_from = os.environ.get("SOUNDALIKE_MACHINE") or socket.gethostname()
        self._engine = create_engine(
            url,
            connect_args={
                "application_name": f"soundalike {self.seen_from}:{os.getpid()}",
                "connect_timeout": CONNECT_S,
                # Compiling takes longer than the short queries of a question.
                "options": "-c jit=off",
            },
            # A server that was started anew costs no question.
            pool_pre_ping=True,
        )
        self._reading = self._engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._lock: WritersLock | None = None
        self._watch: psycopg.Connection[Any] | None = None
        self._watching = threading.Lock()

    @classmethod
    def open_for_reading(cls, address: str) -> PostgresDatabase:
        """Open an existing catalog.

        Raises
        ------
        CatalogMissing, NotACatalog, CatalogTooNew, CatalogUnreachable, CatalogForbidden
        """
        database = cls(_url(address))
        try:
            check_revision(database.name, database._revision())
            database.path = _file_of_caches(database._uuid())
        except BaseException:
            database.close()
            raise
        return database

    @classmethod
    def open_for_writing(cls, address: str, *, create: bool) -> PostgresDatabase:
        """Open beside other writers.

        Raises
        ------
        CatalogMissing, CatalogLocked, NotACatalog, CatalogTooNew, CatalogFull,
        CatalogUnreachable, CatalogForbidden
        """
        database = cls(_url(address))
        try:
            with database.translating():
                database._lock = WritersLock(database.name, database._connect)
            database._bring_up_to_date(create=create)
            database.path = _file_of_caches(database._uuid())
        except BaseException:
            database.close()
            raise
        return database

    @property
    def writable(self) -> bool:
        return self._lock is not None

    def close(self) -> None:
        if self._watch is not None:
            self._watch.close()
        self._engine.dispose()
        if self._lock is not None:
            self._lock.release()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self.translating(), self._reading.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with self.translating(), self._engine.begin() as connection:
            if self._lock is not None and not self._lock.is_alone:
                connection.execute(text(BESIDE_OTHERS))
            connection.execute(text(ONE_TRANSACTION))
            facets = connection.execute(select(CatalogRow.facets_change)).scalar_one()
            yield connection
            store_names(connection, since=facets)
            connection.execute(text(_SHOW_READERS))

    @contextmanager
    def writing_beside(self) -> Iterator[Connection]:
        with self.translating(), self._engine.begin() as connection:
            connection.execute(text(ONE_TRANSACTION))
            yield connection
            connection.execute(text(_SHOW_READERS))

    @contextmanager
    def alone(self) -> Iterator[None]:
        if self._lock is None or self._lock.is_alone:
            yield
            return
        with self.translating():
            self._lock.take_alone()
        try:
            yield
        finally:
            with self.translating():
                self._lock.share()

    def translating(self) -> AbstractContextManager[None]:
        return translate_errors(self.name)

    def version(self) -> int:
        # Every transaction that writes leaves its number in the row of the table `catalog`.
        return self._watched(lambda watch: int(_one(watch.execute(_XMIN).fetchone())))

    def blocks(self, connection: Connection, statement: str) -> Iterator[Sequence[tuple[Any, ...]]]:
        return _streamed(connection, statement, None)

    def rows_of(
        self, query: Rows, column: Any, values: Sequence[int]
    ) -> Iterator[Sequence[tuple[Any, ...]]]:
        statement = _with_condition(query, column)
        wanted = {"values": list(values)}
        yield self._watched(lambda watch: watch.execute(statement, wanted).fetchall())

    def rows_by_path(
        self, query: Rows, path: Any, within: Sequence[tuple[bytes, bytes]]
    ) -> Iterator[Sequence[tuple[Any, ...]]]:
        ranges = [(path >= low) & (path < high) for low, high in within]
        ordered = query.where(or_(*ranges)).order_by(path)
        with self.reading() as connection:
            compiled = ordered.compile(connection)
            yield from _streamed(connection, str(compiled), compiled.params)

    def search_titles(self, text: str) -> TitleMatches:
        with self.reading() as connection:
            return search_titles(connection, text)

    def named_tracks(self, text: str, *, most: int) -> list[int]:
        with self.reading() as connection:
            return named_tracks(connection, text, most=most)

    def make_titles_again(self, connection: Connection) -> None:
        make_names_again(connection)

    def title_faults(self) -> list[str]:
        with self.reading() as connection:
            return name_faults(connection)

    def damage(self) -> list[str]:
        with self.reading() as connection:
            return damage(connection)

    def _connect(self) -> psycopg.Connection[Any]:
        """A connection that commits each statement."""
        raw = self._engine.raw_connection()
        connection: Any = raw.dbapi_connection
        raw.detach()
        connection.autocommit = True
        return connection  # type: ignore[no-any-return]  # typed for any driver

    def _watched(self, ask: Callable[[psycopg.Connection[Any]], Result]) -> Result:
        """What a connection that is kept at hand is asked; a broken one is made again once."""
        with self.translating(), self._watching:
            if self._watch is not None:
                try:
                    return ask(self._watch)
                except psycopg.OperationalError:
                    self._watch.close()
            self._watch = self._connect()
            return ask(self._watch)

    def _revision(self) -> str | None:
        with self.reading() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            revision: str | None = connection.execute(
                text("SELECT version_num FROM alembic_version")
            ).scalar()
            return revision

    def _uuid(self) -> str:
        with self.reading() as connection:
            return connection.execute(select(CatalogRow.uuid)).scalar_one()

    def _bring_up_to_date(self, *, create: bool) -> None:
        """Make the tables, or bring older ones to the present schema, in one transaction."""
        revision = self._revision()
        if revision == REVISIONS[-1]:
            return
        if revision is None and not create:
            raise CatalogMissing(
                f"there is no catalog in {self.name}: make one with `soundalike index FOLDER`"
            )
        if revision is not None:
            check_revision(self.name, revision)
        with (
            self.alone() if revision else nullcontext(),
            self.translating(),
            self._engine.begin() as connection,
        ):
            connection.execute(text(ONE_TRANSACTION))
            is_empty = not inspect(connection).has_table("alembic_version")
            migrate(connection)
            if is_empty:
                connection.execute(first_row())


def _streamed(
    connection: Connection, statement: str, values: Mapping[str, Any] | None
) -> Iterator[Sequence[tuple[Any, ...]]]:
    raw: Any = connection.connection.dbapi_connection
    # By name, or the driver would take all rows at once.
    with raw.cursor("blocks") as cursor:
        cursor.execute(statement, values)
        while rows := cursor.fetchmany(BLOCK):
            yield rows


@lru_cache(maxsize=32)
def _with_condition(query: Rows, column: Any) -> str:
    """The text of a query for the driver, which takes `values`."""
    values = bindparam("values", type_=ARRAY(BigInteger))
    dialect: Any = psycopg_dialect.PGDialect_psycopg
    return str(query.where(column == func.any(values)).compile(dialect=dialect()))


def _one(row: tuple[Any, ...] | None) -> Any:
    if row is None:
        from indexer.catalog.digests import malformed_row

        raise malformed_row("catalog")
    return row[0]


def _url(address: str) -> URL:
    try:
        url = make_url(address)
    except ArgumentError as error:
        raise InvalidOption(
            "the address of the catalog cannot be read: write postgresql://user@host/database"
        ) from error
    if url.get_backend_name() != "postgresql" or not url.database:
        raise InvalidOption(
            f"{url.render_as_string()} names no database: write postgresql://user@host/database"
        )
    return url.set(drivername="postgresql+psycopg")


def _file_of_caches(uuid: str) -> Path:
    """The file that the catalog would have: what is kept of it on this machine lies beside it."""
    named = os.environ.get("SOUNDALIKE_CACHE")
    base = (
        Path(named)
        if named
        else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "soundalike"
    )
    folder = base.expanduser() / uuid
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve() / "catalog.db"
