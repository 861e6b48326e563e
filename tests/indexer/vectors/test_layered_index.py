"""The layered index: the contract for all of its shapes, and what is particular to it."""

import os
import tempfile
from pathlib import Path
from time import thread_time

import faiss
import numpy as np
import pytest

from indexer.errors import IndexFileError
from indexer.mapped_arrays import MappedArrays
from indexer.vectors.base_file import KIND
from indexer.vectors.layered_index import LayeredIndex
from indexer.vectors.policy import IndexPolicy

from .vector_index_contract import (
    DIM,
    DIM_OF_MUSIC,
    STAMP,
    VectorIndexContract,
    as_kept,
    clustered,
    recall,
    unit_vectors,
)

ALL_IN_LISTS = IndexPolicy(exact_up_to=1, read_all_up_to=2, recall=1.0)


class Rewritten(LayeredIndex):
    """Small enough libraries for the contract, with a base that every third change writes anew."""

    def __init__(self, dim, *, policy=ALL_IN_LISTS, recover=None):
        super().__init__(dim, policy=policy, recover=recover)
        self.changes = 0

    def add(self, ids, vectors):
        super().add(ids, vectors)
        self.rewrite()

    def remove(self, ids):
        removed = super().remove(ids)
        self.rewrite()
        return removed

    def rewrite(self):
        self.changes += 1
        if self.changes % 3 == 1 and len(self):
            reopen(self, ALL_IN_LISTS)


def reopen(index, policy):
    """Write an index to a file and go on with what the file holds."""
    with tempfile.TemporaryDirectory() as folder:
        index.save(Path(folder) / "vectors", STAMP)
        opened, stamp = LayeredIndex.open(Path(folder) / "vectors", dim=index.dim, policy=policy)
    assert stamp == STAMP
    index.take_over(opened)


class TestExact(VectorIndexContract):
    index_class = LayeredIndex


class TestLayered(VectorIndexContract):
    """With a recall of 1 asked for, base and recent vectors must answer as exact search does."""

    index_class = Rewritten

    def test_it_has_lists(self):
        index = self.make(30)
        assert index.facts().kind == "lists"
        index.add([77], unit_vectors(1, seed=5))
        index.remove([3])
        assert (index.facts().vectors, index.facts().changed) == (30, 2)


@pytest.fixture(scope="module")
def library():
    """12,000 vectors, most of them in a base; 1,500 are recent, of which 500 replace others."""
    vectors, labels = clustered(12_000)
    policy = IndexPolicy(exact_up_to=2_000, read_all_up_to=40, write_at=0.2)
    index = LayeredIndex(DIM_OF_MUSIC, policy=policy)
    index.add(np.arange(500, 11_500), vectors[np.r_[11_500:12_000, 1_000:11_500]])
    reopen(index, policy)
    index.add(np.r_[:1_000, 11_500:12_000], vectors[np.r_[:1_000, 11_500:12_000]])
    return index, vectors, labels


def test_lists_are_made_when_a_file_is_written():
    vectors, _ = clustered(900)
    policy = IndexPolicy(exact_up_to=200, read_all_up_to=20)
    index = LayeredIndex(DIM_OF_MUSIC, policy=policy)
    index.add(np.arange(200), vectors[:200])
    assert (index.facts().kind, index.is_makeshift) == ("exact", False)
    reopen(index, policy)
    assert (index.facts().kind, index.is_due) == ("exact", False)
    index.add([200], vectors[200:201])
    assert (index.facts().kind, index.is_makeshift, index.is_due) == ("exact", True, True)
    reopen(index, policy)
    facts = index.facts()
    assert (facts.kind, facts.lists, facts.trained_on) == ("lists", round(3 * 201**0.5), 201)
    index.remove(np.arange(101, 201))
    reopen(index, policy)
    assert (index.facts().kind, len(index)) == ("exact", 101)
    assert index.search(vectors[:101], 1)[0][:, 0].tolist() == list(range(101))


def test_lists_are_trained_anew_when_the_library_has_doubled_and_measured_at_a_quarter():
    vectors, _ = clustered(2_100)
    policy = IndexPolicy(exact_up_to=200, read_all_up_to=20)
    index = LayeredIndex(DIM_OF_MUSIC, policy=policy)
    seen = []
    for start, stop in ((0, 1_000), (1_000, 1_200), (1_200, 1_300), (1_300, 2_000), (2_000, 2_100)):
        index.add(np.arange(start, stop), vectors[start:stop])
        reopen(index, policy)
        facts = index.facts()
        seen.append((facts.trained_on, facts.measured_at, facts.changed))
    assert seen == [(1_000, 1_000, 0)] * 2 + [
        (1_000, 1_300, 0),
        (1_000, 2_000, 0),
        (2_100, 2_100, 0),
    ]


