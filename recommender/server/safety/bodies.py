"""Limits of request bodies that a route reads whole."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from recommender.server.problems import problem_response
from recommender.server.safety.headers import header

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 1 << 20
RECEIVE_S = 15.0
TOO_LONG = f"a request may be {MOST_BYTES >> 20} MiB long"


class BodyLimit:
    """Refuses bodies that are too long or too slow.

    Parameters
    ----------
    streamed : paths
        Routes that read a body piece by piece under limits of their own.
    """

    def __init__(self, app: ASGIApp, *, streamed: Iterable[str]) -> None:
        self._app = app
        self._streamed = frozenset(streamed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if (
            scope["type"] != "http"
            or scope["method"] in ("GET", "HEAD")
            or scope["path"] in self._streamed
        ):
            await self._app(scope, receive, send)
            return
        length = header(scope, b"content-length") or "0"
        if not length.isdigit() or int(length[:20]) > MOST_BYTES:
            refusal = problem_response(413, TOO_LONG)
            await refusal(scope, receive, send)
            return
        loop = asyncio.get_running_loop()
        read, until = 0, loop.time() + RECEIVE_S

        async def limited() -> Message:
            nonlocal read
            # What comes after the body is the client's leaving, for which a route may wait.
            limit = None if read < 0 else max(0.0, until - loop.time())
            try:
                message = await asyncio.wait_for(receive(), limit)
            except TimeoutError as error:
                raise HTTPException(408, "the request took too long to arrive") from error
            read += len(message.get("body", b""))
            if read > MOST_BYTES:
                raise HTTPException(413, TOO_LONG)
            if message["type"] == "http.request" and not message.get("more_body"):
                read = -1 << 60
            return message

        await self._app(scope, limited, send)
