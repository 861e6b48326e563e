"""Routes that answer words: words, vocabulary."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from recommender.server.api.answers import (
    TRACK,
    TrackFacts,
    example,
    json_response,
    problems,
    with_tracks,
)
from recommender.server.api.parameters import LONGEST_TEXT, Count, Filter
from recommender.server.context import Server
from recommender.text import search as by_words

router = APIRouter(tags=["words"])


class WordMatch(BaseModel):
    """How well a track fits one word: the share of the library that fits it less, and why."""

    word: str
    percentile: float
    because: str


class WordHit(BaseModel):
    """A track that fits the words."""

    id: int
    key: str
    title: str | None
    artist: str | None
    score: float
    matches: list[WordMatch]
    lyrics: float | None
    track: TrackFacts


class UnknownWord(BaseModel):
    """A word that was left out, and known ones that are near to it."""

    text: str
    nearest: list[str]


class WordAnswer(BaseModel):
    """Tracks that fit words best."""

    text: str
    words: list[dict[str, Any]]
    unknown: list[UnknownWord]
    hits: list[WordHit]
    note: str | None


class KnownWords(BaseModel):
    """Words that can be searched for, and what synonyms mean."""

    tags: list[str]
    genres: list[str]
    synonyms: dict[str, list[str]]


_HIT = {
    "id": 17,
    "key": "blue/17 so what.flac",
    "title": "So What",
    "artist": "Miles Davis",
    "score": 0.91,
    "matches": [{"word": "calm", "percentile": 0.91, "because": "calm 0.62"}],
    "lyrics": None,
    "track": TRACK,
}


@router.get(
    "/words",
    summary="Tracks that fit words",
    response_model=WordAnswer,
    responses=example({"text": "calm", "words": [], "unknown": [], "hits": [_HIT], "note": None})
    | problems(422),
)
def words(
    server: Server,
    where: Filter,
    q: Annotated[str, Query(min_length=1, max_length=LONGEST_TEXT, examples=["calm piano, 90s"])],
    n: Count = 10,
) -> Response:
    """The tracks that fit moods, instruments, voices, genres, years and tempo best.

    As `soundalike find --json`, with the facts of each track beside it.
    """
    found = by_words.find(server.recommender, q, n, where=where).to_json()
    rows: Any = found["hits"]
    return json_response({**found, "hits": with_tracks(rows, server.recommender.tracks)}, keep=True)


@router.get(
    "/vocabulary",
    summary="Words that are known",
    response_model=KnownWords,
    responses=example({"tags": ["piano"], "genres": ["Jazz"], "synonyms": {"mellow": ["calm"]}})
    | problems(422),
)
def vocabulary(server: Server) -> Response:
    """Tags of the model, genres of the library, and synonyms with what they mean."""
    known = server.recommender.vocabulary
    synonyms = {
        text: list(dict.fromkeys((*word.tags, *word.genres)))
        for text, word in known.synonyms.items()
    }
    return json_response(
        {"tags": list(known.tags), "genres": list(known.genres), "synonyms": synonyms}, keep=True
    )
