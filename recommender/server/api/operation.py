"""Routes for who operates the server: health, readiness."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from recommender.server.context import Server
from recommender.server.problems import Problem

router = APIRouter(tags=["operation"])


class State(BaseModel):
    """Whether the server can answer."""

    state: Literal["alive", "ready"]


@router.get("/health", openapi_extra={"x-example": "GET /api/v1/health"})
async def health() -> State:
    """Say that the process runs."""
    return State(state="alive")


@router.get("/ready")
def ready(server: Server) -> State:
    """Say that the catalog can be read and holds tracks; 503 while it does not."""
    if len(server.recommender) == 0:
        raise Problem(503, "the catalog holds no tracks yet: index a folder")
    return State(state="ready")
