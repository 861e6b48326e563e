"""Query parameters that many routes take: tracks, filters, rankings, words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, Path, Query

from indexer.catalog.records import Track
from indexer.errors import UnknownTrack
from recommender.retrieval.lookup import is_id, require_present
from recommender.retrieval.ranking import Ranking
from recommender.retrieval.where import Where
from recommender.server.context import Context

LARGEST = 2**63 - 1
LONGEST_TEXT = 500
MOST_VALUES = 100
MOST_NAMED = 1_000

_LEVEL = re.compile(r"(?P<tag>[^>]*[^>\s])\s*>=?\s*(?P<level>[0-9]*\.?[0-9]+)\s*")

Text = Annotated[str, Query(max_length=LONGEST_TEXT)]
Count = Annotated[int, Query(ge=1, le=200, description="How many tracks.", examples=[10])]
TrackName = Annotated[str, Query(min_length=1, max_length=4096, description="Id or key.")]
TrackNames = Annotated[
    list[Annotated[str, Query(min_length=1, max_length=4096)]],
    Query(max_length=MOST_VALUES, description="Ids or keys of tracks."),
]
TrackId = Annotated[int, Path(ge=1, le=LARGEST, description="Id of a track.", examples=[17])]
UploadName = Annotated[
    str, Query(max_length=1_000, description="What the file is called.", examples=["new.mp3"])
]
Words = Annotated[
    list[Annotated[str, Query(min_length=1, max_length=LONGEST_TEXT)]],
    Query(max_length=20, description="Words that `words` knows."),
]

_Texts = Annotated[
    list[Annotated[str, Query(max_length=LONGEST_TEXT)]], Query(max_length=MOST_VALUES)
]
_Year = Annotated[int | None, Query(ge=-9999, le=9999)]
_Number = Annotated[float | None, Query(ge=0, le=1e9, allow_inf_nan=False)]
_Name = Annotated[str, Query(min_length=1, max_length=4096)]
_Names = Annotated[list[_Name], Query(max_length=MOST_NAMED)]
_SomeNames = Annotated[list[_Name] | None, Query(max_length=MOST_NAMED)]


async def _where_of(
    artist: _Texts = [],  # noqa: B006 - FastAPI copies defaults
    album: _Texts = [],  # noqa: B006
    genre: _Texts = [],  # noqa: B006
    musical_key: _Texts = [],  # noqa: B006
    tag: _Texts = [],  # noqa: B006
    year_from: _Year = None,
    year_to: _Year = None,
    duration_from: _Number = None,
    duration_to: _Number = None,
    tempo_from: _Number = None,
    tempo_to: _Number = None,
    added_since: Annotated[float | None, Query(ge=0, le=1e12, allow_inf_nan=False)] = None,
    among: _SomeNames = None,
    exclude: _Names = [],  # noqa: B006
) -> Where:
    """The filter that query parameters describe."""
    return where_from(**locals())


def where_from(
    *,
    artist: Sequence[str] = (),
    album: Sequence[str] = (),
    genre: Sequence[str] = (),
    musical_key: Sequence[str] = (),
    tag: Sequence[str] = (),
    year_from: int | None = None,
    year_to: int | None = None,
    duration_from: float | None = None,
    duration_to: float | None = None,
    tempo_from: float | None = None,
    tempo_to: float | None = None,
    added_since: float | None = None,
    among: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
) -> Where:
    """A filter by the names that its fields have in addresses and in JSON.

    Raises
    ------
    InvalidOption
    """
    return Where(
        artist=tuple(artist),
        album=tuple(album),
        genre=tuple(genre),
        musical_key=tuple(musical_key),
        tags=tuple(tag_level(text) for text in tag),
        year=None if year_from is year_to is None else (year_from, year_to),
        duration_s=_range(duration_from, duration_to),
        tempo=_range(tempo_from, tempo_to),
        added_since=added_since,
        among=None if among is None else tuple(among),
        exclude=tuple(exclude),
    )


async def _ranking_of(
    diversity: Annotated[float, Query(ge=0, le=1, allow_inf_nan=False)] = 0.0,
    per_artist: Annotated[int | None, Query(ge=1, le=1_000)] = None,
    per_album: Annotated[int | None, Query(ge=1, le=1_000)] = None,
    min_score: Annotated[float | None, Query(ge=0, le=1, allow_inf_nan=False)] = None,
    collapse: bool = True,  # noqa: FBT001, FBT002 - FastAPI hands it over by name
    local_scaling: bool = False,  # noqa: FBT001, FBT002
) -> Ranking:
    """The ranking that query parameters describe."""
    return Ranking(
        diversity=diversity,
        per_artist=per_artist,
        per_album=per_album,
        min_score=min_score,
        collapse=collapse,
        local_scaling=local_scaling,
    )


# Coroutines: FastAPI calls each plain function in a thread, which takes as long as some questions.
Filter = Annotated[Where, Depends(_where_of)]
Ranked = Annotated[Ranking, Depends(_ranking_of)]


def tag_level(text: str) -> tuple[str, float | None]:
    """A tag with a level, `piano>0.3`, or without one."""
    fit = _LEVEL.fullmatch(text)
    return (text, None) if fit is None else (fit["tag"], float(fit["level"]))


def tracks_of(server: Context, names: Sequence[str]) -> list[Track]:
    """The present tracks that ids and keys name, in their order.

    Paths and words are no names here: a client must not make the server open files of its disk.

    Raises
    ------
    UnknownTrack
    """
    by_key = server.recommender.ids_of_keys([name for name in names if not is_id(name)])
    ids = []
    for name in names:
        track_id = int(name) if is_id(name) else by_key.get(name)
        if track_id is None:
            raise UnknownTrack(f"no track has the key {name!r}: `tracks?q=` finds tracks")
        ids.append(track_id)
    return [require_present(track) for track in server.recommender.tracks(ids)]


def track_of(server: Context, name: str) -> Track:
    """The present track that an id or key names.

    Raises
    ------
    UnknownTrack
    """
    return tracks_of(server, [name])[0]


def _range(low: float | None, high: float | None) -> tuple[float | None, float | None] | None:
    return None if low is None and high is None else (low, high)
