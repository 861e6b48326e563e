from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest

from indexer.catalog import writer
from indexer.catalog.status import TrackStatus
from indexer.errors import InvalidOption, QueryError, UnknownTrack
from indexer.library import Library
from recommender import Where
from recommender.playlists import path_between
from recommender.playlists.path import slerp
from tests.recommender.playlists.conftest import clusters, ring

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tests.recommender.playlists.conftest import Plant

ON_ARC = 121


def arc_among_others() -> NDArray[np.float64]:
    """Tracks 1 to 121 lie on a great circle, a degree apart; 180 others anywhere else."""
    angles = np.radians(np.arange(ON_ARC))
    vectors = np.random.default_rng(2).normal(size=(ON_ARC + 180, 8))
    vectors[:ON_ARC] = 0
    vectors[:ON_ARC, 0], vectors[:ON_ARC, 1] = np.cos(angles), np.sin(angles)
    return vectors


@pytest.mark.parametrize("steps", [1, 2, 3, 8, 24, 60])
def test_it_strides_evenly_along_the_arc(plant: Plant, steps: int) -> None:
    recommender = plant(arc_among_others())
    journey = path_between(recommender, 1, ON_ARC, steps)
    ids = [stop.track.id for stop in journey]
    assert len(journey) == steps + 1
    assert (ids[0], ids[-1]) == (1, ON_ARC)
    assert ids == sorted(ids)
    assert max(ids) <= ON_ARC
    # Whole degrees allow no better for some numbers of steps.
    assert np.ptp(np.diff(ids)) <= 1
    assert journey.evenness == pytest.approx(max(journey.steps) / np.mean(journey.steps))
    assert journey.steps[0] == pytest.approx(1 - np.cos(np.radians(ids[1] - ids[0])), abs=2e-3)


def test_it_leads_onwards_where_no_track_lies_on_the_direct_way(plant: Plant) -> None:
    recommender = plant(np.random.default_rng(5).normal(size=(400, 12)))
    back = []
    for end in range(2, 22):
        ids = [stop.track.id for stop in path_between(recommender, 1, end, 8)]
        vectors = recommender.vectors(ids)
        towards = vectors @ (vectors[-1] - vectors[0])
        back.append(np.mean(np.diff(towards) < 0))
    assert np.mean(back) < 0.1


def test_the_same_path_comes_again(plant: Plant) -> None:
    recommender = plant(clusters(200, 4))
    assert path_between(recommender, 1, 2, 8) == path_between(recommender, 1, 2, 8)


def test_no_copy_comes_twice(plant: Plant) -> None:
    vectors = np.repeat(ring(60), 2, axis=0)
    # Every track is there in two encodings.
    durations = np.repeat(20.0 * np.arange(1, 61), 2).tolist()
    recommender = plant(vectors, durations=durations)
    journey = path_between(recommender, 1, 61, 20)
    groups = [(stop.track.id - 1) // 2 for stop in journey]
    assert len(set(groups)) == 21


def test_artists_come_once_where_that_can_be(plant: Plant) -> None:
    artists = [f"Band {number // 4}" for number in range(200)]
    recommender = plant(ring(200), artists=artists)
    journey = path_between(recommender, 1, 80, 12)
    names = [stop.track.artist for stop in journey]
    assert len(set(names)) == 13


def test_one_artist_makes_a_path_too(plant: Plant) -> None:
    recommender = plant(ring(60), artists=["Band"] * 60)
    assert len(path_between(recommender, 1, 30, 9)) == 10


def test_the_filter_binds_what_lies_between_only(plant: Plant) -> None:
    years = [2010 if number % 3 == 0 else 1990 for number in range(120)]
    recommender = plant(ring(120), years=years)
    journey = path_between(recommender, 2, 50, 6, where=Where(year=(2000, None)))
    assert [stop.track.year for stop in journey] == [1990, *[2010] * 5, 1990]
    with pytest.raises(QueryError, match="too few"):
        path_between(recommender, 2, 50, 6, where=Where(artist=("Artist 3", "Artist 4")))
    with pytest.raises(QueryError, match="too few"):
        path_between(recommender, 2, 50, 2, where=Where(artist=("nobody",)))
    assert len(path_between(recommender, 2, 50, 1, where=Where(artist=("nobody",)))) == 2


def test_the_whole_library_can_be_a_path_and_no_more(plant: Plant) -> None:
    recommender = plant(ring(40))
    everything = path_between(recommender, 1, 20, 39)
    assert {stop.track.id for stop in everything} == set(range(1, 41))
    with pytest.raises(QueryError, match="too few"):
        path_between(recommender, 1, 20, 40)


def test_a_track_is_no_step_from_itself(plant: Plant) -> None:
    recommender = plant(ring(20))
    here = path_between(recommender, 3, 3, 0)
    assert [stop.track.id for stop in here] == [3]
    assert here.evenness is None
    with pytest.raises(InvalidOption, match="begins and ends at track 3"):
        path_between(recommender, 3, 3, 5)


def test_copies_of_one_sound_can_be_the_ends(plant: Plant) -> None:
    vectors = ring(40)
    vectors[20] = vectors[0]
    journey = path_between(plant(vectors), 1, 21, 4)
    assert len({stop.track.id for stop in journey}) == 5


def test_opposite_ends_are_joined(plant: Plant) -> None:
    vectors = np.vstack([ring(100, noise=0.2), [1.0] + [0.0] * 7, [-1.0] + [0.0] * 7])
    journey = path_between(plant(vectors), 101, 102, 6)
    assert len({stop.track.id for stop in journey}) == 7


@pytest.mark.parametrize("steps", [0, -1, 1_000_000, 2.5, "many"])
def test_steps_must_make_sense(plant: Plant, steps: object) -> None:
    with pytest.raises(InvalidOption, match="steps"):
        path_between(plant(ring(20)), 1, 5, steps)


def test_ends_must_be_there(plant: Plant, tmp_path: Path) -> None:
    recommender = plant(ring(20))
    with closing(Library.open_for_writing(tmp_path / "catalog.db")) as library:
        with library.catalog.writing() as connection:
            writer.set_status(connection, [9], TrackStatus.MISSING)
    with pytest.raises(UnknownTrack, match="is missing"):
        path_between(recommender, 1, 9, 3)
    with pytest.raises(UnknownTrack):
        path_between(recommender, "no such", 2, 3)


def test_slerp_divides_the_arc() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 16))
    one, other = one / np.linalg.norm(one), other / np.linalg.norm(other)
    points = slerp(one.astype(np.float32), other.astype(np.float32), np.linspace(0, 1, 7))
    assert np.allclose(points[[0, -1]], [one, other], atol=1e-6)
    assert np.allclose(np.linalg.norm(points, axis=1), 1, atol=1e-6)
    angles = np.arccos(np.einsum("nd,nd->n", points[:-1], points[1:]))
    assert np.allclose(angles, np.arccos(one @ other) / 6, atol=1e-3)
