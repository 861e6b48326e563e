"""Routes by which a browser shows the token once and is known from then on."""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from recommender.server.api.answers import problems
from recommender.server.context import Server
from recommender.server.problems import Problem
from recommender.server.safety.tokens import COOKIE, session_cookie

router = APIRouter(tags=["session"])

LASTS_S = 30 * 86_400


class Token(BaseModel):
    """The secret that stands in the server's token file."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"token": "what stands in the token file"}}
    )

    token: Annotated[str, Field(max_length=500)]


@router.post(
    "/session",
    summary="Show the token",
    status_code=204,
    responses=problems(400, 401, 408, 413, 422),
)
async def begin(server: Server, shown: Token) -> Response:
    """Set a cookie, with which the browser may ask from now on."""
    token = server.settings.token
    if token is None:
        return Response(status_code=204)
    if not hmac.compare_digest(shown.token.encode(errors="replace"), token.encode()):
        raise Problem(401, "that is not the token: it stands in the file of --token-file")
    answer = Response(status_code=204)
    # Without a path the browser takes that of this address, so that it holds below a proxy's too.
    answer.set_cookie(
        COOKIE,
        session_cookie(token),
        max_age=LASTS_S,
        path=None,
        httponly=True,
        samesite="strict",
    )
    return answer


@router.delete("/session", summary="Forget the browser", status_code=204, responses=problems(422))
async def end() -> Response:
    """Delete the cookie."""
    answer = Response(status_code=204)
    answer.set_cookie(COOKIE, "", max_age=0, path=None, httponly=True, samesite="strict")
    return answer
