"""One reading of a query for artists, albums and songs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.catalogs import Planted, plant
from tests.recommender.server.opensubsonic.library import Rest
from tests.recommender.server.opensubsonic.songs import rest_of_catalog

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ("AC/DC", "Sigur R\u00f3s", "Greatest Hits", "%", "\N{MUSICAL NOTE}", "!!!", "夜に駆ける")
"""Each is the name of an artist, of the artist's one album and of its one song."""


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rest]:
    tracks = [Planted(name, artist=name, album=name) for name in NAMES]
    folder = tmp_path_factory.mktemp("search")
    with rest_of_catalog(plant(folder, ["calm"], [*tracks, Planted("Fe\ufffe")])) as rest:
        yield rest


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("AC-DC", ["AC/DC"]),
        ("ac dc", ["AC/DC"]),
        ("c/d", ["AC/DC"]),
        ("dc", ["AC/DC"]),
        ("c", []),
        ('"greatest hits"', ["Greatest Hits"]),
        ("hits, greatest!", ["Greatest Hits"]),
        ("great* hi*", ["Greatest Hits"]),
        ("eat", ["Greatest Hits"]),
        ("ea", []),
        ("SIGUR ros", ["Sigur R\u00f3s"]),
        ("%", ["%"]),
        ("\N{MUSICAL NOTE}", ["\N{MUSICAL NOTE}"]),
        ("\N{MUSICAL NOTE} ros", ["Sigur R\u00f3s"]),
        ("!", ["!!!"]),
        ("!!!", ["!!!"]),
        ("駆け", ["夜に駆ける"]),
        ("'", []),
        ("none such", []),
    ],
)
def test_artists_albums_and_songs_are_found_by_the_same_words(
    named: Rest, query: str, names: list[str]
) -> None:
    found = named.ok("search3", query=query)["searchResult3"]
    assert [one["name"] for one in found["artist"]] == names
    assert [one["name"] for one in found["album"]] == names
    assert [one["title"] for one in found["song"]] == names


def test_a_name_is_found_as_it_is_seen(named: Rest) -> None:
    (song,) = named.ok("search3", query="fe\ufffd")["searchResult3"]["song"]
    assert song["title"] == "Fe\ufffd"


@pytest.mark.parametrize("query", ["", " ", '""', "''", "*", "\u00ad"])
def test_without_words_everything_is_listed(named: Rest, query: str) -> None:
    found = named.ok("search3", query=query)["searchResult3"]
    assert len(found["song"]) == len(NAMES) + 1
    assert len(found["artist"]) == len(found["album"]) == len(NAMES) + 1
