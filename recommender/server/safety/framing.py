"""Refuses requests by their head: too long, or with two lengths (smuggling, RFC 9112, 6.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recommender.server.problems import problem_response
from recommender.server.safety.headers import header

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send


HEAD_BYTES = 32 << 10
"""Length of a request's target and headers at most."""


class FramingGuard:
    """Refuses heads that are too long, and those with both a length and a transfer coding.

    A proxy may go by the one and this server by the other; the rest of one client's request would
    then be read as another client's.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        refusal = _refusal(scope) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)


def head_too_long() -> Response:
    """The answer to a request whose head is longer than `HEAD_BYTES`."""
    return problem_response(
        431,
        f"a request's address and headers may be {HEAD_BYTES:,} bytes: shorten them",
        headers={"Connection": "close"},
    )


def _refusal(scope: Scope) -> Response | None:
    # The protocol bounds what it waits for only, not a head that comes in one piece.
    length = len(scope["method"]) + len(scope["path"]) + len(scope["query_string"])
    if length + sum(len(name) + len(value) + 4 for name, value in scope["headers"]) > HEAD_BYTES:
        return head_too_long()
    names = (b"content-length", b"transfer-encoding")
    if any(header(scope, name) is None for name in names):
        return None
    return problem_response(
        400,
        "a request has a Content-Length or a Transfer-Encoding: send one of them",
        headers={"Connection": "close"},
    )
