"""How likes and dislikes steer a radio, in a planted library of known directions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from indexer.errors import InvalidOption, UnknownTrack
from recommender import Ranking, Recommender
from recommender.retrieval.leaning import MOST
from tests.catalogs import Planted, plant

if TYPE_CHECKING:
    from collections.abc import Iterator

DIM = 16
SEED = 1
ALL = Ranking(collapse=False)


def direction(*parts: tuple[int, float]) -> list[float]:
    vector = np.zeros(DIM)
    for axis, amount in parts:
        vector[axis] = amount
    return vector.tolist()


def near(axis: int, amount: float) -> list[float]:
    """A direction near the seed's, away from it along an axis."""
    return direction((0, 1.0), (axis, amount))


TRACKS = [
    Planted("seed", vector=direction((0, 1.0)), artist="A0"),
    # 2 to 13: around the seed, to two sides of it, the nearest first.
    *(
        Planted(f"side {axis} {step}", vector=near(axis, 0.3 + 0.05 * step), artist=f"{axis}{step}")
        for step in range(6)
        for axis in (1, 2)
    ),
    # 14 to 213: the rest of the library, in which nothing is like the seed.
    *(
        Planted(f"far {number}", artist=f"F{number}", vector=[
            0.0, *np.random.default_rng(number).normal(size=DIM - 1)])
        for number in range(200)
    ),
    # From 214: as many as count to a third side, then some to the second, all further off.
    *(
        Planted(f"crowd {step}", vector=near(axis, 0.7 + 0.01 * step), artist=f"C{step}")
        for step, axis in enumerate([3] * MOST + [2] * 4)
    ),
]  # fmt: skip
SIDE_1, SIDE_2 = list(range(2, 14, 2)), list(range(3, 14, 2))
FAR = list(range(14, 214))
CROWD = list(range(214, 214 + MOST + 4))


@pytest.fixture(scope="module")
def recommender(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recommender]:
    catalog = plant(tmp_path_factory.mktemp("radio"), ["calm"], TRACKS)
    with Recommender.open(catalog) as found:
        yield found


def ids(recommender: Recommender, n: int = 12, **opinions: object) -> list[int]:
    answer = recommender.radio([SEED], n, ranking=ALL, **opinions)
    return [one.id for one in answer]


def test_without_opinions_a_radio_is_what_sounds_alike(recommender: Recommender) -> None:
    for ranking in (ALL, Ranking(per_artist=3, per_album=2)):
        for seeds in ([1], [1, 2, 9], [40]):
            plain = recommender.similar_to_tracks(seeds, n=30, ranking=ranking)
            assert recommender.radio(seeds, 30, ranking=ranking) == plain


def test_a_disliked_track_never_comes_and_pushes_away(recommender: Recommender) -> None:
    before = ids(recommender)
    assert before[:2] == [SIDE_1[0], SIDE_2[0]]
    found = ids(recommender, disliked={SIDE_1[0]})
    assert SIDE_1[0] not in found
    # All of the other side comes before what sounds like the disliked one.
    assert found[:6] == SIDE_2
    assert recommender.radio([SEED], 500, ranking=ALL, disliked={SIDE_1[0]}).neighbours
    every = ids(recommender, 300, disliked={SIDE_1[0], FAR[3]})
    assert not {SIDE_1[0], FAR[3], SEED} & set(every)
    assert len(every) == len(TRACKS) - 3


def test_a_like_pulls_and_may_come_itself(recommender: Recommender) -> None:
    found = ids(recommender, liked={SIDE_2[3]})
    assert found[0] == SIDE_2[0]
    assert found.index(SIDE_2[5]) < found.index(SIDE_1[5])
    assert SIDE_2[3] in found
    assert set(found) == {*SIDE_1, *SIDE_2}


def test_opinions_of_what_sounds_like_something_else_change_nothing(
    recommender: Recommender,
) -> None:
    before = recommender.radio([SEED], 12, ranking=ALL)
    assert recommender.radio([SEED], 12, ranking=ALL, liked=set(FAR[:50])) == before
    found = ids(recommender, disliked=set(FAR[50:100]))
    assert found == [one.id for one in before]


def test_only_the_nearest_count(recommender: Recommender) -> None:
    sides = sorted([*SIDE_1, *SIDE_2])
    found = ids(recommender, 40, liked=CROWD)
    assert [one for one in found if one in sides] == sides
    # One less of the third side, and one of the second counts: that side comes before the first.
    found = ids(recommender, 40, liked=CROWD[1:])
    assert [one for one in found if one in sides] != sides


def test_the_same_opinions_give_the_same_radio_in_any_order(recommender: Recommender) -> None:
    likes, dislikes = [7, 3, 9, 5], [12, 2]
    first = recommender.radio([SEED], 20, liked=likes, disliked=dislikes)
    again = recommender.radio([SEED], 20, liked=likes[::-1], disliked=dislikes[::-1])
    assert first == again


def test_a_seed_that_is_disliked_is_still_where_a_radio_starts(recommender: Recommender) -> None:
    assert ids(recommender, disliked={SEED}) == ids(recommender)
    assert ids(recommender, liked={SEED}) == ids(recommender)
    # Of several seeds the disliked ones are left out.
    found = recommender.radio([SEED, SIDE_1[5]], 12, ranking=ALL, disliked={SIDE_1[5]})
    assert found.neighbours[0].id == SIDE_2[0]
    assert SIDE_1[5] not in [one.id for one in found]


def test_opinions_of_what_has_left_the_library_are_harmless(recommender: Recommender) -> None:
    assert ids(recommender, liked={9_999}, disliked={10_000, 2**62}) == ids(recommender)
    with pytest.raises(UnknownTrack):
        recommender.radio([9_999])
    with pytest.raises(InvalidOption):
        recommender.radio([SEED], 0)
