"""Endpoints that search artists, albums and songs by words; without words they list everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from indexer.catalog.track_names import PART, signs_to_find, spaced_words, words_to_find
from indexer.text_folding import searchable
from recommender.server.opensubsonic.entries import (
    album_entries,
    album_folders,
    artist_entries,
    artist_folders,
    songs,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from recommender.server.opensubsonic.library_tree import Album, Artist
    from recommender.server.opensubsonic.parameters import Parameters
    from recommender.server.opensubsonic.server import RestServer

MOST = 5_000
"""Artists, albums or songs of one answer: clients that copy a library ask for long pages."""
EVERYTHING = ('""', "''")
"""What clients send for a query without words."""
LONGEST = 500
"""Letters of a query that are looked at."""


class Named(Protocol):
    """An artist or album."""

    @property
    def search_text(self) -> str:
        """Its names, as `library_tree.search_text` has them."""


One = TypeVar("One", bound=Named)


def search3(server: RestServer, parameters: Parameters) -> dict[str, Any]:
    """Artists, albums and songs by their tags."""
    artists, albums, found = _search(server, parameters)
    return {
        "searchResult3": {
            "artist": artist_entries(server, artists),
            "album": album_entries(server, albums),
            "song": songs(server, found),
        }
    }


def search2(server: RestServer, parameters: Parameters) -> dict[str, Any]:
    """The same, albums as folders."""
    artists, albums, found = _search(server, parameters)
    return {
        "searchResult2": {
            "artist": artist_folders(server, artists),
            "album": album_folders(server, albums),
            "song": songs(server, found),
        }
    }


def _search(
    server: RestServer, parameters: Parameters
) -> tuple[Sequence[Artist], Sequence[Album], NDArray[np.int64]]:
    """The pages of artists, albums and songs that a request asks for."""
    query = parameters.text("query").strip()[:LONGEST]
    # Some clients mark the beginning of a word as Lucene does.
    query = " ".join(query.replace("*", " ").split())
    if query in EVERYTHING or not searchable(query):
        query = ""
    tree = server.tree
    songs_page = _slice(parameters, "song")
    if songs_page.start == songs_page.stop:
        found = tree.songs[:0]
    else:
        found = server.recommender.matching_ids(query) if query else tree.songs
    return (
        fitting(tree.artists, query)[_slice(parameters, "artist")],
        fitting(tree.albums, query)[_slice(parameters, "album")],
        found[songs_page],
    )


def fitting(named: Sequence[One], query: str) -> Sequence[One]:
    """Those whose names hold all words of a query, which are read as those of a title are.

    Those that begin with it come first, then those in which each word begins a word.
    """
    if not query:
        return named
    words = words_to_find(query)
    start, begins = spaced_words(" ".join(words)), [spaced_words(word) for word in words]
    held = [
        word if len(word) >= PART else begin for word, begin in zip(words, begins, strict=True)
    ] or [signs_to_find(query)]
    found: tuple[list[One], list[One], list[One]] = [], [], []
    for one in named:
        text = one.search_text
        if start and text.startswith(start):
            found[0].append(one)
        elif start and all(word in text for word in begins):
            found[1].append(one)
        elif all(word in text for word in held):
            found[2].append(one)
    return [*found[0], *found[1], *found[2]]


def _slice(parameters: Parameters, kind: str) -> slice:
    """Where in a list the page of a kind lies."""
    offset = parameters.whole(f"{kind}Offset", 0)
    return slice(offset, offset + parameters.whole(f"{kind}Count", 20, most=MOST))


ENDPOINTS = {"search2": search2, "search3": search3}
