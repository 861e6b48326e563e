"""Routes for who operates the server: health, readiness, status, failures, metrics, docs."""

from __future__ import annotations

import os
from dataclasses import asdict
from importlib.metadata import version
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from indexer.filesystem import display_path, folder_prefix
from recommender.server.api.answers import Responses, example, json_response, problems
from recommender.server.context import Context, Server
from recommender.server.error_handlers import private_folders
from recommender.server.problems import Problem, without_paths

router = APIRouter(tags=["operation"])


class State(BaseModel):
    """Whether the server can answer."""

    state: Literal["alive", "ready"]


class Status(BaseModel):
    """What the catalog holds and what the server may do."""

    version: str
    present: int
    missing: int
    removed: int
    failed: int
    failures: int
    recordings: int
    duration_s: float
    model: str | None
    windows: int | Literal["all"] | None
    vectors: int
    change: int
    folders: list[str]
    can_index: bool
    can_upload: bool
    can_predict_genres: bool
    watching: bool


class FailureFacts(BaseModel):
    """A file that could not be indexed; its path below the indexed folder."""

    path: str
    stage: str
    reason: str
    message: str
    tries: int
    failed_at: float


class FailureList(BaseModel):
    """A page of the files that could not be indexed; `next` is the cursor of the page after it."""

    failures: list[FailureFacts]
    total: int
    next: str | None
    note: str | None


_STATUS = {
    "version": "0.1.0",
    "present": 48,
    "missing": 0,
    "removed": 0,
    "failed": 0,
    "failures": 1,
    "recordings": 48,
    "duration_s": 2160.0,
    "model": "soundalike",
    "windows": 12,
    "vectors": 48,
    "change": 2,
    "folders": ["Music"],
    "can_index": True,
    "can_upload": False,
    "can_predict_genres": False,
    "watching": False,
}


@router.get("/health", summary="Whether the process runs", responses=example({"state": "alive"}))
async def health() -> State:
    """Say that the process runs."""
    return State(state="alive")


@router.get(
    "/ready",
    summary="Whether questions can be answered",
    responses=example({"state": "ready"}) | problems(503),
)
def ready(server: Server) -> State:
    """Say that the catalog can be read and holds tracks; 503 while it does not."""
    if len(server.recommender) == 0:
        raise Problem(503, "the catalog holds no tracks yet: index a folder")
    return State(state="ready")


@router.get(
    "/status",
    summary="What the catalog holds",
    response_model=Status,
    responses=example(_STATUS),
)
def status(server: Server) -> Response:
    """Counts, model and folders, as `soundalike status`, and what this server may do."""
    from recommender.genres.answers import classifier_path

    catalog, settings = server.catalog, server.settings
    model = catalog.active_model()
    folders = server.index_runs.folders
    return json_response(
        {
            "version": version("soundalike"),
            **catalog.counts(),
            "duration_s": round(catalog.played_seconds(), 3),
            "model": None if model is None else model.name,
            "windows": None if model is None else (model.windows or "all"),
            "vectors": len(server.recommender),
            "change": catalog.change(),
            "folders": [display_path(os.path.basename(folder)) for folder in folders],
            "can_index": bool(folders),
            "can_upload": settings.uploads is not None,
            "can_predict_genres": classifier_path(catalog.path).exists(),
            "watching": settings.watch,
        }
    )


@router.get(
    "/failures",
    summary="Files that could not be indexed",
    response_model=FailureList,
    responses=example(
        {
            "failures": [
                {
                    "path": "blue/18.mp3",
                    "stage": "decode",
                    "reason": "corrupt",
                    "message": "18.mp3 cannot be decoded",
                    "tries": 1,
                    "failed_at": 1.78e9,
                }
            ],
            "total": 1,
            "next": None,
            "note": None,
        }
    )
    | problems(422),
)
def failures(
    server: Server,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    cursor: Annotated[str | None, Query(max_length=20, pattern="^[0-9]+$")] = None,
) -> Response:
    """Files that could not be indexed, at which stage and why, as `soundalike failures`."""
    first = int(cursor or 0)
    found = server.catalog.failures()
    page = found[first : first + limit]
    folders = private_folders(server)
    after = first + len(page)
    return json_response(
        {
            "failures": [
                {
                    **asdict(one),
                    "path": _below(one.path, server),
                    "message": without_paths(one.message, folders),
                }
                for one in page
            ],
            "total": len(found),
            "next": str(after) if after < len(found) and page else None,
            "note": None if found else "every file that was found could be indexed",
        }
    )


def _below(path: bytes, server: Context) -> str:
    """A path below the indexed folder that it lies in, or its last part."""
    for folder in (*server.settings.folders, *server.recommender.folders()):
        prefix = folder_prefix(folder)
        if path.startswith(prefix):
            return display_path(path.removeprefix(prefix))
    return display_path(os.path.basename(path))


_METRICS: Responses = {
    200: {
        "description": "Metrics in Prometheus' text format.",
        "content": {
            "text/plain": {
                "schema": {"type": "string"},
                "example": "soundalike_tracks 48.0\n",
            }
        },
    }
}


@router.get(
    "/metrics", summary="Metrics for Prometheus", response_class=Response, responses=_METRICS
)
def metrics(server: Server) -> Response:
    """Requests, their durations, and what the catalog holds."""
    content, media_type = server.metrics.render(tracks=len(server.recommender))
    return Response(content, media_type=media_type)
