"""What Prometheus is told: requests and their durations, and what the catalog holds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """Counts of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "soundalike_requests",
            "Requests answered.",
            ("method", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "soundalike_request_seconds",
            "Seconds until the first byte of an answer.",
            buckets=SECONDS,
            registry=self._registry,
        )
        self._tracks = Gauge(
            "soundalike_tracks", "Tracks that can be answers.", registry=self._registry
        )

    def count(self, method: str, status: int, seconds: float) -> None:
        """Count an answer."""
        # Of methods that a client made up, one for all.
        known = method if method in ("GET", "HEAD", "POST", "DELETE") else "other"
        self._requests.labels(known, str(status)).inc()
        self._seconds.observe(seconds)

    def render(self, *, tracks: int) -> tuple[bytes, str]:
        """The metrics as text, with its media type."""
        self._tracks.set(tracks)
        return generate_latest(self._registry), CONTENT_TYPE_PLAIN_0_0_4


class CountRequests:
    """Counts every request when its answer begins."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def send_and_count(message: Message) -> None:
            if message["type"] == "http.response.start":
                status: Any = message["status"]
                self._metrics.count(scope["method"], status, time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, send_and_count)
