from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sqlalchemy import update

from indexer.catalog.schema import CatalogRow, TrackRow
from indexer.errors import InvalidOption
from indexer.library import Library
from recommender import Recommender, Where
from recommender.retrieval.filters import COMPILED, CompiledFilters
from recommender.retrieval.snapshot import take_snapshot
from tests.catalogs import DIM, Planted, plant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TAGS = ("piano", "metal", "Sad Songs")
TRACKS = [
    Planted("a", {"piano": 0.9}, "Jazz", 1959, 120, artist="Miles", album="Blue", duration_s=300),
    Planted("b", {"piano": 0.4}, "Rock; Jazz", 1970, 90, artist="Björk", album="Blüe",
            musical_key="A minor"),
    Planted("c", {"metal": 0.8}, "rock/pop", 1990, None, artist="BJORK", musical_key="Bb major"),
    Planted("d", {"metal": 0.6, "piano": 0.6}, "R&B, Soul", None, 180.5, artist="Guest",
            album="Blue", album_artist="Miles", musical_key="A# major"),
    Planted("e", {"Sad Songs": 0.5}, None, 2001, 100, artist=None, duration_s=59.5),
]  # fmt: skip


@pytest.fixture(scope="module")
def recommender(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recommender]:
    with Recommender.open(plant(tmp_path_factory.mktemp("filters"), TAGS, TRACKS)) as opened:
        yield opened


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        (Where(), [1, 2, 3, 4, 5]),
        (Where(artist=("björk",)), [2, 3]),
        (Where(artist=("miles",)), [1, 4]),
        (Where(artist=("Mile",)), []),
        (Where(artist=("Miles", "BJÖRK")), [1, 2, 3, 4]),
        (Where(album=("BLUE",)), [1, 2, 4]),
        (Where(genre=("jazz",)), [1, 2]),
        (Where(genre=("Soul", "pop")), [3, 4]),
        (Where(genre=("Rock; Jazz",)), [2]),
        (Where(genre=("rock/pop",)), [3]),
        (Where(genre=("Pop|Rock",)), [3]),
        (Where(genre=("rnb",)), [4]),
        (Where(genre=("R'n'B", "JAZZ")), [1, 2, 4]),
        (Where(genre=("ja",)), []),
        (Where(year=(1959, 1990)), [1, 2, 3]),
        (Where(year=(1960, None)), [2, 3, 5]),
        (Where(year=(None, 1959)), [1]),
        (Where(year=(None, None)), [1, 2, 3, 5]),
        (Where(duration_s=(59.5, 101)), [5]),
        (Where(duration_s=(300, None)), [1]),
        (Where(tempo=(90, 120)), [1, 2, 5]),
        (Where(musical_key=("Am",)), [2]),
        (Where(musical_key=("A#",)), [3, 4]),
        (Where(musical_key=("a-moll",)), [2]),
        (Where(musical_key=("B-Dur", "AMIN")), [2, 3, 4]),
        (Where(musical_key=("A sharp",)), [3, 4]),
        (Where(musical_key=("AM",)), []),
        (Where(musical_key=("a min", "B♭ major")), [2, 3, 4]),
        (Where(tags=(("piano", 0.4),)), [1, 2, 4]),
        (Where(tags=(("piano", 0.41),)), [1, 4]),
        (Where(tags=(("piano", 0.39), ("metal", 0.5))), [4]),
        (Where(tags=(("sad songs", 0.5),)), [5]),
        # The strongest tenth: of five tracks the strongest.
        (Where(tags=(("piano", None),)), [1]),
        (Where(tags=(("sad songs", None), ("metal", 0.01))), [5]),
        (Where(among=(5, "0001.mp3", 77, "no such key")), [1, 5]),
        (Where(among=()), []),
        (Where(exclude=(5, "0001.mp3", 77, "no such key")), [2, 3, 4]),
        (Where(exclude=("5", "77", 2**70, -1)), [1, 2, 3, 4]),
        (Where(among=(1, 2), exclude=(2,)), [1]),
        (Where(exclude=tuple(range(3, 1000))), [1, 2]),
        (Where(genre=("jazz",), year=(1960, None), tempo=(None, 100), musical_key=("Am",)), [2]),
        (Where(artist=("Miles",), tags=(("metal", 0.5),), exclude=(1,)), [4]),
    ],
    ids=str,
)
def test_a_filter_keeps_the_same_tracks_at_every_door(
    recommender: Recommender, where: Where, kept: list[int]
) -> None:
    assert recommender.ids(where).tolist() == kept
    vectors = recommender.vectors([1, 2])
    ids, cosines = recommender.nearest(vectors, 9, where=where)
    assert ids.shape == cosines.shape == (2, len(kept))
    assert sorted(ids[0].tolist()) == kept
    others = sorted(set(kept) - {1})
    rows, _ = recommender.neighbours([1], 9, where=where)
    assert sorted(rows[rows > 0].tolist()) == others
    for answer in (
        recommender.similar_to_track(1, 9, where=where),
        recommender.similar_to_tracks([1], n=9, where=where),
    ):
        assert sorted(one.id for one in answer) == others
        # A filter that excludes the seed still answers.
    whole = recommender.similar_to_vector(vectors[0], 9, where=where)
    assert sorted(one.id for one in whole) == kept


