"""Routes that answer what sounds alike: by tracks of the catalog."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from recommender.retrieval.answers import Answer, Explanation, NearDuplicate
from recommender.server.api.answers import (
    TRACK,
    TrackFacts,
    example,
    json_response,
    problems,
    with_tracks,
)
from recommender.server.api.parameters import Count, Filter, Ranked, TrackNames, tracks_of
from recommender.server.context import Context, Server

router = APIRouter(tags=["similar"])

WhyParameter = Annotated[bool, Query(description="Say what each has in common with the seed.")]


class SimilarTrack(BaseModel):
    """A track that sounds like the seeds."""

    id: int
    key: str
    title: str | None
    artist: str | None
    cosine: float
    score: float | None
    duplicates: list[NearDuplicate]
    why: Explanation | None
    track: TrackFacts


class SimilarAnswer(BaseModel):
    """Tracks that sound like the seeds, most relevant first, and why they may be few."""

    seed: str
    neighbours: list[SimilarTrack]
    note: str | None


SIMILAR = {
    "seed": "Miles Davis - So What",
    "neighbours": [
        {
            "id": 18,
            "key": "blue/18 all blues.flac",
            "title": "All Blues",
            "artist": "Miles Davis",
            "cosine": 0.943,
            "score": 0.998,
            "duplicates": [],
            "why": {
                "seed": None,
                "tags": ["jazz", "trumpet"],
                "tempo_bpm": None,
                "musical_key": None,
                "windows": None,
            },
            "track": TRACK,
        }
    ],
    "note": None,
}


@router.get(
    "/similar",
    summary="Tracks that sound like others",
    response_model=SimilarAnswer,
    responses=example(SIMILAR) | problems(404, 422),
)
def similar(
    server: Server,
    where: Filter,
    ranking: Ranked,
    like: TrackNames,
    dislike: TrackNames = [],  # noqa: B006 - FastAPI copies defaults
    n: Count = 10,
    strategy: Literal["average", "best_score"] = "average",
    include_same: bool = False,  # noqa: FBT001, FBT002 - handed over by name
    why: WhyParameter = False,  # noqa: FBT002
) -> Response:
    """The tracks that sound most like what is liked and not like what is disliked.

    As `soundalike similar --json`, with the facts of each track beside it.
    """
    answer = server.recommender.similar_to_tracks(
        [track.id for track in tracks_of(server, like)],
        [track.id for track in tracks_of(server, dislike)],
        n,
        strategy=strategy,
        where=where,
        ranking=ranking,
        include_same=include_same,
        why=why,
    )
    return json_response(answer_json(server, answer), keep=True)


def answer_json(server: Context, answer: Answer) -> dict[str, Any]:
    """An answer as plain values, with the facts of each track."""
    found = answer.to_json()
    rows: Any = found["neighbours"]
    return {**found, "neighbours": with_tracks(rows, server.recommender.tracks)}
