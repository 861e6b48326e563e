"""Saving, refitting, removing and exporting: what a service does with a recommender."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import faiss
import numpy as np
import pytest
from pyarrow import parquet
from torch import nn, tensor

from indexer.errors import BadFactors, InvalidOption, QueryError, UnknownTrack
from recommender.cold_start import HybridRecommender, Route
from recommender.cold_start.growing_rows import GrowingRows
from recommender.cold_start.top_n import largest_products
from tests.recommender.cold_start.plays import ITEMS, ROUTE, USERS, WARM, World, fitted, keys

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def named(world: World) -> HybridRecommender:
    """Old items and new ones, called by text."""
    made = HybridRecommender(
        world.model, world.train, world.embeddings[:WARM], artists=world.artists[:WARM],
        item_keys=keys(0, WARM), user_keys=range(1000, 1000 + USERS), route=ROUTE,
    )  # fmt: skip
    made.add_items(keys(WARM, ITEMS), world.embeddings[WARM:], artists=world.artists[WARM:])
    return made


def test_a_saved_recommender_answers_the_same_and_takes_new_items(
    world: World, named: HybridRecommender, tmp_path: Path
) -> None:
    named.remove_items(["item 201"])
    named.save(tmp_path / "hybrid.npz")
    other = HybridRecommender.load(tmp_path / "hybrid.npz")
    for one in (named, other):
        one.add_items(["item 201"], world.embeddings[201:202])
    for ask in (
        lambda one: one.recommend(1003, world.train[3], N=50),
        lambda one: one.recommend_liked(["item 4", "item 220"], N=50),
        lambda one: one.similar_users(1003),
    ):
        np.testing.assert_array_equal(ask(other)[0], ask(named)[0])
        np.testing.assert_array_equal(ask(other)[1], ask(named)[1])
    with pytest.raises(QueryError, match="load with sound="):
        other.add_item("upload", "song.mp3")


def test_a_damaged_file_and_one_of_another_version_are_refused(
    named: HybridRecommender, tmp_path: Path
) -> None:
    file, bad = tmp_path / "hybrid.npz", tmp_path / "bad.npz"
    named.save(file)
    content = file.read_bytes()
    for position in (0, 60, len(content) // 3, len(content) // 2, len(content) - 10):
        bad.write_bytes(
            content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1 :]
        )
        with pytest.raises(BadFactors, match=r"bad\.npz is no saved hybrid .* save the"):
            HybridRecommender.load(bad)
    for cut in (b"", content[:1000]):
        bad.write_bytes(cut)
        with pytest.raises(BadFactors, match=r"bad\.npz is no saved hybrid"):
            HybridRecommender.load(bad)
    for field, value, message in (
        ("version", 999, "has version 999, this program reads 1"),
        ("format", "other", "holds no hybrid recommender"),
    ):
        tree = {"format": "soundalike hybrid recommender", "version": 1, field: value}
        structure = np.frombuffer(json.dumps(tree).encode(), np.uint8)
        with bad.open("wb") as made:
            np.savez(made, structure=structure)
        with pytest.raises(BadFactors, match=message):
            HybridRecommender.load(bad)
    with pytest.raises(FileNotFoundError):
        HybridRecommender.load(tmp_path / "none.npz")


def test_uploads_stay_when_the_model_is_fitted_anew(world: World, named: HybridRecommender) -> None:
    named.remove_items(["item 230"])
    same = named.refreshed(world.model, world.train, route=ROUTE)
    assert len(same) == len(named)
    before, after = (one.recommend(1003, world.train[3], N=50) for one in (named, same))
    np.testing.assert_allclose(after[1], before[1], atol=2e-3)
    wide = world.plays[:, : WARM + 10].tocsr()
    grown = named.refreshed(
        fitted(wide), wide, item_keys=keys(0, WARM + 10), artists={"item 3": "another"},
        route=ROUTE,
    )  # fmt: skip
    assert grown.routes(["item 205", "item 215"]) == [Route.BLEND, Route.SOUND]
    with pytest.raises(UnknownTrack):
        grown.routes(["item 230"])


def test_a_recommender_that_numbers_its_items_is_refitted(world: World) -> None:
    made = HybridRecommender(world.model, world.train, world.embeddings[:WARM], route=ROUTE)
    made.add_items(range(WARM, ITEMS), world.embeddings[WARM:])
    made.remove_items([5, WARM + 3])
    again = made.refreshed(world.model, world.train, route=ROUTE)
    assert len(again) == len(made) == ITEMS - 2
    for gone in (5, WARM + 3):
        with pytest.raises(UnknownTrack):
            again.similar_items(gone)
    assert again.routes([WARM + 4]) == [Route.SOUND]


def test_what_was_removed_is_no_answer(world: World, named: HybridRecommender) -> None:
    named.remove_items(["item 7", "item 215"])
    ids, _ = named.recommend(1003, world.train[3], N=ITEMS, filter_already_liked_items=False)
    assert len(ids) == ITEMS - 2 == len(named)
    assert not {"item 7", "item 215"} & set(ids)
    with pytest.raises(UnknownTrack, match="names no item that exists: 'item 7'"):
        named.similar_items("item 7")
    with pytest.raises(UnknownTrack):
        named.remove_items(["item 8", "item 7"])
    assert "item 8" in named.recommend(1003, None, N=ITEMS, filter_already_liked_items=False)[0]


def test_exported_factors_give_the_same_answers(
    world: World, named: HybridRecommender, tmp_path: Path
) -> None:
    for name in ("items.npz", "items.parquet", "items.faiss"):
        named.export_factors(tmp_path / name)
    named.export_factors(tmp_path / "users.npz", of="users")
    with np.load(tmp_path / "users.npz") as users, np.load(tmp_path / "items.npz") as items:
        assert users["ids"][3] == 1003
        user, factors, ids = users["factors"][3], items["factors"], items["ids"]
    expected, scores = named.recommend(1003, None, N=9, filter_already_liked_items=False)
    assert ids[np.argsort(-(factors @ user), kind="stable")[:9]].tolist() == expected.tolist()
    table = parquet.read_table(tmp_path / "items.parquet").to_pydict()
    assert table["id"] == ids.tolist()
    np.testing.assert_array_equal(table["factors"], factors)
    found, rows = faiss.read_index(str(tmp_path / "items.faiss")).search(user[None], 9)
    names = json.loads((tmp_path / "items.faiss.json").read_text())
    assert [names[row] for row in rows[0]] == expected.tolist()
    np.testing.assert_allclose(found[0], scores, rtol=1e-4)
    with pytest.raises(InvalidOption, match="unknown ending"):
        named.export_factors(tmp_path / "items.csv")


def test_all_users_are_answered_in_blocks(world: World, named: HybridRecommender) -> None:
    whole, _ = named.recommend(range(1000, 1000 + USERS), world.train, N=5)
    blocks = list(named.recommend_in_blocks(world.train, N=5, block=150))
    assert [len(users) for users, _ in blocks] == [150, 150, 100]
    np.testing.assert_array_equal(np.concatenate([ranked[0] for _, ranked in blocks]), whole)


def test_two_towers_of_torch_are_read(world: World) -> None:
    towers = [
        nn.Embedding.from_pretrained(tensor(factors), freeze=False)
        for factors in (world.model.user_factors, world.model.item_factors)
    ]
    sound = tensor(world.embeddings[:WARM])
    expected = HybridRecommender(world.model, world.train, sound, route=ROUTE)
    for pair in (tuple(towers), tuple(one.weight for one in towers)):
        made = HybridRecommender(pair, world.train, sound, route=ROUTE)
        np.testing.assert_array_equal(made.all_factors(), expected.all_factors())


def test_an_answer_does_not_wait_for_the_one_before(world: World, named: HybridRecommender) -> None:
    """Whoever changes items holds the lock shortly; ranking does not."""
    ranking, changed = threading.Event(), threading.Event()
    original = named._items.top_n

    def wait(*arguments: object, **options: object) -> object:
        ranking.set()
        assert changed.wait(20)
        return original(*arguments, **options)  # type: ignore[arg-type] # as handed in

    named._items.top_n = wait  # type: ignore[method-assign] # a slow ranking
    asking = threading.Thread(target=lambda: named.recommend(1003, world.train[3]))
    asking.start()
    assert ranking.wait(20)
    named.add_items(["late"], world.embeddings[:1])
    changed.set()
    asking.join()
    assert len(named) == ITEMS + 1


def test_rows_grow_without_copying_each_time() -> None:
    grown = GrowingRows(np.zeros((5, 2), np.float32))
    rooms = set()
    for number in range(3000):
        before = grown.rows
        grown.append(np.full((1, 2), number, np.float32))
        assert len(grown.rows) == len(before) + 1
        rooms.add(grown.rows.__array_interface__["data"][0])
    assert len(rooms) < 5
    assert (grown.rows[5:, 0] == np.arange(3000)).all()


@pytest.mark.parametrize("n", [1, 3, 300, 5000, 9000])
def test_the_largest_products_are_those_of_a_full_sort(n: int) -> None:
    rng = np.random.default_rng(0)
    items = rng.integers(0, 3, (9000, 3)).astype(np.float32)
    queries = rng.integers(-1, 3, (5, 3)).astype(np.float32)
    scores = queries @ items.T
    hidden = np.array([2, 4095, 4096, 8999])
    scores[:, hidden] = -np.inf
    rows, found = largest_products(queries, items, n, hidden=hidden)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :n]
    there = np.take_along_axis(scores, expected, 1) > -np.inf
    np.testing.assert_array_equal(rows, np.where(there, expected, -1))
    np.testing.assert_array_equal(found[there], np.take_along_axis(scores, expected, 1)[there])
