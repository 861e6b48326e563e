"""A library whose vectors the server of its catalog searches."""

from __future__ import annotations

import json
import time
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner

from indexer.catalog import writer
from indexer.catalog.address import with_vectors_on_server
from indexer.catalog.reader import Catalog
from indexer.catalog.status import TrackStatus
from indexer.errors import IndexServerError, InvalidOption
from indexer.library_on_server import open_library, open_library_for_writing
from indexer.vectors.pgvector_index import PgvectorIndex
from indexer.vectors.policy import IndexPolicy
from recommender import Recommender
from recommender.__main__ import cli
from tests.catalogs import Planted, plant
from tests.postgres import PostgresServer, embedded_or_skip

if TYPE_CHECKING:
    from pathlib import Path

    from indexer.library import Library

COUNT = 300
POLICY = IndexPolicy(exact_up_to=200, read_all_up_to=20, recall=1.0)


@pytest.fixture
def address(postgres_address: str, postgres_server: PostgresServer, tmp_path: Path) -> str:
    """A catalog on a server with pgvector, which has no vectors there yet."""
    assert postgres_server.binaries == embedded_or_skip()
    tracks = [Planted(title=f"Title {n}") for n in range(COUNT)]
    plant(tmp_path, ["piano"], tracks, address=postgres_address)
    return with_vectors_on_server(postgres_address)


def set_status(address: str, ids: range, status: TrackStatus) -> None:
    with closing(Catalog.open_for_writing(address)) as opened, opened.writing() as connection:
        writer.set_status(connection, list(ids), status)


def assert_exact(library: Library, count: int) -> None:
    """Every answer is that of an exact search in the vectors of the catalog."""
    library.refresh()
    model, index = library.catalog.active_model(), library.index
    assert model is not None
    assert isinstance(index, PgvectorIndex)
    parts = list(library.catalog.changes_since(0, model))
    held = np.concatenate([part.ids for part in parts])
    vectors = np.concatenate([part.vectors for part in parts])
    assert len(held) == len(index) == count
    queries = vectors[::29]
    found, _ = index.search(queries, 8)
    for row, query in zip(found, queries, strict=True):
        order = np.lexsort((held, -(vectors.astype(np.float64) @ query)))
        assert row.tolist() == held[order][:8].tolist()


def test_readers_and_writers_keep_the_server_in_step(address: str) -> None:
    with (
        closing(open_library(address, policy=POLICY)) as one,
        closing(open_library(address, policy=POLICY)) as other,
    ):
        assert_exact(one, COUNT)
        set_status(address, range(1, 41), TrackStatus.REMOVED)
        assert_exact(other, COUNT - 40)
        assert_exact(one, COUNT - 40)
        set_status(address, range(1, 41), TrackStatus.PRESENT)
        assert_exact(one, COUNT)
        for library in (one, other):
            library.refresh()
            assert library.verify().sound
            assert library.stamp == one.stamp


def test_a_process_of_a_reader_makes_lists(address: str) -> None:
    with closing(open_library(address, policy=POLICY)) as library:
        library.refresh()
        assert library.index is not None
        # As long as the test may take: a process of low priority makes them.
        while library.index.is_makeshift:
            time.sleep(0.1)
            library.refresh()
        assert library.index.facts().kind == "lists"
        assert_exact(library, COUNT)


def test_a_writer_leaves_vectors_and_lists_at_the_server(address: str) -> None:
    with closing(open_library_for_writing(address, policy=POLICY)):
        pass
    with closing(open_library(address, policy=POLICY)) as library:
        assert library.index is not None
        assert (library.index.facts().kind, library.index.facts().changed) == ("lists", 0)


def test_rebuild_makes_the_vectors_again(address: str) -> None:
    with closing(open_library_for_writing(address, policy=POLICY)) as library:
        index = library.index
        assert index is not None
        index.remove([3])
        index.add([5], index.reconstruct([6]))
        report = library.verify()
        assert (report.not_in_index, report.other_vector) == ((3,), (5,))
        assert library.rebuild() == COUNT
        assert library.verify().sound
        assert_exact(library, COUNT)


def test_commands_take_it(address: str, tmp_path: Path) -> None:
    plain = address.partition("&vectors")[0]
    said = []
    for options in (["--vectors", "pgvector"], []):
        done = CliRunner().invoke(
            cli, ["similar", "17", "--catalog", plain, *options, "--json"], catch_exceptions=False
        )
        assert done.exit_code == 0, done.output
        said.append([one["id"] for one in json.loads(done.stdout)["neighbours"]])
    assert said[0] == said[1]
    with pytest.raises(InvalidOption, match="beside a catalog there"):
        with_vectors_on_server(tmp_path / "catalog.db")


def test_a_table_that_is_taken_away_costs_a_sentence(
    address: str, postgres_server: PostgresServer
) -> None:
    database = address.partition("@/")[2].partition("?")[0]
    with Recommender.open(address) as recommender:
        answer = recommender.similar_to_track(3, 5)
        postgres_server.run("DROP SCHEMA soundalike_vectors CASCADE", database)
        with pytest.raises(IndexServerError, match="rebuild"):
            recommender.similar_to_track(3, 6)
    with closing(open_library_for_writing(address)) as library:
        library.rebuild()
    with Recommender.open(address) as recommender:
        assert recommender.similar_to_track(3, 5) == answer
