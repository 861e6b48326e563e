from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import issparse

from indexer.errors import BadFactors, InvalidOption, UnknownTrack
from recommender.cold_start.item_features import (
    feature_modality,
    frame,
    item_features,
    neighbour_graph,
)
from recommender.collection import export as export_module
from recommender.collection.export import export
from recommender.engine import Recommender
from tests.catalogs import DIM, Planted, plant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

COUNT = 25


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    genre = 'Jazz, "quoted"\nline'
    tracks = [
        Planted(f"Title {number}", year=1990 if number % 2 else None, genre=genre)
        for number in range(COUNT)
    ]
    return plant(tmp_path_factory.mktemp("library"), ("loud",), tracks)


@pytest.fixture
def sound(catalog: Path) -> Iterator[Recommender]:
    with Recommender.open(catalog) as opened:
        yield opened


def test_features_follow_the_callers_order(sound: Recommender) -> None:
    found = item_features(sound, ["0009.mp3", "0002.mp3"])
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, sound.vectors([9, 2]))
    np.testing.assert_array_equal(item_features(sound, np.array([9, 2])), found)


def test_lightfm_gets_csr_with_a_column_of_its_own_for_each_item(sound: Recommender) -> None:
    matrix = item_features(sound, [3, 1, 2], sparse=True, identity=True)
    assert issparse(matrix)
    assert matrix.format == "csr"
    assert matrix.dtype == np.float32
    assert matrix.shape == (3, 3 + DIM)
    np.testing.assert_array_equal(matrix.toarray()[:, :3], np.eye(3))
    # LightFM's representation of an item: the sum of its features' embeddings, weighted.
    weights = np.random.default_rng(0).standard_normal((3 + DIM, 4)).astype(np.float32)
    by_hand = weights[:3] + sound.vectors([3, 1, 2]) @ weights[3:]
    np.testing.assert_allclose(matrix @ weights, by_hand, rtol=1e-5)
    plain = item_features(sound, [3, 1, 2], sparse=True)
    np.testing.assert_array_equal(plain.toarray(), sound.vectors([3, 1, 2]))


def test_cornac_finds_items_by_the_callers_ids(sound: Recommender) -> None:
    modality = feature_modality(sound, ["0004.mp3", "0007.mp3"])
    modality.build(id_map={"0007.mp3": 0, "0004.mp3": 1})
    np.testing.assert_array_equal(modality.features, sound.vectors([7, 4]))


def test_the_graph_has_the_nearest_of_each_track(sound: Recommender) -> None:
    graph, ids = neighbour_graph(sound, 4, block=7)
    vectors = sound.vectors(ids)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    assert (np.diff(graph.indptr) == 4).all()
    for row in range(COUNT):
        expected = np.argsort(-cosines[row])[:4]
        assert set(graph[row].indices) == set(expected)
        np.testing.assert_allclose(
            sorted(graph[row].data), sorted(cosines[row][expected]), atol=1e-3
        )
    some, named = neighbour_graph(sound, 10, [8, 3, 5])
    assert named.tolist() == [8, 3, 5]
    assert (np.diff(some.indptr) == 2).all()
    assert some[0, 1] == pytest.approx(float(vectors[7] @ vectors[2]), abs=1e-3)


@pytest.mark.parametrize("kind", ["parquet", "npz", "csv"])
def test_a_library_survives_the_way_through_a_file(
    sound: Recommender, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / f"library.{kind}"
    assert export(sound, path, block=7) == COUNT
    if kind == "npz":
        with np.load(path) as stored:
            read = dict(stored)
        vectors, ids = read["vectors"], read["ids"]
        titles, years = read["title"].tolist(), read["year"]
    else:
        table = pd.read_parquet(path) if kind == "parquet" else pd.read_csv(path)
        ids, titles, years = table["id"].to_numpy(), table["title"].tolist(), table["year"]
        vectors = (
            np.stack(table["vector"].tolist())
            if kind == "parquet"
            else table[[f"v{number}" for number in range(DIM)]].to_numpy()
        )
    np.testing.assert_array_equal(ids, sound.ids())
    np.testing.assert_allclose(vectors, sound.vectors(ids), rtol=1e-6)
    assert titles == [f"Title {number}" for number in range(COUNT)]
    assert np.isnan(float(years[0]))
    assert years[1] == 1990
    assert [path.name for path in tmp_path.iterdir()] == [path.name]


def test_a_frame_has_a_row_for_each_id(sound: Recommender) -> None:
    table = frame(sound, [5, 99, 2], on_missing="skip")
    assert table["id"].tolist() == [5, 2]
    assert table["genre"][0] == 'Jazz, "quoted"\nline'
    assert table["v0"].dtype == np.float32


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        ([1, 90, 91, 92, 93, 94, 95], UnknownTrack, "no track 90, 91, 92, 93, 94 and 1 more"),
        (["0001.mp3", "nothing"], UnknownTrack, "no track 'nothing'"),
        ([1, 2, 1], BadFactors, "ids has a key twice: 1, in row 2"),
        ([1, "0001.mp3"], BadFactors, "ids must be int: '0001.mp3' is not"),
        ([1.0], BadFactors, "ids must be int or str: 1.0 is not"),
    ],
)
def test_ids_that_name_nothing_are_refused(
    sound: Recommender, tmp_path: Path, ids: list[object], error: type[Exception], message: str
) -> None:
    for ask in (
        lambda: item_features(sound, ids),
        lambda: feature_modality(sound, ids),
        lambda: frame(sound, ids),
        lambda: neighbour_graph(sound, 3, ids),
        lambda: export(sound, tmp_path / "out.csv", ids=ids),
    ):
        with pytest.raises(error, match=message):
            ask()
    assert not list(tmp_path.iterdir())


