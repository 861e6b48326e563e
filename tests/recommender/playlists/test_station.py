from __future__ import annotations

import json
from contextlib import closing
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from indexer.catalog import writer
from indexer.catalog.status import TrackStatus
from indexer.errors import BadVector, InvalidOption, QueryError, UnknownTrack
from indexer.library import Library
from recommender import Recommender, Where
from recommender.playlists import Station
from tests.recommender.playlists.conftest import clusters, ring

if TYPE_CHECKING:
    from pathlib import Path

    from tests.recommender.playlists.conftest import Plant


def ids(station: Station, count: int) -> list[int]:
    return [stop.track.id for stop in station.take(count)]


def angle(track_id: int, count: int) -> float:
    """How far round a ring a track lies from track 1, either way."""
    round_ = (track_id - 1) / count
    return 2 * np.pi * min(round_, 1 - round_)


def test_it_drifts_within_bounds_of_the_seed(plant: Plant) -> None:
    recommender = plant(ring(400))
    for random_seed in range(3):
        tied = [angle(i, 400) for i in ids(Station(recommender, 1, random_seed=random_seed), 60)]
        # 60 tracks of 400 fill 0.47 to either side at least.
        assert 0.3 < max(tied) < 0.9


def test_the_tie_says_how_far_it_may_go(plant: Plant) -> None:
    recommender = plant(ring(400))

    def farthest(tie: float) -> float:
        runs = [ids(Station(recommender, 1, tie=tie, random_seed=seed), 60) for seed in range(3)]
        return float(np.mean([max(angle(i, 400) for i in run) for run in runs]))

    assert 1.5 * farthest(1.0) < farthest(0.0)


def test_one_track_leads_to_the_next(plant: Plant) -> None:
    recommender = plant(ring(400, noise=0.02))
    journey = Station(recommender, 1, tie=0.3).take(40)
    stride = np.mean(journey.steps)
    order = np.random.default_rng(0).permutation(40)
    vectors = recommender.vectors([journey[place].track.id for place in order])
    shuffled = np.mean([1 - one @ other for one, other in pairwise(vectors)])
    assert stride < 0.8 * shuffled


def test_nothing_is_played_twice_in_the_whole_library(plant: Plant) -> None:
    vectors = clusters(300, 4)
    vectors[250] = vectors[0]  # the seed, encoded again: as long, other bytes
    vectors[251] = vectors[10]  # likewise of track 11
    vectors[252] = vectors[20]  # the recording of track 21 in another file
    vectors[253] = vectors[30] + 0.01  # another version: the title of track 31
    durations = [20.0 * number for number in range(1, 301)]
    durations[250], durations[251] = durations[0] + 0.5, durations[10] - 0.5
    artists = [f"Artist {number}" for number in range(1, 301)]
    artists[253] = "ARTIST 31"
    recommender = plant(
        vectors,
        durations=durations,
        artists=artists,
        recordings={253: 21},
        titles={254: "title 31"},
    )
    station = Station(recommender, 1)
    played = [stop.track.id for stop in station]
    assert len(played) == len(set(played)) == 300 - 1 - 4
    assert not {1, 251} & set(played)
    assert all(len({one, other} & set(played)) == 1 for one, other in ((11, 252), (31, 254)))
    assert len({21, 253} & set(played)) == 1
    assert station.ended is not None
    assert "295 played, 4 passed over as near-duplicates" in station.ended


def test_no_artist_comes_again_while_another_could(plant: Plant) -> None:
    artists = [f"Band {number // 5}" for number in range(60)]
    recommender = plant(clusters(60, 3), artists=artists)
    played = [artists[i - 1] for i in ids(Station(recommender, 1, artist_gap=5), 59)]
    heard = [artists[0], *played]
    left = dict.fromkeys(artists, 5)
    for place, artist in enumerate(heard):
        recent = heard[max(0, place - 5) : place]
        if artist in recent:
            assert not any(left[name] for name in set(artists) - set(recent))
        left[artist] -= 1
    assert sum(left.values()) == 0
    first = heard[:40]
    assert all(len(set(first[at : at + 6])) == 6 for at in range(35))


def test_a_library_of_one_artist_is_played_through(plant: Plant) -> None:
    recommender = plant(clusters(30, 2), artists=["Band"] * 30)
    assert len(Station(recommender, 1).take(50)) == 29


def test_tracks_without_an_artist_are_not_kept_apart(plant: Plant) -> None:
    recommender = plant(ring(50), artists=[None] * 50)
    near = ids(Station(recommender, 1, variety=0), 4)
    assert max(angle(i, 50) for i in near) < 0.3


