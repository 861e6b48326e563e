"""Routes that answer what sounds alike: by tracks of the catalog."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from recommender.retrieval.answers import Answer, Explanation, NearDuplicate
from recommender.retrieval.seeds import AnalysedFile
from recommender.retrieval.tag_order import strongest_tags
from recommender.server.api.answers import (
    FILE_BODY,
    TRACK,
    TrackFacts,
    example,
    json_response,
    problems,
    with_tracks,
)
from recommender.server.api.parameters import (
    Count,
    Filter,
    Ranked,
    TrackNames,
    UploadName,
    Words,
    tracks_of,
)
from recommender.server.api.tracks import TAGS
from recommender.server.context import Context, Server
from recommender.server.uploads import analyse, receive

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


class UploadFacts(BaseModel):
    """An uploaded file: what it says of itself, and what the model hears in it.

    `known_id` is the track of the library that holds this very recording, if one does.
    """

    name: str
    duration_s: float
    codec: str
    title: str | None
    artist: str | None
    album: str | None
    known_id: int | None
    tags: dict[str, float]


class SimilarAnswer(BaseModel):
    """Tracks that sound like the seeds, most relevant first, and why they may be few."""

    seed: str
    neighbours: list[SimilarTrack]
    note: str | None


class UploadAnswer(SimilarAnswer):
    """Tracks that sound like an uploaded file."""

    upload: UploadFacts


SIMILAR: dict[str, Any] = {
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
    more: Words = [],  # noqa: B006
    less: Words = [],  # noqa: B006
    include_same: bool = False,  # noqa: FBT001, FBT002 - handed over by name
    why: WhyParameter = False,  # noqa: FBT002
) -> Response:
    """The tracks that sound most like what is liked and not like what is disliked.

    As `soundalike similar --json`, with the facts of each track beside it.
    """
    answer = server.recommender.similar_to_tracks(
        tracks_of(server, like),
        tracks_of(server, dislike),
        n,
        strategy=strategy,
        where=where,
        ranking=ranking,
        more=more,
        less=less,
        include_same=include_same,
        why=why,
    )
    return json_response(answer_json(server, answer), keep=True)


@router.post(
    "/similar",
    summary="Tracks that sound like a file",
    response_model=UploadAnswer,
    responses=example(
        {
            **SIMILAR,
            "upload": {
                "name": "new.mp3",
                "duration_s": 212.0,
                "codec": "mp3",
                "title": None,
                "artist": None,
                "album": None,
                "known_id": None,
                "tags": {"jazz": 0.9},
            },
        }
    )
    | problems(400, 408, 413, 422, 503, 507),
    openapi_extra=FILE_BODY,
)
async def similar_to_upload(
    request: Request,
    server: Server,
    where: Filter,
    ranking: Ranked,
    name: UploadName = "",
    n: Count = 10,
    more: Words = [],  # noqa: B006 - FastAPI copies defaults
    less: Words = [],  # noqa: B006
    why: WhyParameter = False,  # noqa: FBT002 - handed over by name
) -> Response:
    """The tracks that sound most like the file whose bytes are sent; nothing of it is kept."""
    async with receive(request, server.uploads, server.settings.upload, name=name) as path:
        analysis = await analyse(server, path)
    seed = AnalysedFile(bytes(path), analysis)

    def answer() -> dict[str, Any]:
        recommender = server.recommender
        found = recommender.similar_to_tracks(
            seed, n=n, where=where, ranking=ranking, more=more, less=less, why=why
        )
        known = recommender.track_of_recording(analysis.facts.audio_hash)
        tags = strongest_tags(recommender.model.tag_names, analysis.activations)
        return {
            **answer_json(server, found),
            "upload": {
                "name": path.name,
                "duration_s": round(analysis.facts.duration_s, 3),
                "codec": analysis.facts.codec,
                "title": analysis.tags.title,
                "artist": analysis.tags.artist,
                "album": analysis.tags.album,
                "known_id": None if known is None else known.id,
                "tags": dict(tags[:TAGS]),
            },
        }

    return json_response(await run_in_threadpool(answer))


def answer_json(server: Context, answer: Answer) -> dict[str, Any]:
    """An answer as plain values, with the facts of each track."""
    found = answer.to_json()
    rows: Any = found["neighbours"]
    return {**found, "neighbours": with_tracks(rows, server.recommender.tracks)}
