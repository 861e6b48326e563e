"""Vectors of one catalog and model in a table with pgvector: what is asked of the server, in SQL.

A vector is stored as halfvec, float16, and goes over the wire as PostgreSQL's binary formats have
it: rows of fixed length that numpy reads and writes as an array.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from psycopg import errors, sql

from indexer.errors import IndexServerError
from indexer.vectors.base import Stamp
from indexer.vectors.half_precision import to_half

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from psycopg import Connection

SCHEMA = "soundalike_vectors"
_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
_BLOCK = 16_384
_BITMAP_SPREAD = 8
"""A set of ids goes to the server as a bitmap if they lie no further apart than this."""
_CREATE = (
    "CREATE SCHEMA IF NOT EXISTS {schema}",
    """
    CREATE TABLE IF NOT EXISTS {schema}.indexes (
        name text PRIMARY KEY, catalog text, model text, change bigint NOT NULL, lists text)
    """,
    "CREATE TABLE {table} (id bigint PRIMARY KEY, v halfvec({dim}) NOT NULL)",
    """
    INSERT INTO {schema}.indexes VALUES ({name}, {catalog}, {model}, 0)
    ON CONFLICT (name) DO UPDATE SET change = 0, lists = NULL
    """,
)
_ALL_ROWS = (
    "SET LOCAL enable_indexscan = off; SET LOCAL enable_seqscan = on; SET LOCAL enable_sort = on"
)
_LEAST_MEMORY_KB = 65_536
_POINTS_A_LIST = 50
"""Of the training, by pgvector's own choice."""


class Proposals(NamedTuple):
    """Vectors near to a query, nearest first as the server sees it.

    Attributes
    ----------
    ids : int64 (n,)
    half : float16 (n, dim)
    products : float32 (n,)
        Inner products with the query rounded to float16.
    ranks : int64 (n,)
        Place of each, from 1, among all that were read, whether they may be answered or not.
    """

    ids: NDArray[np.int64]
    half: NDArray[np.float16]
    products: NDArray[np.float32]
    ranks: NDArray[np.int64]


@dataclass(frozen=True)
class ListFacts:
    """The lists of a table, and what was measured of them.

    Attributes
    ----------
    lists : int
    trained_on : int
        Number of vectors when they were made.
    ranks, probes : tuple of int
        So many lists are to be read for the vectors up to a rank; empty until it is measured.
    recall : float
        Part of the 10 nearest found by the first of `probes`.
    measured_at : int
        Number of vectors when that was measured.
    """

    lists: int
    trained_on: int
    ranks: tuple[int, ...] = ()
    probes: tuple[int, ...] = ()
    recall: float = 0.0
    measured_at: int = 0

    def probes_for(self, rank: float) -> int | None:
        """Lists to read for the vectors up to a rank; None for more than was measured."""
        if not self.ranks or rank > self.ranks[-1]:
            return None
        return int(np.ceil(np.interp(np.log(rank), np.log(self.ranks), self.probes)))


EVERYTHING = sql.SQL("true")


def only(ids: NDArray[np.int64]) -> sql.Composable:
    """The condition that a row has one of some ids, (m,), ascending."""
    if not len(ids) or int(ids[-1]) >= _BITMAP_SPREAD * len(ids) + 65_536:
        return sql.SQL("id = ANY({})").format(_array(ids))
    wanted = np.zeros(int(ids[-1]) + 1, dtype=bool)
    wanted[ids] = True
    bits = np.packbits(wanted, bitorder="little").tobytes()
    return sql.SQL("CASE WHEN id < {} THEN get_bit({}, id) = 1 ELSE false END").format(
        len(wanted), sql.Literal(bits)
    )


def literal(query: NDArray[np.float32]) -> sql.Composable:
    """A query (dim,) as the server takes it, rounded to float16."""
    numbers = ",".join(map(repr, query.astype(np.float16).astype(float).tolist()))
    return sql.SQL("{}::halfvec").format(sql.Literal(f"[{numbers}]"))