def test_a_dislike_moves_it_away_and_a_skip_a_little(plant: Plant) -> None:
    recommender = plant(clusters(400, 4, noise=0.35))
    disliked = ids(Station(recommender, 1), 1)[0]
    (vector,) = recommender.vectors([disliked])

    def nearness(react: str | None) -> float:
        station = Station(recommender, 1)
        assert ids(station, 1) == [disliked]
        if react:
            getattr(station, react)(disliked)
        following = ids(station, 30)
        assert disliked not in following
        return float(np.mean(recommender.vectors(following) @ vector))

    assert nearness("dislike") < nearness("skip") < nearness(None) < nearness("like")


def test_a_track_is_not_liked_and_disliked_in_one_breath(plant: Plant) -> None:
    station = Station(plant(clusters(60, 3)), 1)
    with pytest.raises(InvalidOption, match="both liked and disliked"):
        station.lean([2, 3], [4, 3])
    station.lean([2, 3])
    station.lean([], [3])
    assert (station.to_json()["liked"], list(station.to_json()["disliked"])) == ([2], ["3"])


def test_a_disliked_track_and_its_like_stay_away(plant: Plant) -> None:
    recommender = plant(ring(200))
    station = Station(recommender, 1)
    for track_id in range(2, 12):
        station.dislike(track_id)
    played = ids(station, 20)
    assert not set(played) & set(range(2, 12))
    other_side = [track_id for track_id in played if track_id > 100]
    assert len(other_side) > 15


def test_the_last_word_counts(plant: Plant) -> None:
    recommender = plant(ring(100))
    station = Station(recommender, 1, variety=0)
    untouched = ids(Station(recommender, 1, variety=0), 10)
    assert untouched[0] == ids(Station(recommender, 1, variety=0), 1)[0]
    station.dislike(untouched[0])
    station.skip(untouched[0])
    assert untouched[0] not in ids(station, 10)
    again = Station(recommender, 1, variety=0)
    again.dislike(untouched[0])
    again.like(untouched[0])
    assert untouched[0] in ids(again, 10)


def test_even_disliking_the_seed_leads_somewhere(plant: Plant) -> None:
    recommender = plant(ring(100))
    station = Station(recommender, 1)
    station.dislike(1)
    assert len(set(ids(station, 20))) == 20


def test_the_same_random_seed_plays_the_same(plant: Plant) -> None:
    recommender = plant(clusters(200, 4))
    first = ids(Station(recommender, 1, random_seed=7), 30)
    assert first == ids(Station(recommender, 1, random_seed=7), 30)
    assert first != ids(Station(recommender, 1, random_seed=8), 30)


def test_a_stored_station_goes_on_as_it_would_have(plant: Plant) -> None:
    recommender = plant(clusters(200, 4), years=[1980 + number % 40 for number in range(200)])
    station = Station(
        recommender, "Title 1", where=Where(year=(1985, None)), tie=0.4, artist_gap=3, random_seed=5
    )
    played = station.take(10)
    station.dislike(played[2].track)
    station.skip(played[3].track)
    station.like(played[4].track)
    state = json.loads(json.dumps(station.to_json()))
    restored = Station.from_json(recommender, state)
    assert restored.to_json() == station.to_json()
    for _ in range(3):
        assert restored.take(15) == station.take(15)
    restored.dislike(restored.played_ids[-1])
    station.dislike(station.played_ids[-1])
    assert ids(restored, 10) == ids(station, 10)


def test_what_was_played_elsewhere_is_not_played_again(plant: Plant) -> None:
    recommender = plant(ring(400), artists=[f"Artist {number % 40}" for number in range(400)])
    elsewhere = list(range(150, 250, 3))
    drifting, kept = (Station(recommender, 1, tie=0.0, variety=0.0) for _ in range(2))
    drifting.add_played(elsewhere)
    kept.add_played(elsewhere, drift=False)
    for station, goes_there in ((drifting, True), (kept, False)):
        state = json.loads(json.dumps(station.to_json()))
        following = ids(station, 10)
        assert not set(following) & set(elsewhere)
        assert (angle(following[0], 400) > 2.0) == goes_there
        # The artists of the last five played elsewhere wait.
        assert following[0] % 40 not in {track % 40 for track in elsewhere[-5:]}
        assert ids(Station.from_json(recommender, state), 10) == following


def test_a_station_from_a_vector_is_stored_too(plant: Plant) -> None:
    recommender = plant(ring(100))
    station = Station(recommender, 3.0 * recommender.vectors([5])[0])
    assert 5 in ids(station, 3)
    state = json.loads(json.dumps(station.to_json()))
    assert ids(Station.from_json(recommender, state), 10) == ids(station, 10)


