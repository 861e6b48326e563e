from __future__ import annotations

import os
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from indexer.catalog.status import TrackStatus
from indexer.catalog.writer import set_status
from indexer.errors import QueryError
from indexer.library import Library
from recommender.collection.kept_map import (
    MOST_GROUPS,
    NO_GROUP,
    KeptMap,
    decode_map,
    encode_map,
    map_path,
    read_map,
    update_map,
    write_map,
)
from recommender.collection.layout import Components, Layout
from recommender.engine import Recommender
from tests.catalogs import DIM, Planted, plant

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

COUNT = 200
HEAPS = 4


def heaps(count: int, *, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    vectors = np.eye(DIM)[np.arange(count) % HEAPS] + 0.1 * rng.standard_normal((count, DIM))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def planted(genres: tuple[str | None, ...]) -> list[Planted]:
    """Tracks of four sounds in turn, genres in turn too."""
    return [
        Planted(
            f"Song {n}",
            {"loud": 0.1 + 0.2 * (n % HEAPS)},
            genre=genres[n % len(genres)],
            vector=vector.tolist(),
        )
        for n, vector in enumerate(heaps(COUNT))
    ]


def set_present(catalog: Path, ids: Iterable[int], *, present: bool) -> None:
    """Let tracks vanish from a catalog, or come back as if they were new."""
    status = TrackStatus.PRESENT if present else TrackStatus.MISSING
    with closing(Library.open_for_writing(catalog)) as library:
        with library.catalog.writing() as connection:
            set_status(connection, list(ids), status)
        library.refresh()


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    return plant(tmp_path, ("loud",), planted(("Rock", "Jazz", "Folk", "Ska")))


def updated(catalog: Path, kept: KeptMap | None = None, **options: int) -> KeptMap:
    with Recommender.open(catalog) as recommender:
        return update_map(recommender, kept, **{"landmarks": 60, **options})


def test_a_file_gives_back_the_map(catalog: Path) -> None:
    kept = updated(catalog)
    path = map_path(catalog)
    assert path == catalog.with_suffix(".map")
    assert read_map(path) is None
    write_map(path, kept)
    found = read_map(path)
    assert found is not None
    assert encode_map(found) == encode_map(kept)
    assert (found.stamp, found.version) == (kept.stamp, kept.version)
    assert found.groups.names == ("Folk", "Jazz", "Rock", "Ska")
    assert kept.ids.tolist() == list(range(1, COUNT + 1))
    assert np.abs(kept.xy).max() <= 1 + 1e-6


def test_a_damaged_file_is_never_used(catalog: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = encode_map(updated(catalog))
    path = map_path(catalog)
    rng = np.random.default_rng(1)
    damaged = [data[:cut] for cut in (0, 1, 8, 40, len(data) // 2, len(data) - 1)]
    damaged += [
        data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        for place in rng.integers(0, len(data), 40).tolist()
    ]
    damaged += [data + b"x", b"SLKKEPT1", os.urandom(5000)]
    for content in damaged:
        path.write_bytes(content)
        caplog.clear()
        assert read_map(path) is None
        assert "the map is made again" in caplog.text


def test_a_folder_that_cannot_be_written_costs_a_warning(
    catalog: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_map(catalog.parent / "none" / "catalog.map", updated(catalog))
    assert "kept in memory only" in caplog.text


def test_new_tracks_lie_beside_their_neighbours_and_nothing_else_moves(catalog: Path) -> None:
    late = range(1, 60)
    set_present(catalog, late, present=False)
    before = updated(catalog)
    set_present(catalog, late, present=True)
    after = updated(catalog, before)
    assert after.stamp.change > before.stamp.change
    assert after.laid_out == before.laid_out == COUNT - len(late)
    stayed = np.isin(after.ids, before.ids)
    assert np.array_equal(after.xy[stayed], before.xy)
    apart = np.linalg.norm(after.xy[~stayed][:, None] - after.xy[stayed][None], axis=2)
    nearest = after.ids[stayed][apart.argmin(axis=1)]
    assert (nearest % HEAPS == after.ids[~stayed] % HEAPS).mean() > 0.95
    assert set(after.groups.of_track.tolist()) == {0, 1, 2, 3}


def test_removed_tracks_drop_out(catalog: Path) -> None:
    before = updated(catalog)
    gone = [3, 77, 200]
    shown = before.only(np.setdiff1d(before.ids, gone))
    set_present(catalog, gone, present=False)
    after = updated(catalog, before)
    for found in (shown, after):
        assert found.ids.tolist() == [n for n in range(1, COUNT + 1) if n not in gone]
        assert np.array_equal(found.xy, before.xy[np.isin(before.ids, found.ids)])
    assert shown.version == after.version != before.version
    assert before.only(before.ids) is before


@pytest.mark.parametrize(("at_first", "is_new"), [(150, False), (101, False), (100, True)])
def test_a_library_that_has_doubled_is_laid_out_again(
    catalog: Path, at_first: int, is_new: bool
) -> None:
    late = range(at_first + 1, COUNT + 1)
    set_present(catalog, late, present=False)
    before = updated(catalog)
    set_present(catalog, late, present=True)
    after = updated(catalog, before)
    assert (after.laid_out == COUNT) == is_new
    assert np.array_equal(after.layout.xy, before.layout.xy) != is_new


def test_a_library_that_has_halved_is_laid_out_again(catalog: Path) -> None:
    before = updated(catalog)
    set_present(catalog, range(1, 101), present=False)
    assert updated(catalog, before).laid_out == 100


def test_the_map_of_another_catalog_or_model_is_not_used(catalog: Path, tmp_path: Path) -> None:
    kept = updated(catalog)
    for stamp in (replace(kept.stamp, catalog="other"), replace(kept.stamp, model="other")):
        foreign = replace(kept, stamp=stamp, xy=np.zeros_like(kept.xy))
        assert not foreign.suits(kept.stamp)
        found = updated(catalog, foreign)
        assert found.suits(kept.stamp)
        assert np.array_equal(found.xy, kept.xy)


def test_without_genres_tracks_are_grouped_by_cluster(tmp_path: Path) -> None:
    catalog = plant(tmp_path, ("loud", "calm"), planted((None, None, "Jazz")))
    late = range(1, 60)
    set_present(catalog, late, present=False)
    before = updated(catalog)
    assert before.groups.by == "cluster"
    assert 1 < len(before.groups.names) <= MOST_GROUPS
    set_present(catalog, late, present=True)
    after = updated(catalog, before)
    assert after.groups.names == before.groups.names
    stayed = np.isin(after.ids, before.ids)
    assert np.array_equal(after.groups.of_track[stayed], before.groups.of_track)
    for heap in range(HEAPS):
        of_heap = after.ids % HEAPS == heap
        assert set(after.groups.of_track[of_heap & ~stayed].tolist()) <= set(
            after.groups.of_track[of_heap & stayed].tolist()
        )


def test_the_largest_genres_have_names_and_the_rest_none(tmp_path: Path) -> None:
    genres = ("Rock", "Rock", *(f"Sort {n}" for n in range(12)), None)
    kept = updated(plant(tmp_path, ("loud",), planted(genres)))
    assert len(kept.groups.names) == MOST_GROUPS
    assert kept.groups.names[0] == "Rock"
    x, y = kept.centre(0)
    assert [x, y] in kept.xy[kept.groups.of_track == 0].tolist()
    assert (kept.groups.of_track == NO_GROUP).sum() == sum(
        1 for n in range(COUNT) if genres[n % len(genres)] not in kept.groups.names
    )


def test_other_genres_are_another_version(catalog: Path) -> None:
    kept = updated(catalog)
    groups = replace(kept.groups, names=("Rock", *kept.groups.names[1:]))
    assert replace(kept, groups=groups).version != kept.version


def test_a_map_needs_three_tracks(tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="at least 3"):
        updated(plant(tmp_path, ("loud",), planted(("Rock",))[:2]))


def test_a_landmark_lies_where_it_was_laid_out() -> None:
    vectors = heaps(80)
    components = Components.of(vectors)
    layout = Layout.of(components.points(vectors))
    xy, nearest = layout.place(components.points(vectors[::-1]))
    assert np.allclose(xy, layout.xy[::-1], atol=1e-4)
    assert nearest.tolist() == list(range(80))[::-1]


def test_what_is_damaged_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="another kind"):
        decode_map(b"")