@pytest.mark.parametrize("changed", [50, 51])
def test_a_file_is_due_when_a_twentieth_has_changed(changed):
    policy = IndexPolicy(exact_up_to=200)
    index = LayeredIndex(DIM, policy=policy)
    index.add(np.arange(1_000), unit_vectors(1_000))
    reopen(index, policy)
    index.add(np.arange(changed), unit_vectors(changed, seed=1))
    assert index.is_due == (changed > 50)


def test_recall_holds_for_queries_that_are_not_in_the_library(library):
    index, vectors, _ = library
    queries, _ = clustered(200, seed=5)
    found, _ = index.search(queries, 10)
    facts = index.facts()
    assert facts.kind == "lists"
    assert facts.nprobe < facts.lists / 2
    assert facts.recall >= 0.99
    assert recall(found, vectors, queries, np.arange(len(vectors))) >= 0.99


@pytest.mark.parametrize("part", [0.5, 0.1, 0.01, 0.001])
def test_recall_holds_under_a_random_filter(library, part):
    index, vectors, _ = library
    queries, _ = clustered(100, seed=6)
    allowed = np.sort(np.random.default_rng(7).permutation(12_000)[: int(12_000 * part)])
    found, scores = index.search(queries, 10, among=allowed)
    assert found.shape == (100, 10)
    assert recall(found, vectors, queries, allowed) >= 0.99
    for again, expected in zip(
        index.search(queries, 10, among=index.subset(allowed)), (found, scores), strict=True
    ):
        np.testing.assert_array_equal(again, expected)
    # What is scored is scored exactly, also by an approximate search.
    wide = vectors.astype(np.float64)
    np.testing.assert_allclose(scores[3], wide[found[3]] @ queries[3].astype(np.float64), atol=1e-6)


@pytest.mark.parametrize("clusters", [1, 6, 20, 30, 45])
def test_recall_holds_under_a_filter_that_follows_clusters(library, clusters):
    # Queries from other clusters: the lists nearest to them hold nothing that may be answered.
    index, vectors, labels = library
    queries, query_labels = clustered(200, seed=8)
    queries = queries[query_labels >= clusters]
    allowed = np.flatnonzero(labels < clusters)
    found, _ = index.search(queries, 10, among=allowed)
    assert found.shape[1] == 10
    assert (labels[found] < clusters).all()
    assert recall(found, vectors, queries, allowed) >= 0.99


@pytest.mark.parametrize("k", [50, 1_000, 12_000])
def test_never_fewer_than_k_and_recall_holds_for_large_k(library, k):
    index, vectors, _ = library
    queries, _ = clustered(5, seed=9)
    found, _ = index.search(queries, k)
    best = np.argsort(-(queries @ vectors.T), axis=1)[:, :k]
    for row, expected in zip(found, best, strict=True):
        assert np.unique(row).size == k
        assert np.intersect1d(row, expected).size >= 0.98 * k


@pytest.mark.parametrize("copies", ["in the base", "recent", "in both"])
def test_thousands_of_copies(copies):
    vectors, _ = clustered(1_000)
    policy = IndexPolicy(exact_up_to=500, read_all_up_to=20)
    index = LayeredIndex(DIM_OF_MUSIC, policy=policy)
    index.add(np.arange(1_000), vectors)
    ids = np.arange(9_000, 5_000, -1)
    in_base = {"in the base": ids, "recent": ids[:0], "in both": ids[::3]}[copies]
    index.add(in_base, np.repeat(vectors[:1], len(in_base), axis=0))
    reopen(index, policy)
    index.add(np.setdiff1d(ids, in_base), np.repeat(vectors[:1], 4_000 - len(in_base), axis=0))
    assert index.search(vectors[:1], 10)[0].tolist() == [[0, *range(5_001, 5_010)]]
    odd = np.arange(5_001, 9_001, 2)
    assert index.search(vectors[:1], 5, among=odd)[0].tolist() == [odd[:5].tolist()]


@pytest.mark.parametrize("threads", [1, 2])
def test_the_number_of_threads_changes_nothing(library, threads):
    index, _, _ = library
    queries, _ = clustered(20, seed=10)
    expected = index.search(queries, 20)
    before = faiss.omp_get_max_threads()
    try:
        faiss.omp_set_num_threads(threads)
        found = index.search(queries, 20)
    finally:
        faiss.omp_set_num_threads(before)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


def test_vectors_survive_half_precision_and_every_file(tmp_path):
    vectors, _ = clustered(400)
    policy = IndexPolicy(exact_up_to=200, read_all_up_to=20)
    index = LayeredIndex(DIM_OF_MUSIC, policy=policy)
    index.add(np.arange(400), vectors)
    reopen(index, policy)
    index.remove(np.arange(100, 400))
    reopen(index, policy)
    kept = index.reconstruct(np.arange(100))
    np.testing.assert_allclose(kept, vectors[:100], atol=1.2e-7, rtol=0)
    fresh = LayeredIndex(DIM_OF_MUSIC)
    fresh.add(np.arange(100), kept)
    np.testing.assert_array_equal(fresh.reconstruct(np.arange(100)), kept)