def test_tracks_that_have_gone_are_forgotten(plant: Plant, tmp_path: Path) -> None:
    recommender = plant(ring(60))
    station = Station(recommender, 1)
    played = ids(station, 5)
    station.like(played[0])
    station.dislike(played[1])
    state = station.to_json()
    with closing(Library.open_for_writing(tmp_path / "catalog.db")) as library:
        with library.catalog.writing() as connection:
            writer.set_status(connection, played, TrackStatus.REMOVED)
    restored = Station.from_json(recommender, state)
    following = ids(restored, 60)
    assert len(following) == 54
    assert not set(played) & set(following)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"played": ["x"]},
        {"played": None},
        {"disliked": [1]},
        {"tie": "much"},
        {"tie": 3},
        {"where": {"colour": ["red"]}},
        {"seed": None},
    ],
    ids=str,
)
def test_a_state_that_is_none_is_refused(plant: Plant, change: dict[str, object]) -> None:
    recommender = plant(ring(10))
    state = Station(recommender, 1).to_json()
    with pytest.raises(InvalidOption):
        Station.from_json(recommender, state | change)
    with pytest.raises(InvalidOption, match="no state of a station"):
        Station.from_json(recommender, {})


def test_a_filter_holds_and_may_exclude_the_seed(plant: Plant) -> None:
    recommender = plant(ring(100), years=[1990 if n % 4 else 2010 for n in range(100)])
    station = Station(recommender, 2, where=Where(year=(2000, None)))
    journey = station.take(50)
    assert len(journey) == 25
    assert {stop.track.year for stop in journey} == {2010}
    assert journey.note is not None
    assert "25 of 50 tracks: nothing is left of the 25" in journey.note


def test_a_filter_that_keeps_nothing_says_so(plant: Plant) -> None:
    journey = Station(plant(ring(10)), 1, where=Where(artist=("nobody",))).take(3)
    assert len(journey) == 0
    assert journey.note is not None
    assert "artist nobody" in journey.note


def test_one_track_is_no_station_but_a_sentence(plant: Plant) -> None:
    journey = Station(plant(ring(1)), 1).take(3)
    assert len(journey) == 0
    assert journey.note is not None
    assert "the seed is not played" in journey.note


def test_it_goes_on_when_tracks_come(plant: Plant, tmp_path: Path) -> None:
    recommender = plant(ring(10))
    with closing(Library.open_for_writing(tmp_path / "catalog.db")) as library:
        with library.catalog.writing() as connection:
            writer.set_status(connection, [3], TrackStatus.MISSING)
    station = Station(recommender, 1)
    assert len(station.take(20)) == 8
    with closing(Library.open_for_writing(tmp_path / "catalog.db")) as library:
        with library.catalog.writing() as connection:
            writer.set_status(connection, [3], TrackStatus.PRESENT)
    assert ids(station, 20) == [3]


def test_bad_questions_get_a_sentence(plant: Plant, tmp_path: Path) -> None:
    recommender = plant(ring(10))
    with closing(Library.open_for_writing(tmp_path / "catalog.db")) as library:
        with library.catalog.writing() as connection:
            writer.set_status(connection, [9], TrackStatus.MISSING)
    for options in (
        {"tie": 1.1},
        {"tie": float("nan")},
        {"variety": -1},
        {"variety": float("inf")},
        {"artist_gap": -1},
        {"random_seed": -1},
    ):
        with pytest.raises(InvalidOption):
            Station(recommender, 1, **options)
    with pytest.raises(UnknownTrack, match="is missing"):
        Station(recommender, 9)
    with pytest.raises(UnknownTrack):
        Station(recommender, 77)
    for vector in (np.full(8, np.nan), np.zeros(8), np.ones(3), np.ones((2, 8)), np.array(1.0)):
        with pytest.raises(BadVector):
            Station(recommender, vector)
    station = Station(recommender, 1)
    with pytest.raises(UnknownTrack, match="is missing"):
        station.dislike(9)
    for count in (0, -1):
        with pytest.raises(InvalidOption, match="at least one"):
            station.take(count)
    assert len(station.take(1_000_000)) == 8


def test_an_empty_catalog_says_so(tmp_path: Path) -> None:
    Library.open_for_writing(tmp_path / "catalog.db", create=True).close()
    with Recommender.open(tmp_path / "catalog.db") as recommender:
        with pytest.raises(QueryError):
            Station(recommender, 1)
