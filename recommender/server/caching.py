"""Answers kept until the tracks change, with ETags for clients that have them already."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol

from starlette.responses import Response

from indexer.errors import CatalogError
from recommender.server.safety.headers import header

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MARK = "x-soundalike-cache"
"""Header by which a route says that its answer depends on the tracks and the address alone."""
MOST_BYTES = 64 << 20
"""Answers kept, all together."""
LONGEST = 1 << 20
"""Bytes of an answer that is kept."""


class Changing(Protocol):
    """What tells whether it has changed."""

    def changes(self) -> object:
        """Something else whenever any track is."""


class AnswerCache:
    """Keeps answers to GET requests that routes mark with `MARK`, until the tracks change.

    A kept answer costs neither a route nor a thread. Every marked answer gets an ETag, and a client
    that names it in `If-None-Match` gets 304.

    Parameters
    ----------
    catalog : Changing
        Used by the event loop's thread alone.
    """

    def __init__(self, app: ASGIApp, *, catalog: Changing) -> None:
        self._app = app
        self._catalog = catalog
        self._changes = catalog.changes()
        self._kept: OrderedDict[tuple[str, bytes], _Kept] = OrderedDict()
        self._bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        try:
            changes = self._catalog.changes()
        except CatalogError:
            # The file was moved or replaced: the route says so.
            await self._app(scope, receive, send)
            return
        if changes != self._changes:
            self._kept.clear()
            self._changes, self._bytes = changes, 0
        key = scope["path"], scope["query_string"]
        kept = self._kept.get(key)
        if kept is None:
            kept = await self._ask(scope, receive, send)
            if kept is None:
                return
            self._keep(key, kept, changes)
        else:
            self._kept.move_to_end(key)
        await kept.answer(scope, receive, send)

    async def _ask(self, scope: Scope, receive: Receive, send: Send) -> _Kept | None:
        """The answer of a route, if it can be kept; otherwise it has been sent."""
        start: Message | None = None
        body = b""

        async def collect(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                names = {name.lower() for name, _ in message["headers"]}
                if MARK.encode() in names:
                    start = message
                    return
            if start is None:
                await send(message)
            else:
                body += message.get("body", b"")

        await self._app(scope, receive, collect)
        return None if start is None else _Kept(start, body)

    def _keep(self, key: tuple[str, bytes], kept: _Kept, changes: object) -> None:
        if changes != self._changes or len(kept.body) > LONGEST:
            return
        replaced = self._kept.pop(key, None)
        self._bytes += len(kept.body) - (0 if replaced is None else len(replaced.body))
        self._kept[key] = kept
        while self._bytes > MOST_BYTES:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= len(oldest.body)


class _Kept:
    """An answer with its ETag."""

    def __init__(self, start: Message, body: bytes) -> None:
        self.body = body
        self._etag = f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
        own = (
            # Kept, but asked for each time: the catalog may have changed.
            (b"cache-control", b"private, no-cache"),
            (b"etag", self._etag.encode()),
        )
        self._headers = [pair for pair in start["headers"] if pair[0].lower() != MARK.encode()]
        self._headers += own
        self._status = start["status"]

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, or 304 to a client that has it."""
        if etag_fits(header(scope, b"if-none-match"), self._etag):
            await Response(None, 304, {"ETag": self._etag})(scope, receive, send)
            return
        await send(
            {"type": "http.response.start", "status": self._status, "headers": self._headers}
        )
        await send({"type": "http.response.body", "body": self.body})


def etag_fits(if_none_match: str | None, etag: str) -> bool:
    """Whether an `If-None-Match` header names an ETag (RFC 9110, weak comparison)."""
    if if_none_match is None:
        return False
    known = (one.strip().removeprefix("W/") for one in if_none_match.split(","))
    return any(one in (etag, "*") for one in known)
