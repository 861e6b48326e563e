"""Routes that predict genres from sound, with the catalog's classifier."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from recommender.genres.answers import (
    PredictedGenres,
    classifier_path,
    predict_genres,
    predict_genres_of_analysis,
)
from recommender.genres.classifier import GenreClassifier
from recommender.server.api.answers import FILE_BODY, example, json_response, problems
from recommender.server.api.parameters import TrackId, UploadName, track_of
from recommender.server.context import Context, Server
from recommender.server.uploads import analyse, receive

router = APIRouter(tags=["genres"])


class Prediction(BaseModel):
    """A genre with its probability."""

    genre: str
    probability: float


class GenreAnswer(BaseModel):
    """Predicted genres, likeliest first, and the genre tag of the file."""

    id: int | None
    name: str
    own_genre: str | None
    predictions: list[Prediction]


_GENRES = {
    "id": 17,
    "name": "Miles Davis - So What",
    "own_genre": "Jazz",
    "predictions": [{"genre": "Jazz", "probability": 0.91}],
}


@router.get(
    "/tracks/{track_id}/genres",
    summary="Genres of a track, from its sound",
    response_model=GenreAnswer,
    responses=example(_GENRES) | problems(404, 409, 422),
)
def of_track(server: Server, track_id: TrackId) -> Response:
    """What the catalog's classifier says, as `soundalike genre`; 409 where there is none."""
    track = track_of(server, str(track_id))
    found = predict_genres(server.recommender, _classifier(server), str(track.id))
    return json_response(found.to_json())


@router.post(
    "/genres",
    summary="Genres of a file, from its sound",
    response_model=GenreAnswer,
    responses=example({**_GENRES, "id": None, "name": "new.mp3", "own_genre": None})
    | problems(400, 408, 409, 413, 422, 503, 507),
    openapi_extra=FILE_BODY,
)
async def of_upload(request: Request, server: Server, name: UploadName = "") -> Response:
    """What the catalog's classifier says of the file whose bytes are sent; nothing is kept."""
    async with receive(request, server.uploads, server.settings.upload, name=name) as path:
        analysis = await analyse(server, path)
        name = path.name

    def predict() -> PredictedGenres:
        return predict_genres_of_analysis(_classifier(server), analysis, name=name)

    return json_response((await run_in_threadpool(predict)).to_json())


def _classifier(server: Context) -> GenreClassifier:
    path = classifier_path(server.catalog.path)
    return GenreClassifier.load(path, model=server.recommender.model)