class VectorTable:
    """A table of vectors by id.

    Its methods take a connection that is in a transaction.

    Parameters
    ----------
    catalog, model : str
        UUID and fingerprint, both in the table's name.
    """

    def __init__(self, catalog: str, model: str, dim: int) -> None:
        self.catalog = catalog
        self.model = model
        self.dim = dim
        # A name may have 63 letters.
        which = f"{catalog.replace('-', '')}_{model[:12]}"
        self.name = f"vectors_{which}"
        self._table = sql.Identifier(SCHEMA, self.name)
        self._index = f"lists_{which}"
        # Before each value of a row is its length, and all is big-endian.
        vector: list[Any] = [("dim", ">i2"), ("unused", ">i2"), ("v", ">f2", (dim,))]
        head = [("fields", ">i2"), ("id_length", ">i4"), ("id", ">i8"), ("v_length", ">i4")]
        self._sent = np.dtype(vector)
        self._copied = np.dtype([*head, *vector])

    def create(self, connection: Connection) -> None:
        """Make what is not there yet.

        Raises
        ------
        IndexServerError
            The server has no pgvector, or the role may not use it.
        """
        if self._exists(connection):
            return
        # Two that begin at once would both find nothing.
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [SCHEMA])
        if self._exists(connection):
            return
        _require_pgvector(connection)
        for statement in _CREATE:
            connection.execute(
                sql.SQL(statement).format(
                    schema=sql.Identifier(SCHEMA),
                    table=self._table,
                    dim=self.dim,
                    name=self.name,
                    catalog=self.catalog,
                    model=self.model,
                )
            )

    def lock(self, connection: Connection) -> None:
        """Be the only one that changes the table, until the transaction ends."""
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [self.name])

    def stamp(self, connection: Connection) -> Stamp:
        """The state of the catalog that the table holds."""
        return Stamp(*self._row(connection, "catalog, model, change"))

    def set_stamp(self, connection: Connection, stamp: Stamp) -> None:
        """Say which state of the catalog the table holds."""
        self._set(connection, "catalog", stamp.catalog)
        self._set(connection, "model", stamp.model)
        self._set(connection, "change", stamp.change)

    def list_facts(self, connection: Connection) -> ListFacts | None:
        """The lists that the vectors lie in; None while there are none."""
        (found,) = self._row(connection, "lists")
        if found is None:
            return None
        facts = json.loads(found)
        return ListFacts(**{**facts, "ranks": (*facts["ranks"],), "probes": (*facts["probes"],)})

    def set_list_facts(self, connection: Connection, facts: ListFacts | None) -> None:
        """Keep what is known of the lists."""
        self._set(connection, "lists", None if facts is None else json.dumps(asdict(facts)))

    def ids(self, connection: Connection) -> NDArray[np.int64]:
        """All ids, ascending, (n,)."""
        query = sql.SQL("COPY (SELECT id FROM {}) TO STDOUT (FORMAT BINARY)").format(self._table)
        with connection.cursor().copy(query) as stream:
            data = b"".join(stream)
        row = np.dtype([("fields", ">i2"), ("length", ">i4"), ("id", ">i8")])
        rows = np.frombuffer(data[len(_SIGNATURE) : -len(_END)], dtype=row)
        return np.sort(rows["id"].astype(np.int64))

    def vectors(
        self, connection: Connection, ids: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        """Those of some distinct ids that are there, and their vectors, by id."""
        rows = []
        for start in range(0, len(ids), _BLOCK):
            query = sql.SQL("SELECT id, halfvec_send(v) FROM {} WHERE id = ANY({})").format(
                self._table, _array(ids[start : start + _BLOCK])
            )
            rows += connection.cursor(binary=True).execute(query).fetchall()
        found = np.array([row[0] for row in rows], dtype=np.int64)
        order = np.argsort(found)
        return found[order], self._half([row[1] for row in rows])[order]

    def put(
        self, connection: Connection, ids: NDArray[np.int64], vectors: NDArray[np.float32]
    ) -> None:
        """Add unit vectors (n, dim) in place of those that have the same ids."""
        self.delete(connection, ids)
        row_bytes = self._sent.itemsize
        copy = sql.SQL("COPY {} (id, v) FROM STDIN (FORMAT BINARY)").format(self._table)
        with connection.cursor().copy(copy) as stream:
            stream.write(_SIGNATURE)
            for start in range(0, len(ids), _BLOCK):
                part = slice(start, start + _BLOCK)
                rows = np.zeros(len(ids[part]), dtype=self._copied)
                rows["fields"], rows["id_length"], rows["id"] = 2, 8, ids[part]
                rows["v_length"], rows["dim"], rows["v"] = (
                    row_bytes,
                    self.dim,
                    to_half(vectors[part]),
                )
                stream.write(rows.tobytes())
            stream.write(_END)

    def delete(self, connection: Connection, ids: NDArray[np.int64]) -> int:
        """Remove vectors; returns how many were there."""
        if not len(ids):
            return 0
        statement = sql.SQL("DELETE FROM {} WHERE id = ANY({})")
        return connection.execute(statement.format(self._table, _array(ids))).rowcount

    def clear(self, connection: Connection) -> None:
        """Remove all vectors with their lists, and the tables of the catalog's other models."""
        self.lock(connection)
        self.drop_lists(connection)
        connection.execute(sql.SQL("TRUNCATE {}").format(self._table))
        self._set(connection, "change", 0)
        of_others = connection.execute(
            f"DELETE FROM {SCHEMA}.indexes WHERE catalog = %s AND name <> %s RETURNING name",  # noqa: S608
            [self.catalog, self.name],
        ).fetchall()
        for (name,) in of_others:
            connection.execute(
                sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(SCHEMA, name))
            )

    def make_lists(self, connection: Connection, lists: int) -> None:
        """Group the vectors into lists of neighbours, in place of those there are."""
        # pgvector's k-means keeps a bound on the distance of each point to each centroid.
        points = _POINTS_A_LIST * lists
        memory_kb = (4 * lists * (points + lists) + points * (2 * self.dim + 64)) // 800
        connection.execute(f"SET LOCAL maintenance_work_mem = {max(_LEAST_MEMORY_KB, memory_kb)}")
        new = sql.Identifier(f"{self._index}_new")
        connection.execute(
            sql.SQL(
                "CREATE INDEX {} ON {} USING ivfflat (v halfvec_ip_ops) WITH (lists = {})"
            ).format(new, self._table, lists)
        )
        # Whoever asks meanwhile uses those before, and waits no longer than this takes.
        self.drop_lists(connection)
        connection.execute(
            sql.SQL("ALTER INDEX {}.{} RENAME TO {}").format(
                sql.Identifier(SCHEMA), new, sql.Identifier(self._index)
            )
        )
        connection.execute(sql.SQL("ANALYZE {}").format(self._table))

    def begin_lists(self, connection: Connection) -> bool:
        """Be the only one that makes lists, until `end_lists`; False where another one does."""
        return self._asked(connection, "pg_try_advisory_lock")

    def end_lists(self, connection: Connection) -> None:
        """Let others make lists."""
        self._asked(connection, "pg_advisory_unlock")

    def _asked(self, connection: Connection, function: str) -> bool:
        found = connection.execute(
            f"SELECT {function}(hashtextextended(%s, 0))",
            [self._index],
        ).fetchone()
        return found == (True,)

    def drop_lists(self, connection: Connection) -> None:
        """Leave the vectors without lists."""
        connection.execute(
            sql.SQL("DROP INDEX IF EXISTS {}").format(sql.Identifier(SCHEMA, self._index))
        )
        self.set_list_facts(connection, None)

    def nearest(
        self, connection: Connection, query: sql.Composable, limit: int, among: sql.Composable
    ) -> Proposals:
        """The rows of a condition that are nearest to a query; every row is compared."""
        connection.execute(_ALL_ROWS)
        statement = sql.SQL(
            "SELECT id, halfvec_send(v), v <#> {query} AS product, 0::bigint FROM {table} "
            "WHERE {among} ORDER BY product LIMIT {limit}"
        )
        return self._proposals(
            connection,
            statement.format(query=query, table=self._table, among=among, limit=limit),
        )

    def nearest_in_lists(
        self,
        connection: Connection,
        query: sql.Composable,
        limit: int,
        among: sql.Composable,
        *,
        probes: int,
        depth: int,
    ) -> Proposals:
        """The first `limit` rows of a condition among the `depth` nearest in some lists."""
        connection.execute(_in_lists(probes))
        # Numbered as they come: a window with an order would sort, and so read, all of them first.
        statement = sql.SQL(
            "SELECT id, halfvec_send(v), product, rank FROM ("
            "SELECT id, v, v <#> {query} AS product, row_number() OVER () AS rank FROM ("
            "SELECT id, v FROM {table} ORDER BY v <#> {query} LIMIT {depth}) AS near"
            ") AS ranked WHERE {among} LIMIT {limit}"
        )
        return self._proposals(
            connection,
            statement.format(query=query, table=self._table, among=among, limit=limit, depth=depth),
        )

    def products(
        self, connection: Connection, query: sql.Composable, count: int, *, probes: int | None
    ) -> NDArray[np.float32]:
        """The largest inner products with a query, in some lists or (None) of all vectors."""
        connection.execute(_ALL_ROWS if probes is None else _in_lists(probes))
        statement = sql.SQL(
            "SELECT v <#> {query} FROM {table} ORDER BY v <#> {query} LIMIT {count}"
        )
        rows = connection.cursor(binary=True).execute(
            statement.format(query=query, table=self._table, count=count)
        )
        return -np.array([product for (product,) in rows], dtype=np.float32)

    def _proposals(self, connection: Connection, query: sql.Composed) -> Proposals:
        rows = connection.cursor(binary=True).execute(query).fetchall()
        return Proposals(
            np.array([row[0] for row in rows], dtype=np.int64),
            self._half([row[1] for row in rows]),
            -np.array([row[2] for row in rows], dtype=np.float32),
            np.array([row[3] for row in rows], dtype=np.int64),
        )

    def _half(self, sent: list[bytes]) -> NDArray[np.float16]:
        """Vectors (n, dim) as the server sends them."""
        return np.frombuffer(b"".join(sent), dtype=self._sent)["v"].astype(np.float16)

    def _exists(self, connection: Connection) -> bool:
        # Unlike to_regclass, a query of the system's tables sees what others have just made.
        found = connection.execute(
            "SELECT FROM pg_tables WHERE schemaname = %s AND tablename = %s", [SCHEMA, self.name]
        )
        return found.fetchone() is not None

    def _row(self, connection: Connection, columns: str) -> tuple[Any, ...]:
        found = connection.execute(
            f"SELECT {columns} FROM {SCHEMA}.indexes WHERE name = %s",  # noqa: S608 - our own names
            [self.name],
        ).fetchone()
        if found is None:
            raise IndexServerError(
                f"The table {SCHEMA}.{self.name} was taken away: ask again, it is made anew."
            )
        return found

    def _set(self, connection: Connection, column: str, value: object) -> None:
        connection.execute(
            f"UPDATE {SCHEMA}.indexes SET {column} = %s WHERE name = %s",  # noqa: S608
            [value, self.name],
        )


def _in_lists(probes: int) -> str:
    """Settings with which so many lists are read."""
    return (
        f"SET LOCAL ivfflat.probes = {probes}; SET LOCAL enable_indexscan = on; "
        "SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off"
    )


def _array(ids: NDArray[np.int64]) -> sql.Composable:
    return sql.SQL("{}::bigint[]").format(sql.Literal("{" + ",".join(map(str, ids.tolist())) + "}"))


def _require_pgvector(connection: Connection) -> None:
    """See that the database has pgvector, with halfvec."""
    try:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    except errors.InsufficientPrivilege as error:
        raise IndexServerError(
            "The database has no pgvector, and this role may not add it: let a superuser run "
            "`CREATE EXTENSION vector` in it."
        ) from error
    except (errors.FeatureNotSupported, errors.UndefinedFile) as error:
        raise IndexServerError(
            "The server has no pgvector: install it there (Debian: postgresql-NN-pgvector), or "
            "leave out `--vectors pgvector`."
        ) from error
    found = connection.execute("SELECT to_regtype('halfvec') IS NULL").fetchone()
    if found == (True,):
        raise IndexServerError(
            "The database's pgvector has no halfvec: update it to 0.7 or newer with "
            "`ALTER EXTENSION vector UPDATE`."
        )
