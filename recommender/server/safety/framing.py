"""Refuses requests that say twice how long they are (request smuggling, RFC 9112 section 6.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recommender.server.problems import problem_response
from recommender.server.safety.headers import header

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class FramingGuard:
    """Refuses what has both a length and a transfer coding.

    A proxy may go by the one and this server by the other; the rest of one client's request would
    then be read as another client's.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        names = (b"content-length", b"transfer-encoding")
        if scope["type"] == "http" and all(header(scope, name) is not None for name in names):
            refusal = problem_response(
                400,
                "a request has a Content-Length or a Transfer-Encoding, not both",
                headers={"Connection": "close"},
            )
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)
