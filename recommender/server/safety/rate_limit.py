"""A limit of requests for each client (token bucket)."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from recommender.server.problems import problem_response

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

BURST_S = 10.0
"""A client that was silent may make as many requests at once as in so many seconds."""
CLIENTS = 10_000
"""Clients remembered, the latest."""


class RateLimit:
    """Answers 429 to a client that asks for more than its share.

    Parameters
    ----------
    per_s : float
        Requests a second in the long run, more than 0; `BURST_S` times as many at once.
    clock : function to float
        Seconds that go on steadily.
    """

    def __init__(
        self, app: ASGIApp, *, per_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._app = app
        self._per_s = per_s
        self._clock = clock
        self._free_at: OrderedDict[str, float] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http":
            wait = self._wait((scope.get("client") or ("", 0))[0])
            if wait > 0:
                refusal = problem_response(
                    429,
                    f"too many requests: ask again in {wait:.1f} s",
                    kind="soundalike:too-many-requests",
                    headers={"Retry-After": str(max(1, round(wait)))},
                )
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _wait(self, client: str) -> float:
        """Seconds until a client may ask, 0 if it may now, which is then counted."""
        now = self._clock()
        # Each request is paid for with 1 / per_s seconds of the time in which a bucket fills.
        free_at = max(self._free_at.pop(client, 0.0), now - BURST_S) + 1 / self._per_s
        refused = free_at > now + 1e-9
        self._free_at[client] = free_at - (1 / self._per_s if refused else 0.0)
        while len(self._free_at) > CLIENTS:
            self._free_at.popitem(last=False)
        return free_at - now if refused else 0.0
