from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from indexer.errors import InvalidOption, QueryError
from recommender import Recommender, Where
from recommender.playlists import fill_playlist
from recommender.playlists.fill import tour
from tests.recommender.playlists.conftest import clusters, ring

if TYPE_CHECKING:
    from tests.recommender.playlists.conftest import Plant


@pytest.fixture
def library(plant: Plant) -> Recommender:
    """300 tracks of 2 to 6 minutes by 60 artists."""
    durations = np.random.default_rng(3).uniform(120, 360, 300).tolist()
    artists = [f"Band {number // 5}" for number in range(300)]
    return plant(clusters(300, 4), durations=durations, artists=artists)


@pytest.mark.parametrize("wish", [600, 2700, 5400, 7201.5])
@pytest.mark.parametrize("random_seed", [0, 1])
def test_the_sum_is_near_the_wish(library: Recommender, wish: float, random_seed: int) -> None:
    journey = fill_playlist(library, [1], wish, random_seed=random_seed)
    assert journey.duration_s == pytest.approx(wish, rel=0.02)
    assert journey.note is None
    assert journey[0].track.id == 1
    assert len({stop.track.id for stop in journey}) == len(journey)


def test_no_artist_comes_more_often_than_allowed(library: Recommender) -> None:
    for limit in (1, 2):
        journey = fill_playlist(library, [1], 7200, per_artist=limit)
        counts = Counter(stop.track.artist for stop in journey)
        assert max(counts.values()) == limit


def test_one_artist_does_not_come_twice_in_a_row(library: Recommender) -> None:
    journey = fill_playlist(library, [1], 7200, per_artist=5)
    names = [stop.track.artist for stop in journey]
    assert len(set(names)) < len(names)
    assert all(one != other for one, other in pairwise(names))


def test_the_order_flows(library: Recommender) -> None:
    journey = fill_playlist(library, [1], 7200, variety=0.5)
    vectors = library.vectors([stop.track.id for stop in journey])
    order = np.random.default_rng(0).permutation(len(vectors))
    shuffled = np.mean([1 - one @ other for one, other in pairwise(vectors[order])])
    assert np.mean(journey.steps) < 0.8 * shuffled


def test_every_seed_gets_its_part(library: Recommender) -> None:
    journey = fill_playlist(library, [1, 2], 7200)
    kinds = Counter((stop.track.id - 1) % 4 for stop in journey)
    assert kinds.keys() == {0, 1}
    assert min(kinds.values()) > len(journey) / 3
    assert {1, 2} <= {stop.track.id for stop in journey}


def test_the_same_random_seed_gives_the_same(library: Recommender) -> None:
    first = fill_playlist(library, [1], 3600, random_seed=4)
    assert first == fill_playlist(library, [1], 3600, random_seed=4)
    assert first != fill_playlist(library, [1], 3600, random_seed=5)


def test_a_filter_binds_the_seed_too(plant: Plant) -> None:
    years = [1990 if number % 2 else 2010 for number in range(100)]
    recommender = plant(ring(100), durations=[100.0] * 100, years=years)
    journey = fill_playlist(recommender, [2], 1000, where=Where(year=(2000, None)))
    assert {stop.track.year for stop in journey} == {2010}
    assert len(journey) == 10


def test_what_starves_it_is_said(plant: Plant) -> None:
    recommender = plant(ring(30), durations=[100.0 + 20 * n for n in range(30)], artists=["B"] * 30)
    journey = fill_playlist(recommender, [1], 20_000, per_artist=4)
    assert len(journey) == 4
    assert journey.note is not None
    assert "at most 4 of one artist leaves 26 out" in journey.note
    journey = fill_playlist(recommender, [1], 20_000, per_artist=30)
    assert len(journey) == 30
    assert journey.note == "only 11700 of 20000 seconds: the library has 30 tracks"


def test_a_time_shorter_than_all_tracks_gets_the_one_nearest_to_it(plant: Plant) -> None:
    recommender = plant(ring(30), durations=[200.0 + n for n in range(30)])
    journey = fill_playlist(recommender, [7], 60)
    assert [stop.track.duration_s for stop in journey] == [200.0]


def test_long_tracks_are_passed_over_rather_than_filling_all(plant: Plant) -> None:
    durations = [3000.0 if number % 2 else 200.0 + number for number in range(60)]
    journey = fill_playlist(plant(ring(60), durations=durations), [1], 2700)
    assert journey.duration_s == pytest.approx(2700, rel=0.02)
    assert max(stop.track.duration_s for stop in journey) < 300


def test_copies_come_once(plant: Plant) -> None:
    vectors = np.repeat(ring(40), 3, axis=0)
    recommender = plant(vectors, durations=np.repeat(100.0 + 20 * np.arange(40), 3).tolist())
    journey = fill_playlist(recommender, [1], 3000)
    assert len({(stop.track.id - 1) // 3 for stop in journey}) == len(journey)


def test_a_vector_can_be_a_seed(library: Recommender) -> None:
    journey = fill_playlist(library, [library.vectors([5])[0]], 1800)
    assert {(stop.track.id - 1) % 4 for stop in journey} == {0}


def test_bad_questions_get_a_sentence(library: Recommender) -> None:
    for wish in (0, -1, float("nan"), float("inf")):
        with pytest.raises(InvalidOption, match="give a time"):
            fill_playlist(library, [1], wish)
    with pytest.raises(InvalidOption, match="at least one seed"):
        fill_playlist(library, [], 600)
    for options in ({"per_artist": 0}, {"variety": -1}, {"random_seed": -1}):
        with pytest.raises(InvalidOption):
            fill_playlist(library, [1], 600, **options)
    with pytest.raises(QueryError, match="keeps no track"):
        fill_playlist(library, [1], 600, where=Where(artist=("nobody",)))


def test_a_tour_along_a_line_goes_along_it() -> None:
    angles = np.append(0, 1 + np.random.default_rng(0).permutation(39)) / 40
    vectors = np.column_stack([np.cos(angles), np.sin(angles)]).astype(np.float32)
    order = tour(vectors, [None] * 40)
    assert order[0] == 0
    assert (np.diff(angles[order]) > 0).all()


def test_a_tour_parts_one_artist_s_tracks() -> None:
    angles = np.array([0.0, 0.01, 0.5, 0.51, 1.0, 1.01])
    vectors = np.column_stack([np.cos(angles), np.sin(angles)]).astype(np.float32)
    artists = ["a", "a", "b", "b", "c", "c"]
    order = tour(vectors, artists)
    assert all(artists[one] != artists[other] for one, other in pairwise(order))
    assert sorted(order.tolist()) == list(range(6))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_short_tours_are_whole(count: int) -> None:
    vectors = np.eye(4, dtype=np.float32)[:count]
    assert sorted(tour(vectors, [None] * count).tolist()) == list(range(count))
