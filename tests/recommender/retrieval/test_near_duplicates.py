from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from recommender.engine import Recommender
from recommender.playlists import Station, fill_playlist, path_between
from recommender.retrieval.library_statistics import REFERENCE_RANDOM_COSINE
from recommender.retrieval.near_duplicates import (
    CUT_S,
    SAME_COSINE,
    SAME_DURATION_S,
    TrackFacts,
    connected_heads,
    group_heads,
    label_ids,
    scaled_threshold,
)
from recommender.retrieval.ranking import Ranking
from tests.catalogs import DIM, Planted, plant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray


@pytest.fixture
def louder_copy(tmp_path: Path) -> Iterator[Recommender]:
    """Track 2 is track 1, louder; the other 40 are unlike both, and as long as none."""
    first = np.random.default_rng(7).standard_normal(DIM).astype(np.float32)
    first /= np.linalg.norm(first)
    song = Planted(
        "one",
        tempo_bpm=92.0,
        musical_key="C major",
        brightness_hz=1500.0,
        duration_s=200.0,
        artist=None,
    )
    tracks = [
        replace(song, vector=first.tolist()),
        replace(song, title="two", vector=at_cosine(first, 0.9).tolist(), duration_s=200.05),
        *(Planted(f"other {number}", artist=None) for number in range(40)),
    ]
    with Recommender.open(plant(tmp_path, ("calm",), tracks)) as recommender:
        yield recommender


def unit_vector(*, seed: int = 0) -> NDArray[np.float32]:
    row = np.random.default_rng(seed).standard_normal(64)
    return (row / np.linalg.norm(row)).astype(np.float32)


def at_cosine(vector: NDArray[np.float32], cosine: float, *, seed: int = 0) -> NDArray[np.float32]:
    """A unit vector that has this cosine with another one."""
    other = np.random.default_rng(1000 + seed).standard_normal(len(vector))
    other -= (other @ vector) * vector
    other /= np.linalg.norm(other)
    return (cosine * vector + np.sqrt(1 - cosine**2) * other).astype(np.float32)


def facts(
    durations_s: Sequence[float],
    *,
    names: Sequence[str | None] = (),
    musical_keys: Sequence[str | None] = (),
    tempi_bpm: Sequence[float | None] = (),
    brightness_hz: Sequence[float | None] = (),
) -> TrackFacts:
    """Tracks of which nothing is known but what is given."""
    count = len(durations_s)

    def numbers(values: Sequence[float | None]) -> NDArray[np.float64]:
        return np.array(values or [None] * count, dtype=np.float64)

    return TrackFacts(
        numbers(durations_s),
        np.full(count, -1),
        label_ids(names or [None] * count),
        label_ids(musical_keys or [None] * count),
        numbers(tempi_bpm),
        numbers(brightness_hz),
    )


MEASURED = facts(
    [200.0, 200.1],
    musical_keys=["C major"] * 2,
    tempi_bpm=[92.0, 92.9],
    brightness_hz=[1500.0, 1550.0],
)


def folded(
    cosine: float, known: TrackFacts, *, median_random_cosine: float = REFERENCE_RANDOM_COSINE
) -> bool:
    """Whether the second of two tracks with a cosine is folded into the first."""
    first = unit_vector()
    return group_heads(
        [first, at_cosine(first, cosine)], known, median_random_cosine=median_random_cosine
    ).tolist() == [0, 0]


def test_what_is_like_a_copy_of_a_copy_is_in_one_group() -> None:
    first = unit_vector()
    second = at_cosine(first, 0.99)
    third = at_cosine(second, 0.99, seed=1)
    vectors = np.stack([unit_vector(seed=9), first, third, second])
    assert third @ first < SAME_COSINE < second @ first
    groups = group_heads(vectors, facts([200.0] * 4), median_random_cosine=REFERENCE_RANDOM_COSINE)
    assert groups.tolist() == [0, 1, 1, 1]


def test_near_vectors_are_one_recording_only_with_durations_that_fit() -> None:
    assert folded(0.998, facts([200.0, 200.0 + SAME_DURATION_S]))
    assert not folded(0.998, facts([200.0, 200.0 + SAME_DURATION_S + 0.1]))
    assert not folded(0.98, facts([200.0, 200.0]))
    assert not folded(0.998, facts([200.0, float("nan")]))


def test_a_louder_copy_is_known_by_all_that_loudness_leaves_alone() -> None:
    assert folded(0.87, MEASURED)
    assert not folded(0.8, MEASURED)


@pytest.mark.parametrize(
    "other",
    [
        {"durations_s": [200.0, 201.0]},
        {"musical_keys": [0, 1]},
        {"musical_keys": [0, -1]},
        {"tempi_bpm": [92.0, 94.0]},
        {"tempi_bpm": [92.0, 4 * 92.0]},
        {"tempi_bpm": [92.0, np.nan]},
        {"brightness_hz": [1500.0, 1600.0]},
        {"brightness_hz": [np.nan, np.nan]},
    ],
)
def test_what_measures_otherwise_is_another_track(other: dict[str, list[float]]) -> None:
    changed = {name: np.array(values) for name, values in other.items()}
    assert not folded(0.92, replace(MEASURED, **changed))


