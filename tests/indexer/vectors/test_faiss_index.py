"""The FAISS index: the contract for both of its kinds, and what is particular to it."""

from time import perf_counter

import faiss
import numpy as np
import pytest

from indexer.vectors.faiss_index import FaissIndex, IndexPolicy

from .vector_index_contract import DIM, STAMP, VectorIndexContract, as_kept, unit_vectors

SMALL = IndexPolicy(exact_up_to=200, read_all_up_to=20)
DIM_OF_MUSIC = 32


class GroupedFromTheStart(FaissIndex):
    """Small enough libraries for the contract, grouped into lists all the same."""

    def __init__(self, dim, *, policy=None):
        super().__init__(
            dim, policy=policy or IndexPolicy(exact_up_to=1, read_all_up_to=2, recall=1.0)
        )


class TestExact(VectorIndexContract):
    index_class = FaissIndex


class TestGrouped(VectorIndexContract):
    """With a recall of 1 asked for, grouped lists must answer as exact search does."""

    index_class = GroupedFromTheStart

    def test_it_is_grouped(self):
        assert self.make(30).facts().kind == "lists"


def clustered(count, *, clusters=60, seed=0, dim=DIM_OF_MUSIC):
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((clusters, dim))
    labels = rng.integers(0, clusters, count)
    rows = centres[labels] + 0.7 * rng.standard_normal((count, dim))
    return as_kept(rows / np.linalg.norm(rows, axis=1, keepdims=True)), labels


def recall(found, vectors, queries, allowed):
    """Mean part of the 10 nearest of `allowed` (ids are row numbers) that was found."""
    best = np.argsort(-(queries @ vectors[allowed].T), axis=1, kind="stable")[:, :10]
    return np.mean(
        [len(np.intersect1d(row, allowed[top])) / 10 for row, top in zip(found, best, strict=True)]
    )


@pytest.fixture(scope="module")
def library():
    vectors, labels = clustered(12_000)
    index = FaissIndex(DIM_OF_MUSIC, policy=IndexPolicy(exact_up_to=2_000, read_all_up_to=40))
    index.add(np.arange(12_000), vectors)
    return index, vectors, labels


def test_the_kind_follows_the_number_of_vectors():
    vectors, _ = clustered(900)
    index = FaissIndex(DIM_OF_MUSIC, policy=SMALL)
    index.add(np.arange(200), vectors[:200])
    assert index.facts().kind == "exact"
    index.add([200], vectors[200:201])
    facts = index.facts()
    assert (facts.kind, facts.lists, facts.grouped_at) == ("lists", round(4 * 201**0.5), 201)
    index.add(np.arange(201, 401), vectors[201:401])
    assert index.facts().grouped_at == 201
    index.add(np.arange(401, 402), vectors[401:402])
    assert index.facts().grouped_at == 402
    index.remove(np.arange(101, 402))
    assert index.facts().kind == "lists"
    index.remove([100])
    assert index.facts().kind == "exact"
    assert index.search(vectors[:100], 1)[0][:, 0].tolist() == list(range(100))


def test_lists_are_made_anew_when_most_vectors_have_gone():
    vectors, _ = clustered(2_000)
    index = FaissIndex(DIM_OF_MUSIC, policy=SMALL)
    index.add(np.arange(2_000), vectors)
    assert index.facts().lists == round(4 * 2_000**0.5)
    index.remove(np.arange(400, 2_000))
    assert index.facts().lists == round(4 * 400**0.5)


def test_recall_is_measured_again_as_the_index_grows():
    vectors, _ = clustered(1_500)
    index = FaissIndex(DIM_OF_MUSIC, policy=SMALL)
    index.add(np.arange(1_000), vectors[:1_000])
    index.add(np.arange(1_000, 1_200), vectors[1_000:1_200])
    assert index.facts().measured_at == 1_000
    index.add(np.arange(1_200, 1_400), vectors[1_200:1_400])
    assert (index.facts().measured_at, index.facts().grouped_at) == (1_400, 1_000)


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


@pytest.mark.parametrize("policy", [IndexPolicy(), IndexPolicy(exact_up_to=500, read_all_up_to=20)])
def test_thousands_of_copies_in_either_kind(policy):
    vectors, _ = clustered(1_000)
    index = FaissIndex(DIM_OF_MUSIC, policy=policy)
    index.add(np.arange(1_000), vectors)
    index.add(np.arange(9_000, 5_000, -1), np.repeat(vectors[:1], 4_000, axis=0))
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


def test_the_measurements_are_kept_in_the_file(library, tmp_path):
    index, _, _ = library
    index.save(tmp_path / "c.faiss", STAMP)
    opened, _ = FaissIndex.open(tmp_path / "c.faiss", dim=DIM_OF_MUSIC)
    assert opened.facts() == index.facts()


@pytest.mark.parametrize("count", [0, 150, 250])
def test_the_file_is_one_that_faiss_reads(tmp_path, count):
    vectors = unit_vectors(count)
    index = FaissIndex(DIM, policy=IndexPolicy(exact_up_to=200, read_all_up_to=20, recall=1.0))
    index.add(np.arange(count) + 1_000, vectors)
    index.save(tmp_path / "c.faiss", STAMP)
    plain = faiss.read_index(str(tmp_path / "c.faiss"))
    assert (plain.ntotal, plain.d) == (count, DIM)
    if count:
        _, ids = plain.search(vectors, 1)
        assert ids[:, 0].tolist() == list(range(1_000, 1_000 + count))


def test_vectors_survive_half_precision_and_every_change_of_kind(tmp_path):
    vectors, _ = clustered(400)
    index = FaissIndex(DIM_OF_MUSIC, policy=SMALL)
    index.add(np.arange(400), vectors)
    index.save(tmp_path / "c.faiss", STAMP)
    opened, _ = FaissIndex.open(tmp_path / "c.faiss", dim=DIM_OF_MUSIC, policy=SMALL)
    opened.remove(np.arange(100, 400))
    kept = opened.reconstruct(np.arange(100))
    np.testing.assert_allclose(kept, vectors[:100], atol=1.2e-7, rtol=0)
    fresh = FaissIndex(DIM_OF_MUSIC)
    fresh.add(np.arange(100), kept)
    np.testing.assert_array_equal(fresh.reconstruct(np.arange(100)), kept)


def test_removing_a_thousand_of_fifty_thousand_is_quick():
    # FAISS's own way scans or renumbers; a hashed map makes it a matter of milliseconds.
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((50_000, DIM)).astype(np.float32)
    index = FaissIndex(DIM)
    index.add(np.arange(50_000), rows / np.linalg.norm(rows, axis=1, keepdims=True))
    gone = rng.permutation(50_000)[:1_000]
    start = perf_counter()
    assert index.remove(gone) == 1_000
    assert perf_counter() - start < 0.1