def test_axes_of_very_different_sizes_cost_no_recall():
    # Principal axes: the first ones hold nearly all.
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((6_000, 64)) * 0.85 ** np.arange(64)
    vectors = as_kept(rows / np.linalg.norm(rows, axis=1, keepdims=True))
    policy = IndexPolicy(exact_up_to=1_000, read_all_up_to=20)
    index = LayeredIndex(64, policy=policy)
    index.add(np.arange(5_900), vectors[:5_900])
    reopen(index, policy)
    found, _ = index.search(vectors[5_900:], 10)
    assert recall(found, vectors, vectors[5_900:], np.arange(5_900)) >= 0.98


def damage(path, array):
    """Flip a bit in the middle of an array of a file, or in its footer."""
    arrays = MappedArrays.open(path, kind=KIND)
    content = bytearray(path.read_bytes())
    middle = len(content) - 100
    if array != "footer":
        middle = arrays.offset(array) + arrays.array(array).nbytes // 2
    content[middle] ^= 4
    path.write_bytes(content)


@pytest.fixture
def saved(tmp_path):
    vectors, _ = clustered(3_000)
    index = LayeredIndex(
        DIM_OF_MUSIC, policy=IndexPolicy(exact_up_to=1_000, read_all_up_to=20, recall=1.0)
    )
    index.add(np.arange(3_000), vectors)
    index.save(tmp_path / "vectors", STAMP)
    return index, vectors, tmp_path / "vectors"


@pytest.mark.parametrize(
    "array", ["centroids", "limits", "sizes", "ids", "row_of", "footer", "id_of", "lists", "half"]
)
def test_a_damaged_file_never_answers(saved, array):
    index, vectors, file = saved
    damage(file, array)
    recovered = []

    def recover(error):
        recovered.append(str(error))
        return index

    if array not in ("id_of", "lists", "half"):  # read when it is opened
        with pytest.raises(IndexFileError, match="damaged"):
            LayeredIndex.open(file, dim=DIM_OF_MUSIC, recover=recover)
        return
    opened, _ = LayeredIndex.open(file, dim=DIM_OF_MUSIC, recover=recover)
    for found, expected in zip(opened.search(vectors, 10), index.search(vectors, 10), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert len(recovered) == 1
    assert "damaged" in recovered[0]
    unguarded, _ = LayeredIndex.open(file, dim=DIM_OF_MUSIC)
    with pytest.raises(IndexFileError, match="damaged"):
        unguarded.require_intact()


def test_a_file_of_vectors_of_another_length_is_refused(tmp_path):
    index = LayeredIndex(DIM)
    index.add([1], unit_vectors(1))
    index.save(tmp_path / "vectors", STAMP)
    with pytest.raises(IndexFileError, match="vectors of 8 numbers, not of 9"):
        LayeredIndex.open(tmp_path / "vectors", dim=9)


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    index = LayeredIndex(DIM)
    index.add([1], unit_vectors(1))
    with pytest.raises(IndexFileError, match="cannot be written"):
        index.save(tmp_path / "nowhere" / "vectors", STAMP)


def test_what_is_open_answers_while_its_file_is_replaced(tmp_path):
    vectors, _ = clustered(3_000)
    policy = IndexPolicy(exact_up_to=1_000, read_all_up_to=20)
    index = LayeredIndex(DIM_OF_MUSIC, policy=policy)
    index.add(np.arange(3_000), vectors)
    index.save(tmp_path / "vectors", STAMP)
    opened, _ = LayeredIndex.open(tmp_path / "vectors", dim=DIM_OF_MUSIC, policy=policy)
    expected = opened.search(vectors[:50], 10)
    index.remove(np.arange(0, 3_000, 2))
    index.save(tmp_path / "vectors", STAMP)
    os.unlink(tmp_path / "vectors")
    found = opened.search(vectors[:50], 10)
    np.testing.assert_array_equal(found[0], expected[0])


def test_removing_a_thousand_of_fifty_thousand_is_quick():
    # FAISS's own way scans or renumbers; a hashed map makes it a matter of milliseconds.
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((50_000, DIM)).astype(np.float32)
    index = LayeredIndex(DIM)
    index.add(np.arange(50_000), rows / np.linalg.norm(rows, axis=1, keepdims=True))
    gone = rng.permutation(50_000)[:1_000]
    start = thread_time()
    assert index.remove(gone) == 1_000
    assert thread_time() - start < 0.1
