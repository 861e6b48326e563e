from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from indexer.errors import InvalidOption, QueryError
from recommender.collection.layout import lay_out
from recommender.collection.library_map import (
    Grouping,
    LibraryMap,
    group_tracks,
    map_library,
)
from recommender.engine import Recommender
from recommender.plots.library_map import draw_map
from recommender.plots.style import GROUP_COLOURS, count_coloured, plot_style, save
from tests.catalogs import DIM, Planted, plant
from tests.recommender.plots.looking import assert_legible, png_size, written

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray


def heaps(count: int, groups: int, *, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    vectors = np.eye(DIM)[np.arange(count) % groups] + 0.1 * rng.standard_normal((count, DIM))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty tracks of four sounds, fourteen genres and names of every kind."""
    genres = [
        "Rock",
        "rock; Pop",
        "Jazz",
        "$x^2$",
        "Deutscher Schlager der siebziger Jahre \x1b[31m",
    ]
    planted = [
        Planted(
            f"Song {number}",
            activations={"loud": 0.8 if number % 4 else 0.1},
            genre=None if number % 6 == 5 else [*genres, f"Sort {number}"][number % 6],
            artist=f"Band {number % 7}" if number % 9 else None,
            vector=vector.tolist(),
        )
        for number, vector in enumerate(heaps(60, 4))
    ]
    planted += [
        Planted(f"Rare {number}", genre=f"Sort {number}", vector=vector.tolist())
        for number, vector in enumerate(heaps(9, 4, seed=1))
    ]
    return plant(tmp_path_factory.mktemp("mapped"), ("loud", "calm"), planted)


@pytest.fixture(scope="module")
def mapped(library: Path) -> LibraryMap:
    with Recommender.open(library) as recommender:
        return map_library(recommender, by="genre", random_state=3)


def nearest_share(xy: NDArray[np.float32], groups: int) -> float:
    """Share of points whose nearest other point is of the same heap."""
    apart = np.linalg.norm(xy[:, None] - xy[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    return float((apart.argmin(axis=1) % groups == np.arange(len(xy)) % groups).mean())


def test_the_same_seed_gives_the_same_map_and_near_is_alike(
    library: Path, mapped: LibraryMap
) -> None:
    vectors = heaps(69, 4)
    assert np.array_equal(
        lay_out(vectors.__getitem__, len(vectors), random_state=3),
        lay_out(vectors.__getitem__, len(vectors), random_state=3),
    )
    assert not np.array_equal(
        lay_out(vectors.__getitem__, len(vectors), random_state=3),
        lay_out(vectors.__getitem__, len(vectors), random_state=4),
    )
    assert nearest_share(lay_out(vectors.__getitem__, len(vectors)), 4) > 0.95
    assert mapped.xy.shape == (69, 2)
    assert float(np.abs(mapped.xy).max()) == pytest.approx(1.0)


def test_beyond_the_landmarks_tracks_lie_among_them() -> None:
    vectors = heaps(400, 4)
    xy = lay_out(vectors.__getitem__, len(vectors), landmarks=100)
    assert nearest_share(xy, 4) > 0.95
    assert np.array_equal(xy, lay_out(vectors.__getitem__, len(vectors), landmarks=100))


def test_the_largest_groups_have_colours_and_equal_ones_go_by_alphabet(tmp_path: Path) -> None:
    artists = [*"zzz", "y", "b", "A", *"xx", *"cdefghijk"]
    tracks = [Planted(f"{number}", artist=artist) for number, artist in enumerate(artists)]
    with Recommender.open(plant(tmp_path, ("loud",), tracks)) as recommender:
        found = group_tracks(recommender, recommender.ids(), "artist")
    assert found.names[: len(GROUP_COLOURS)] == ("z", "x", "A", *"bcdefgh")[: len(GROUP_COLOURS)]
    assert count_coloured(found.names) == len(GROUP_COLOURS) < len(found.names)


@pytest.mark.parametrize("count", [2, 3, 9, 10, 12])
def test_few_tracks_and_equal_tracks_have_xy(count: int) -> None:
    same = np.repeat(heaps(1, 1), count, axis=0)
    for vectors in (heaps(count, 2), same):
        xy = lay_out(vectors.__getitem__, len(vectors))
        assert np.isfinite(xy).all()
        assert len(np.unique(xy, axis=0)) == count


def test_groups_are_counted_largest_first(library: Path, mapped: LibraryMap) -> None:
    groups = mapped.grouping
    assert groups.names[0] in ("Rock", "rock")
    assert groups.sizes[0] == 20
    assert (np.diff(groups.sizes) <= 0).all()
    assert count_coloured(groups.names) == len(GROUP_COLOURS) < len(groups.names)
    with Recommender.open(library) as recommender:
        assert map_library(recommender).grouping.kind == "genre"
        artists = map_library(recommender, by="artist").grouping
        clusters = map_library(recommender, by="cluster").grouping
    assert {"Band", "Band 1"} <= set(artists.names)
    assert len(clusters.names) >= 2
    assert (clusters.group_of >= 0).all()


def test_without_genres_it_is_coloured_by_cluster(tmp_path: Path) -> None:
    planted = [Planted(f"{n}", vector=v.tolist()) for n, v in enumerate(heaps(12, 2))]
    with Recommender.open(plant(tmp_path, ("loud",), planted)) as recommender:
        assert map_library(recommender).grouping.kind == "cluster"
        with pytest.raises(InvalidOption, match="not coloured by mood"):
            map_library(recommender, by="mood")


def test_the_picture_is_legible_and_the_same_each_time(tmp_path: Path, mapped: LibraryMap) -> None:
    figure = draw_map(mapped)
    assert_legible(figure)
    said = [text.get_text() for text in written(figure)]
    assert "69 tracks by genre" in said
    assert any(text.startswith("$x^2$ (") for text in said)
    rest = [text for text in said if "more genres" in text]
    assert len(rest) == 1
    assert any(text.startswith("no genre (") for text in said)
    assert not any("\x1b" in text for text in said)
    save(figure, tmp_path / "one.png")
    save(draw_map(mapped), tmp_path / "two.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert png_size(tmp_path / "one.png")[0] > 1200


def test_names_of_groups_hide_no_point_of_a_small_library(mapped: LibraryMap) -> None:
    with plot_style():
        figure = draw_map(mapped)
        (axes,) = figure.axes
        figure.draw_without_rendering()
        points = axes.transData.transform(mapped.xy)
        boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) >= 3
    for box in boxes:
        assert not ((points > box.min) & (points < box.max)).all(axis=1).any()


def test_map_command_and_what_it_refuses(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path, library: Path
) -> None:
    code, out, _ = run("map", "--by", "artist", "--catalog", library, "--json")
    answer = json.loads(out)
    assert (code, answer["by"], len(answer["tracks"])) == (0, "artist", 69)
    assert answer["tracks"][0].keys() == {"id", "name", "x", "y", "group"}
    assert png_size(tmp_path / "map.png")[1] > 900
    for number, planted in enumerate(([], [Planted("Only one")])):
        folder = tmp_path / str(number)
        folder.mkdir()
        place = plant(folder, ("loud",), planted)
        code, out, err = run("map", "--catalog", place, "--out", "few.png")
        assert (code, out) == (1, "")
        assert f"holds {('0 tracks', '1 track')[number]}: a map needs at least 3" in err
        with Recommender.open(place) as recommender, pytest.raises(QueryError):
            map_library(recommender)
    assert not (tmp_path / "few.png").exists()


@pytest.mark.parametrize("spread", [0.05, 0.8])
def test_every_group_has_its_name_and_the_map_fills_the_picture(spread: float) -> None:
    rng = np.random.default_rng(5)
    groups = np.repeat(np.arange(5), [260, 180, 120, 90, 50])
    angles = 2 * np.pi * groups / 5
    xy = np.stack([np.cos(angles), 0.6 * np.sin(angles)], axis=1)
    xy += spread * rng.standard_normal(xy.shape) * np.bincount(groups)[groups, None] ** 0.5 / 16
    found = LibraryMap(
        np.arange(700),
        ("",) * 700,
        xy.astype(np.float32),
        Grouping("cluster", tuple(f"instrumental, number {n}" for n in range(5)), groups),
        700,
    )
    figure = draw_map(found)
    assert_legible(figure)
    (axes,) = figure.axes
    assert len(axes.texts) == 5
    with plot_style():
        figure.draw_without_rendering()
        points = axes.transData.transform(xy)
    assert np.prod(np.ptp(points, axis=0)) > 0.6 * figure.bbox.width * figure.bbox.height


def test_the_map_is_turned_to_lie_in_a_wide_rectangle() -> None:
    vectors = heaps(120, 2)
    wide, high = np.ptp(lay_out(vectors.__getitem__, len(vectors)), axis=0)
    assert wide >= high
