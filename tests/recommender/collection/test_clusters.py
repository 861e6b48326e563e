from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from indexer.errors import InvalidOption, QueryError
from indexer.library import Library
from recommender.collection.clusters import NOISE, find_clusters, hdbscan, kmeans, label_rows
from recommender.engine import Recommender
from recommender.genres.tag_profile import characteristic_tags
from tests.catalogs import DIM, Planted, plant

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from recommender.collection.clusters import Method

TAGS = ("guitar", "rock guitar", "piano", "mellow", "loud")


def heaps(
    count: int, *, groups: int, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    group = np.arange(count) % groups
    vectors = np.eye(16)[group] + 0.08 * rng.standard_normal((count, 16))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), group


def same_groups(found: NDArray[np.int64], planted: NDArray[np.int64]) -> bool:
    pairs = {*zip(found.tolist(), planted.tolist(), strict=True)}
    return len(pairs) == len(set(planted.tolist())) == len(set(found.tolist()))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten guitars, eight pianos, six of either sort beside them that are like nothing."""
    rng = np.random.default_rng(0)
    planted = []
    for number in range(24):
        group = 0 if number < 10 else 1 if number < 18 else number - 16
        tag = {"guitar": 0.6, "rock guitar": 0.5} if group == 0 else {"piano": 0.7, "mellow": 0.3}
        vector = np.eye(DIM)[group] + (0.05 if group < 2 else 0.3) * rng.standard_normal(DIM)
        planted.append(
            Planted(
                f"Track {number}",
                activations=tag if group < 2 else {},
                vector=vector.tolist(),
                artist="Name\x1b[31m",
            )
        )
    return plant(tmp_path_factory.mktemp("library"), TAGS, planted)


def test_kmeans_finds_heaps_and_their_number() -> None:
    vectors, planted = heaps(200, groups=6)
    assert same_groups(kmeans(vectors)[0], planted)
    assert same_groups(kmeans(vectors, 6)[0], planted)
    np.testing.assert_array_equal(
        kmeans(vectors, 9, random_state=2)[0], kmeans(vectors, 9, random_state=2)[0]
    )


def test_hdbscan_finds_heaps_and_leaves_out_what_lies_between() -> None:
    vectors, planted = heaps(300, groups=5)
    between = np.random.default_rng(1).standard_normal((12, 16)).astype(np.float32)
    between /= np.linalg.norm(between, axis=1, keepdims=True)
    found, _ = hdbscan(np.concatenate([vectors, between]))
    assert same_groups(found[:300], planted)
    assert (found[300:] == NOISE).sum() >= 6


@pytest.mark.parametrize("method", [kmeans, hdbscan])
def test_a_large_library_follows_what_was_drawn(method: Method) -> None:
    vectors, planted = heaps(600, groups=4)
    read: list[int] = []

    def vectors_of(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        read.append(len(rows))
        return vectors[rows]

    found = label_rows(vectors_of, 600, method, most=200, block=100)
    assert same_groups(found, planted)
    assert max(read) == 200


def test_clusters_are_named_by_their_tags_and_shown_by_their_middle(library: Path) -> None:
    with Recommender.open(library) as recommender:
        found = find_clusters(recommender, method="hdbscan")
        vectors = recommender.vectors(recommender.ids())
        again = find_clusters(recommender, method="hdbscan")
    assert found == again
    assert [(one.number, one.name) for one in found.clusters] == [
        (1, "guitar"),
        (2, "piano, mellow"),
    ]
    assert set(range(1, 11)) <= set(found.clusters[0].ids)
    assert set(found.clusters[1].ids) == set(range(11, 19))
    assert found.noise
    assert set(found.noise) <= set(range(19, 25))
    assert [tag.tag for tag in found.clusters[0].tags] == ["guitar", "rock guitar"]
    assert [tag.tag for tag in found.clusters[1].moods] == ["mellow"]
    pianos = vectors[10:18]
    order = 11 + np.argsort(-(pianos @ pianos.mean(axis=0)))
    assert list(found.clusters[1].ids) == order.tolist()
    assert [track.id for track in found.clusters[1].central] == order[:5].tolist()


def test_no_two_clusters_have_one_name(library: Path) -> None:
    with Recommender.open(library) as recommender:
        found = find_clusters(recommender, count=12)
        whole = find_clusters(recommender, count=1)
    names = [one.name for one in found.clusters]
    assert len(set(names)) == len(names) == 12
    assert sorted(i for one in found.clusters for i in one.ids) == list(range(1, 25))
    assert (len(whole.clusters), whole.silhouette, whole.noise) == (1, None, ())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"method": "magic"}, "no method magic"),
        ({"count": 25}, "25 clusters of 24 tracks"),
        ({"count": 0}, "0 clusters"),
        ({"method": "hdbscan", "count": 3}, "leave count out"),
    ],
)
def test_options_without_sense_are_refused(
    library: Path, options: dict[str, object], said: str
) -> None:
    with Recommender.open(library) as recommender, pytest.raises(InvalidOption, match=said):
        find_clusters(recommender, **options)  # type: ignore[arg-type]  # meant to be wrong


@pytest.mark.parametrize("method", ["kmeans", "hdbscan"])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_library_of_a_few_tracks_has_clusters(tmp_path: Path, method: str, count: int) -> None:
    planted = [Planted(str(n), vector=[1.0] * DIM) for n in range(count)]
    with Recommender.open(plant(tmp_path, TAGS, planted)) as recommender:
        found = find_clusters(recommender, method=method)
    assert sum(len(one.ids) for one in found.clusters) + len(found.noise) == count


def test_an_empty_catalog_says_so(tmp_path: Path) -> None:
    Library.open_for_writing(tmp_path / "c.db", create=True).close()
    with Recommender.open(tmp_path / "c.db") as recommender:
        with pytest.raises(QueryError, match="holds no tracks yet"):
            find_clusters(recommender)


def test_the_command_prints_writes_playlists_and_answers_in_json(
    library: Path, tmp_path: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    folder = tmp_path / "lists"
    code, out, _ = run(
        "clusters", "--catalog", library, "--method", "hdbscan", "--playlists", folder
    )
    assert code == 0
    assert out.splitlines()[0].split()[:2] == ["cluster", "tracks"]
    assert "\x1b" not in out
    assert "tracks are between the clusters" in out
    assert sorted(path.name for path in folder.iterdir()) == [
        "01 guitar.m3u8",
        "02 piano, mellow.m3u8",
    ]
    assert (folder / "02 piano, mellow.m3u8").read_text().count("#EXTINF") == 8
    told = json.loads(run("clusters", "--catalog", library, "--count", 3, "--json")[1])
    assert set(told) == {"method", "clusters", "noise", "silhouette"}
    assert set(told["clusters"][0]) == {"number", "name", "tags", "moods", "central", "ids"}


def test_characteristic_tags_stand_out_against_the_library() -> None:
    group = np.array([0.5, 0.4, 0.02, 0.001])
    background = np.array([0.5, 0.1, 0.001, 0.0])
    found = characteristic_tags(group, background, ("everywhere", "here", "rare", "faint"))
    assert [(tag.tag, tag.lift) for tag in found] == [("here", 4.0), ("rare", 20.0)]
    assert characteristic_tags(0 * group, background, ("a", "b", "c", "d")) == []


def test_a_machine_that_hides_its_cores_gets_no_warning(library: Path) -> None:
    # joblib counts cores by a program that is not on this path.
    env = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-m", "recommender", "clusters", "--catalog", library],
        env={**env, "PATH": "/nowhere"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