def test_options_without_sense_are_refused(sound: Recommender, tmp_path: Path) -> None:
    (tmp_path / "there.csv").write_text("mine")
    for message, ask in (
        ("sparse=True", lambda: item_features(sound, [1], identity=True)),
        ("k is 0", lambda: neighbour_graph(sound, 0)),
        ("no known format", lambda: export(sound, tmp_path / "library.xls")),
        ("there already", lambda: export(sound, tmp_path / "there.csv")),
        ("on_missing is 'drop'", lambda: frame(sound, [1], on_missing="drop")),
    ):
        with pytest.raises(InvalidOption, match=message):
            ask()
    assert (tmp_path / "there.csv").read_text() == "mine"


def test_a_broken_export_leaves_the_old_file(
    sound: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "library.csv"
    path.write_text("old")

    def full(*_anything: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export_module, "_write_csv", full)
    with pytest.raises(OSError, match="No space"):
        export(sound, path, replace=True)
    assert [path.name for path in tmp_path.iterdir()] == ["library.csv"]
    assert path.read_text() == "old"


def test_the_command_exports_some_tracks(
    catalog: Path, tmp_path: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    wanted = tmp_path / "wanted.txt"
    wanted.write_text("0003.mp3\nno such\n0001.mp3\n")
    path = tmp_path / "some.csv"
    asked = ("export", path, "--ids", wanted, "--catalog", catalog)
    code, out, err = run(*asked)
    assert (code, out) == (1, "")
    assert err == "soundalike: the catalog has no track 'no such'\n"
    assert not path.exists()
    code, out, _ = run(*asked, "--on-missing", "skip", "--json")
    answer = json.loads(out)
    assert code == 0
    assert (answer["tracks"], answer["skipped"], answer["dim"]) == (2, 1, DIM)
    assert pd.read_csv(path)["id"].tolist() == [3, 1]
    code, _, err = run(*asked, "--on-missing", "skip")
    assert code == 1
    assert "there already" in err
    code, out, err = run(*asked, "--on-missing", "skip", "--force")
    assert "2 tracks, 8 dimensions (planted), 1 unknown left out" in err


@pytest.mark.parametrize(
    ("text", "ids", "skipped"),
    [
        (b"id\n1\n5\n", [1, 5], 1),
        (b"\xef\xbb\xbf5\r\n1\r\n", [5, 1], 0),
        (b"5 \n\n \n\t1", [5, 1], 0),
        (b"1,\n5\n99999999999999999999\n", [5], 2),
        (b"0003.mp3\n1\n", [3, 1], 0),
    ],
)
def test_each_line_is_an_id_or_a_key(
    catalog: Path,
    tmp_path: Path,
    run: Callable[..., tuple[int, str, str]],
    text: bytes,
    ids: list[int],
    skipped: int,
) -> None:
    wanted, path = tmp_path / "wanted.txt", tmp_path / "some.csv"
    wanted.write_bytes(text)
    asked = ("export", path, "--ids", wanted, "--catalog", catalog, "--json")
    code, out, _ = run(*asked, "--on-missing", "skip")
    answer = json.loads(out)
    assert (code, answer["tracks"], answer["skipped"]) == (0, len(ids), skipped)
    assert pd.read_csv(path)["id"].tolist() == ids
    if skipped:
        code, _, err = run(*asked, "--force")
        assert code == 1
        assert "the catalog has no track" in err


def test_an_export_that_cannot_be_is_told_in_a_sentence(
    catalog: Path, sound: Recommender, tmp_path: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    wanted, path = tmp_path / "wanted.txt", tmp_path / "some.csv"
    asked = ("export", path, "--ids", wanted, "--catalog", catalog, "--on-missing", "skip")
    for text, message in (
        (b"\xff\xfe\x00\x9c", "takes a text in UTF-8"),
        (b"nothing\n", "ids names no track of the catalog"),
        (b"", "ids names no track of the catalog"),
    ):
        wanted.write_bytes(text)
        code, _, err = run(*asked)
        assert code == 1
        assert message in err
    code, _, err = run("export", "-", "--format", "csv", "--catalog", catalog)
    assert code == 1
    assert "not to stdout" in err
    with pytest.raises(InvalidOption, match=r"the folder .*nodir is missing"):
        export(sound, tmp_path / "nodir" / "o.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["wanted.txt"]
    for ids in ([2**63], ["\udc80.mp3"]):
        with pytest.raises(UnknownTrack, match="the catalog has no track"):
            frame(sound, ids)