def test_half_the_tempo_is_an_error_of_measuring_and_no_tempo_agrees_with_none() -> None:
    assert folded(0.87, replace(MEASURED, tempi_bpm=np.array([92.0, 46.0])))
    unknown = np.full(2, np.nan)
    assert folded(0.87, replace(MEASURED, tempi_bpm=unknown, musical_keys=np.array([-1, -1])))


def test_a_cut_needs_a_key_and_a_tempo_and_most_of_the_longer_one() -> None:
    def cut(cosine: float, *, longer: float = 200.0, by: float = CUT_S, **other: Any) -> bool:
        durations = np.array([longer, longer - by])
        return folded(cosine, replace(MEASURED, durations_s=durations, **other))

    assert cut(0.95)
    assert not cut(0.9)
    assert not cut(0.95, by=CUT_S + 1)
    assert cut(0.95, longer=44.0, by=10.0)
    assert not cut(0.95, longer=30.0, by=10.0)
    assert not cut(0.95, musical_keys=np.array([-1, -1]))
    assert not cut(0.95, tempi_bpm=np.full(2, np.nan))


def test_one_recording_is_collapsed_whatever_its_durations_and_unknown_ones_are_not() -> None:
    vectors = np.stack([unit_vector(seed=seed) for seed in range(4)])
    known = replace(facts([1.0, 2.0, 3.0, 4.0]), recordings=np.array([7, -1, 7, -1]))
    assert group_heads(vectors, known, median_random_cosine=REFERENCE_RANDOM_COSINE).tolist() == [
        0,
        1,
        0,
        3,
    ]


def test_versions_of_one_song_are_collapsed_by_their_name() -> None:
    first = unit_vector()
    vectors = np.stack([first, at_cosine(first, 0.9), at_cosine(first, 0.9, seed=1)])
    durations = [200.0, 300.0, 250.0]
    named = facts(durations, names=["song", "song", None])
    assert group_heads(vectors, named, median_random_cosine=REFERENCE_RANDOM_COSINE).tolist() == [
        0,
        0,
        2,
    ]
    unnamed = facts(durations)
    assert group_heads(vectors, unnamed, median_random_cosine=REFERENCE_RANDOM_COSINE).tolist() == [
        0,
        1,
        2,
    ]


def test_where_everything_is_close_levels_are_higher() -> None:
    median_random_cosine = 0.9
    assert scaled_threshold(1.0, median_random_cosine) == 1.0
    assert scaled_threshold(REFERENCE_RANDOM_COSINE, median_random_cosine) == pytest.approx(
        median_random_cosine
    )
    assert not folded(0.99, facts([200.0, 200.0]), median_random_cosine=median_random_cosine)
    assert folded(0.9995, facts([200.0, 200.0]), median_random_cosine=median_random_cosine)


def test_many_candidates_are_collapsed_as_few_are() -> None:
    first = np.stack([unit_vector(seed=seed) for seed in range(1500)])
    vectors = np.concatenate([first, [at_cosine(row, 0.99) for row in first]])
    groups = group_heads(
        vectors, facts([200.0] * 3000), median_random_cosine=REFERENCE_RANDOM_COSINE
    )
    assert groups.tolist() == [*range(1500), *range(1500)]


def test_nothing_collapses_to_nothing() -> None:
    assert (
        group_heads(
            np.empty((0, 8), np.float32), TrackFacts.of([]), median_random_cosine=0.0
        ).tolist()
        == []
    )
    assert connected_heads(0, [], []).tolist() == []


def test_where_everything_is_close_measures_still_tell_a_copy() -> None:
    assert folded(0.99, MEASURED, median_random_cosine=0.98)
    assert not folded(0.98, MEASURED, median_random_cosine=0.98)


def test_every_door_knows_a_louder_copy(louder_copy: Recommender) -> None:
    each = Ranking(collapse=False)
    assert 2 in [one.id for one in louder_copy.similar_to_track(1, include_same=True, ranking=each)]
    for ranking in (each, Ranking()):
        assert 2 not in [one.id for one in louder_copy.similar_to_track(1, 41, ranking=ranking)]
    assert 2 not in louder_copy.neighbours([1], 41)[0]
    assert 2 in louder_copy.neighbours([1], 41, include_same=True)[0]
    near = louder_copy.similar_to_vector(louder_copy.vectors([1])[0], 3)
    assert (near[0].id, [one.id for one in near[0].duplicates]) == (1, [2])
    assert 2 not in [stop.track.id for stop in Station(louder_copy, 1).take(40)]
    assert 2 not in [track.id for track in path_between(louder_copy, 1, 9, 4).tracks]
    assert 2 not in [track.id for track in fill_playlist(louder_copy, [1], 1200.0).tracks]
