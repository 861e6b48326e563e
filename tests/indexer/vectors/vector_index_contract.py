"""What every kind of vector index must do, as tests that a kind joins by naming itself.

class TestMyIndex(VectorIndexContract):
    index_class = MyIndex
"""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer.errors import BadVector, InvalidOption, UnknownTrack
from indexer.vectors.base import Stamp

DIM = 8
DIM_OF_MUSIC = 32
STAMP = Stamp(catalog="0b8a", model="c0ffee", change=41)


def unit_vectors(count, dim=DIM, *, seed=0):
    """Seeded unit vectors, rounded as the catalog keeps them: float16, then unit length again."""
    rows = np.random.default_rng(seed).standard_normal((count, dim))
    return as_kept(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def as_kept(rows):
    half = rows.astype(np.float16).astype(np.float32)
    return half / np.linalg.norm(half, axis=1, keepdims=True)


def clustered(count, *, clusters=60, seed=0, dim=DIM_OF_MUSIC):
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((clusters, dim))
    labels = rng.integers(0, clusters, count)
    rows = centres[labels] + 0.7 * rng.standard_normal((count, dim))
    return as_kept(rows / np.linalg.norm(rows, axis=1, keepdims=True)), labels


def recall(found, vectors, queries, allowed):
    """Mean part of the k nearest of `allowed` (ids are row numbers) in what was found (q, k)."""
    k = found.shape[1]
    best = np.argsort(-(queries @ vectors[allowed].T), axis=1, kind="stable")[:, :k]
    return np.mean(
        [len(np.intersect1d(row, allowed[top])) / k for row, top in zip(found, best, strict=True)]
    )


class Oracle:
    """Exact search in plain numpy."""

    def __init__(self):
        self.vectors = {}

    def add(self, ids, vectors):
        self.vectors.update(zip(np.asarray(ids).tolist(), vectors, strict=True))

    def remove(self, ids):
        return sum(self.vectors.pop(one, None) is not None for one in set(np.asarray(ids).tolist()))

    def search(self, query, k, among=None):
        allowed = set(self.vectors) if among is None else set(self.vectors) & set(among.tolist())
        ids = np.array(sorted(allowed), dtype=np.int64)
        if not ids.size:
            return ids, np.empty(0, dtype=np.float32)
        rows = np.array([self.vectors[one] for one in ids.tolist()], dtype=np.float64)
        scores = (rows * query.astype(np.float64)).sum(axis=1).astype(np.float32)
        order = np.lexsort((ids, -scores))[:k]
        return ids[order], scores[order]


class VectorIndexContract:
    index_class = None

    def make(self, count=0, *, seed=0):
        index = self.index_class(DIM)
        if count:
            index.add(np.arange(count), unit_vectors(count, seed=seed))
        return index

    def test_an_empty_index_answers_nothing(self):
        index = self.make()
        ids, scores = index.search(unit_vectors(3), 5)
        assert ids.shape == scores.shape == (3, 0)
        assert (ids.dtype, scores.dtype) == (np.int64, np.float32)
        assert len(index) == 0
        assert index.ids().size == 0
        assert index.remove([1, 2]) == 0
        assert index.search(unit_vectors(1), 5, among=[1])[0].shape == (1, 0)

    def test_no_query_gets_no_answer(self):
        assert self.make(4).search(np.empty((0, DIM)), 3)[0].shape == (0, 3)

    def test_a_vector_finds_itself_first(self):
        index = self.make(60)
        ids, scores = index.search(unit_vectors(60), 1)
        assert ids[:, 0].tolist() == list(range(60))
        np.testing.assert_allclose(scores, 1.0, atol=1e-6)

    def test_a_known_answer(self):
        # On a circle of 12 the nearest are the places beside, and the two sides are equal.
        angles = np.arange(12) * np.pi / 6
        circle = np.zeros((12, DIM))
        circle[:, 0], circle[:, 1] = np.round(np.cos(angles), 9), np.round(np.sin(angles), 9)
        index = self.make()
        index.add(np.arange(12) * 10, as_kept(circle))
        ids, scores = index.search(as_kept(circle[:1]), 5)
        assert ids[0].tolist() == [0, 10, 110, 20, 100]
        np.testing.assert_allclose(
            scores[0], [1, *np.cos([np.pi / 6] * 2 + [np.pi / 3] * 2)], atol=1e-3
        )

    def test_k_larger_than_the_index(self):
        ids, scores = self.make(7).search(unit_vectors(2, seed=1), 100)
        assert ids.shape == (2, 7)
        assert (np.diff(scores, axis=1) <= 0).all()
        assert (np.sort(ids, axis=1) == np.arange(7)).all()

    @pytest.mark.parametrize("copies", [30, 1000])
    def test_equal_scores_are_ordered_by_id(self, copies):
        index = self.make(50)
        one = unit_vectors(1, seed=9)
        ids = 100 + np.random.default_rng(0).permutation(copies)
        index.add(ids, np.repeat(one, copies, axis=0))
        found, scores = index.search(one, 10)
        assert found[0].tolist() == list(range(100, 110))
        assert np.unique(scores).size == 1

    def test_ties_at_the_last_place_go_to_the_smallest_ids(self):
        index = self.make()
        best, tied = unit_vectors(2, seed=3)
        index.add(np.arange(500, 505), np.repeat(best[None], 5, axis=0))
        index.add(np.arange(300)[::-1], np.repeat(tied[None], 300, axis=0))
        found, _ = index.search(best[None], 9)
        assert found[0].tolist() == [500, 501, 502, 503, 504, 0, 1, 2, 3]

    def test_adding_again_replaces(self):
        index = self.make(20)
        new = unit_vectors(1, seed=5)
        index.add([7], new)
        assert len(index) == 20
        np.testing.assert_allclose(index.reconstruct([7]), new, atol=1e-7)
        assert index.search(new, 1)[0].tolist() == [[7]]
        old = unit_vectors(20)[7:8]
        assert index.search(old, 1)[1][0, 0] < 0.999

    def test_remove_counts_what_was_there(self):
        index = self.make(20)
        assert index.remove([3, 4, 4, 99, -1]) == 2
        assert index.remove([3]) == 0
        assert len(index) == 18
        assert index.ids().tolist() == [0, 1, 2, *range(5, 20)]
        assert 3 not in index.search(unit_vectors(20)[3:4], 18)[0]

    def test_holds(self):
        index = self.make(20)
        index.remove([4])
        assert index.holds([0, 4, 19, 20, -1, 2**62]).tolist() == [1, 0, 1, 0, 0, 0]
        assert index.holds([]).tolist() == []

    def test_reconstruct_in_the_order_asked(self):
        index = self.make(20)
        np.testing.assert_allclose(
            index.reconstruct([9, 2, 9]), unit_vectors(20)[[9, 2, 9]], atol=1e-7
        )
        assert index.reconstruct([]).shape == (0, DIM)
        with pytest.raises(UnknownTrack, match="77"):
            index.reconstruct([2, 77])

    def test_among_tolerates_order_repetition_and_unknown_ids(self):
        index = self.make(40)
        query = unit_vectors(1, seed=2)
        ids, scores = index.search(query, 10, among=[30, 5, 5, 8, -4, 10**15, 30, 21])
        assert sorted(ids[0].tolist()) == [5, 8, 21, 30]
        assert (np.diff(scores) <= 0).all()
        for nobody in ([], [77]):
            assert index.search(query, 10, among=nobody)[0].shape == (1, 0)

    @pytest.mark.parametrize("size", [0, 1, 4, 60, 150])
    def test_a_subset_is_as_good_as_its_ids_also_when_vectors_came_and_went(self, size):
        index = self.make(150)
        vectors = unit_vectors(160)
        chosen = np.random.default_rng(3).permutation(150)[:size]
        subset = index.subset(np.r_[chosen, chosen[:2], -7, 10**15])
        assert subset.ids.tolist() == sorted(chosen.tolist())
        assert len(subset) == size
        queries = unit_vectors(9, seed=4)
        for _ in range(2):
            for found, expected in zip(
                index.search(queries, 12, subset), index.search(queries, 12, chosen), strict=True
            ):
                np.testing.assert_array_equal(found, expected)
            # Another vector under an old id, an id gone, and new ones that are not of the subset.
            replaced = chosen[:1].tolist()
            places = [150] * len(replaced) + list(range(150, 160))
            index.add([*replaced, *range(150, 160)], vectors[places])
            index.remove(chosen[1:2])

    def test_ids_may_lie_far_apart(self):
        index = self.make()
        ids = np.array([2**62, 5, 2**40, 0])
        index.add(ids, unit_vectors(4))
        assert index.search(unit_vectors(4), 1)[0][:, 0].tolist() == ids.tolist()
        found, _ = index.search(unit_vectors(4), 4, among=[2**62, 2**40, 2**41])
        assert found.shape == (4, 2)
        assert index.remove([2**40]) == 1
        assert index.ids().tolist() == [0, 5, 2**62]

    @pytest.mark.parametrize(
        ("row", "words"),
        [
            (np.full(DIM, np.nan), "NaN"),
            (np.r_[np.inf, np.zeros(DIM - 1)], "NaN or infinity"),
            (np.zeros(DIM), "length 0"),
            (np.r_[1.01, np.zeros(DIM - 1)], "length 1.01"),
            (np.r_[3e38, 3e38, np.zeros(DIM - 2)], "length inf"),
        ],
    )
    def test_bad_vectors_are_refused_and_named(self, row, words):
        index = self.make(5)
        vectors = np.vstack([unit_vectors(2), row[None], row[None]]).astype(np.float32)
        with pytest.raises(BadVector, match=f"Vector 2 .*{words}"):
            index.add(np.arange(10, 14), vectors)
        with pytest.raises(BadVector, match="Vector 2"):
            index.search(vectors, 1)
        assert index.ids().tolist() == [0, 1, 2, 3, 4]

    @pytest.mark.parametrize("shape", [(DIM,), (2, DIM + 1), (1, 2, DIM)])
    def test_vectors_of_another_shape_are_refused(self, shape):
        with pytest.raises(BadVector, match="shape"):
            self.make(5).search(np.ones(shape), 1)

    def test_vectors_that_are_no_numbers_are_refused(self):
        with pytest.raises(BadVector, match="numbers"):
            self.make().add([1], [["a"] * DIM])

    @pytest.mark.parametrize(
        "ids", [[1, 1], [1], [-1, 2], [0.5, 1.5], [[1, 2]], ["a", "b"], [True, False]]
    )
    def test_bad_ids_are_refused(self, ids):
        index = self.make()
        with pytest.raises(InvalidOption):
            index.add(ids, unit_vectors(2))
        assert len(index) == 0

    @pytest.mark.parametrize("k", [0, -1])
    def test_k_below_one_is_refused(self, k):
        with pytest.raises(InvalidOption, match="1 or more"):
            self.make(3).search(unit_vectors(1), k)

    def test_what_the_caller_does_to_its_arrays_later_changes_nothing(self):
        index = self.make()
        ids, vectors = np.arange(30), unit_vectors(30)
        index.add(ids, vectors)
        vectors[:] = vectors[::-1].copy()
        ids += 100
        index.ids()[:] = 7
        assert index.search(unit_vectors(30), 1)[0][:, 0].tolist() == list(range(30))

    def test_a_batch_equals_one_by_one(self):
        index = self.make(150)
        queries = unit_vectors(70, seed=4)
        for among in (None, np.arange(0, 150, 3)):
            ids, scores = index.search(queries, 12, among)
            for row, query in enumerate(queries):
                alone = index.search(query[None], 12, among)
                np.testing.assert_array_equal(ids[row], alone[0][0])
                np.testing.assert_array_equal(scores[row], alone[1][0])

    def test_instalments_with_removals_answer_as_at_once(self):
        vectors = unit_vectors(190, seed=6)
        vectors[100:120] = vectors[0]
        at_once = self.make()
        at_once.add(np.arange(190), vectors)
        bit_by_bit = self.make()
        order = np.random.default_rng(1).permutation(190)
        for part in np.array_split(order, 5):
            bit_by_bit.add(part, vectors[part])
            bit_by_bit.remove(part[:7])
            bit_by_bit.add(part[:7][::-1], vectors[part[:7][::-1]])
        for k in (1, 10, 50, 190):
            for found, expected in zip(
                bit_by_bit.search(vectors, k), at_once.search(vectors, k), strict=True
            ):
                np.testing.assert_array_equal(found, expected)

    def test_saved_and_opened_it_answers_the_same(self, tmp_path):
        index = self.make(120)
        index.remove([3, 50])
        path = tmp_path / "catalog.vectors"
        index.save(path, STAMP)
        opened, stamp = self.index_class.open(path, dim=DIM)
        assert stamp == STAMP
        assert len(opened) == 118
        queries = unit_vectors(30, seed=8)
        for among in (None, np.arange(40)):
            for found, expected in zip(
                opened.search(queries, 9, among), index.search(queries, 9, among), strict=True
            ):
                np.testing.assert_array_equal(found, expected)
        opened.add([3], unit_vectors(120)[3:4])
        assert opened.remove([4]) == 1
        assert opened.search(unit_vectors(120)[3:4], 1)[0].tolist() == [[3]]

    @settings(
        max_examples=40,
        # Each kind of index runs it from its own class.
        suppress_health_check=[HealthCheck.differing_executors],
    )
    @given(st.data())
    def test_any_sequence_answers_as_plain_numpy(self, data):
        # Few distinct vectors and ids, so that ties, replacements and misses are common.
        stock = unit_vectors(12, seed=11)
        index, oracle = self.make(), Oracle()
        some_ids = st.lists(st.integers(0, 40), max_size=20)
        for _ in range(data.draw(st.integers(1, 8))):
            verb = data.draw(st.sampled_from(["add", "remove", "search"]))
            ids = np.array(data.draw(some_ids), dtype=np.int64)
            if verb == "add":
                ids = np.unique(ids)
                picks = data.draw(
                    st.lists(st.integers(0, 11), min_size=ids.size, max_size=ids.size)
                )
                for each in (index, oracle):
                    each.add(ids, stock[np.array(picks, dtype=int)])
            elif verb == "remove":
                assert index.remove(ids) == oracle.remove(ids)
            else:
                among = data.draw(st.sampled_from([None, ids]))
                query = stock[data.draw(st.integers(0, 11))]
                k = data.draw(st.integers(1, 12))
                found, scores = index.search(query[None], k, among)
                expected = oracle.search(query, k, among)
                assert found[0].tolist() == expected[0].tolist()
                np.testing.assert_allclose(scores[0], expected[1], atol=3e-7)
            assert index.ids().tolist() == sorted(oracle.vectors)
            assert len(index) == len(oracle.vectors)