def test_a_filter_that_keeps_nothing_or_little_says_so(recommender: Recommender) -> None:
    answer = recommender.similar_to_track(1, 3, where=Where(genre=("polka",), year=(1990, None)))
    assert len(answer) == 0
    assert answer.note == (
        "none of the 3 asked for: the filter (genre polka, year from 1990) keeps none of 5"
    )
    one = recommender.similar_to_track(1, 3, where=Where(artist=("Björk",), exclude=(2,)))
    assert [found.id for found in one] == [3]
    assert one.note == (
        "1 of the 3 asked for: the filter (artist Björk, without 1 named) keeps 1 of 5"
    )


def test_the_time_of_adding_is_a_filter(tmp_path: Path) -> None:
    catalog = plant(tmp_path, TAGS, TRACKS)
    with closing(Library.open_for_writing(catalog)) as library:
        with library.catalog.writing() as connection:
            for track in range(1, 6):
                row = update(TrackRow).where(TrackRow.id == track)
                connection.execute(row.values(added_at=1000.0 * track, facets_change=2))
            connection.execute(update(CatalogRow).values(facets_change=2))
    with Recommender.open(catalog) as recommender:
        assert recommender.ids(Where(added_since=3000)).tolist() == [3, 4, 5]


def test_a_filter_is_compiled_once_until_the_catalog_changes(tmp_path: Path) -> None:
    catalog = plant(tmp_path, TAGS, TRACKS)
    jazz = Where(genre=("jazz",))
    with closing(Library.open(catalog)) as library:
        before = take_snapshot(library)
        assert before.select(jazz).count == 2
        without = before.select(Where(genre=("jazz",), exclude=(9,)))
        assert without.subset is before.select(jazz).subset
        assert take_snapshot(library, before) is before
        with closing(Library.open_for_writing(catalog)) as writer:
            with writer.catalog.writing() as connection:
                # Another tag changes no vector.
                retagged = {"genre": "JAZZ", "facets_change": 100}
                connection.execute(update(CatalogRow).values(facets_change=100))
                connection.execute(update(TrackRow).where(TrackRow.id == 5).values(retagged))
        assert take_snapshot(library, before).select(jazz).count == 3
        filters = CompiledFilters(library.facets, before.model, before.index)
        for year in range(1900, 1960):
            filters.select(Where(year=(year, None)))
        assert len(filters._subsets) == COMPILED


def test_what_is_no_filter_is_refused(recommender: Recommender) -> None:
    with pytest.raises(InvalidOption, match="is no filter: give a Where"):
        recommender.similar_to_track(1, where={"genre": "jazz"})


def test_a_tag_the_model_lacks_is_refused_with_the_closest(recommender: Recommender) -> None:
    with pytest.raises(InvalidOption, match="no tag 'pianno': did you mean piano"):
        recommender.ids(Where(tags=(("pianno", 0.5),)))
    with pytest.raises(InvalidOption, match="soundalike show"):
        recommender.similar_to_track(1, where=Where(tags=(("xyz", 0.5),)))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"artist": "Miles"}, "is one text"),
        ({"artist": (3,)}, "is no text"),
        ({"added_since": "2020-01-01"}, "is no time"),
        ({"exclude": "Miles"}, "list of ids or keys"),
        ({"among": (1.5,)}, "whole number"),
        ({"year": (2000, 1990)}, "from 2000 to 1990"),
        ({"year": (float("nan"), None)}, "not a number"),
        ({"year": 1990}, "is no range"),
        ({"tempo": ("a", "b")}, "is no range"),
        ({"tags": (("piano", 1.5),)}, "no probability"),
        ({"tags": (("piano", float("nan")),)}, "no probability"),
        ({"tags": ("piano",)}, "is no tag with a level"),
        ({"musical_key": ("H minor",)}, "is no musical key"),
        ({"musical_key": ("",)}, "is no musical key"),
        ({"added_since": float("inf")}, "is no time"),
    ],
    ids=str,
)
def test_nonsense_is_refused_in_one_sentence(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        Where(**values)


def test_lists_and_arrays_are_taken_for_tuples() -> None:
    where = Where(artist=["a"], among=np.array([1, 2]), year=[1990, None])  # type: ignore[arg-type]  # what people write
    assert where == Where(artist=("a",), among=(1, 2), year=(1990, None))
    assert hash(where) == hash(Where(artist=("a",), among=(1, 2), year=(1990, None)))


def test_filters_on_a_large_index_are_exact_where_they_keep_few(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    tracks = [
        Planted(
            str(n),
            genre="rare" if n % 10 == 0 else "median_random_cosine",
            vector=rng.normal(size=DIM),
        )
        for n in range(300)
    ]
    with Recommender.open(plant(tmp_path, TAGS, tracks)) as recommender:
        where = Where(genre=("rare",))
        kept = recommender.ids(where)
        assert kept.tolist() == list(range(1, 301, 10))
        query = recommender.vectors([2])
        cosines = recommender.vectors(kept) @ query[0]
        found, _ = recommender.nearest(query, 5, where=where)
        assert found[0].tolist() == kept[np.argsort(-cosines, kind="stable")[:5]].tolist()
