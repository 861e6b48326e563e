"""What goes on in the library, told to pages as it happens (server-sent events)."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

from anyio import WouldBlock, to_thread
from fastapi.responses import StreamingResponse

from recommender.server.error_handlers import private_folders
from recommender.server.problems import Problem, without_paths

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Message, Receive, Scope, Send

    from recommender.server.context import Context

LEAST_S = 0.2
"""Seconds between two events of a run at least."""
LOOK_S = 1.0
"""Seconds between two looks at whether the catalog has changed."""
HEARTBEAT_S = 15.0
SEND_S = 30.0
"""Seconds that a client may leave an event unread."""


class EventStream(StreamingResponse):
    """Events until the client goes or the server ends; takes one of the server's few places.

    Raises
    ------
    Problem
        503: all are taken.
    """

    def __init__(self, context: Context) -> None:
        try:
            context.event_places.acquire_on_behalf_of_nowait(self)
        except WouldBlock:
            raise Problem(
                503,
                "too many pages are told of changes already: close some of them",
                headers={"Retry-After": "30"},
            ) from None
        self._context = context
        super().__init__(
            _events(context),
            media_type="text/event-stream",
            # A proxy must hand on each event at once.
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""

        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(SEND_S):
                await send(message)

        try:
            await super().__call__(scope, receive, send_in_time)
        finally:
            self._context.event_places.release_on_behalf_of(self)


def indexing_state(context: Context) -> dict[str, Any]:
    """What goes on, without paths of this machine's disk."""
    state = context.index_runs.state()
    last, note, folders = state["last"], state["note"], private_folders(context)
    if last is not None and last["message"] is not None:
        state["last"] = {**last, "message": without_paths(last["message"], folders)}
    return {**state, "note": None if note is None else without_paths(note, folders)}


async def _events(context: Context) -> AsyncIterator[bytes]:
    """Events as they happen, and a comment now and then that keeps the connection open."""
    changed, catalog = context.index_runs.changed, context.catalog
    rings, version, change = -1, catalog.version(), catalog.change()
    sent_at = time.monotonic()
    while not context.closing.is_set():
        if changed.rings != rings:
            rings = changed.rings
            yield _event("indexing", indexing_state(context))
            sent_at = time.monotonic()
            await asyncio.sleep(LEAST_S)
        if catalog.version() != version:
            version, before, change = catalog.version(), change, catalog.change()
            if change != before:
                # Questions hold the lock of the index for as long as they take.
                tracks = await to_thread.run_sync(len, context.recommender)
                yield _event("catalog", {"change": change, "tracks": tracks})
                sent_at = time.monotonic()
        if time.monotonic() - sent_at >= HEARTBEAT_S:
            yield b": still there\n\n"
            sent_at = time.monotonic()
        if changed.rings == rings:
            await changed.wait(LOOK_S)
    yield _event("bye", {})


def _event(name: str, data: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
