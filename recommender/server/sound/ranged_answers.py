"""Answers of many bytes, of which a client may ask for a range and may leave before the end."""

from __future__ import annotations

import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from starlette.responses import Response, StreamingResponse

from indexer.errors import SoundalikeError
from recommender.server.caching import etag_fits
from recommender.server.problems import Problem
from recommender.server.sound.byte_ranges import ByteRange, requested_range

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from recommender.server.sound.sources import Source
    from recommender.server.sound.transcodes import TranscodedSound

log = logging.getLogger(__name__)

CACHE_CONTROL = "private, max-age=3600"
MOST_STREAMS = 128
"""Answers under way at a time: each holds some hundred kB and an open file."""


class Streams:
    """Counts the answers under way."""

    def __init__(self) -> None:
        self.running = 0

    def require_room(self) -> None:
        """Refuse one more than `MOST_STREAMS`.

        Raises
        ------
        Problem
        """
        if self.running >= MOST_STREAMS:
            raise Problem(
                503,
                f"{MOST_STREAMS} tracks are being sent: stop one, or ask again later",
                headers={"Retry-After": "5"},
            )


async def answer(request: Request, source: Source, streams: Streams) -> Response:
    """The response to a GET or HEAD of a source, which is closed with it.

    Raises
    ------
    Problem, AnalysisError, WorkersFailed
        The first piece cannot be had; later the connection is cut.
    """
    try:
        headers = {
            "ETag": source.etag,
            "Cache-Control": CACHE_CONTROL,
            "Accept-Ranges": "bytes",
        }
        if etag_fits(request.headers.get("if-none-match"), source.etag):
            source.close()
            return Response(status_code=304, headers=headers)
        part = requested_range(request, size=source.size, etag=source.etag)
        wanted = part or ByteRange(0, source.size)
        headers["Content-Length"] = str(wanted.stop - wanted.start)
        if part is not None:
            headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{source.size}"
        status = 200 if part is None else 206
        if request.method == "HEAD":
            source.close()
            return Response(status_code=status, headers=headers, media_type=source.media_type)
        streams.require_room()
        pieces = source.pieces(wanted.start, wanted.stop)
        first = await anext(pieces, b"")
    except BaseException:
        source.close()
        raise
    content = _joined(first, pieces)
    return _Stream(
        content, source, streams, status_code=status, headers=headers, media_type=source.media_type
    )


async def answer_whole(request: Request, sound: TranscodedSound, streams: Streams) -> Response:
    """The response to a GET or HEAD of sound that is made once, in order; closed with it.

    Raises
    ------
    Problem, AnalysisError, WorkersFailed
        The first piece cannot be had; later the connection is cut.
    """
    try:
        headers = {"Cache-Control": "no-store", "Accept-Ranges": "none"}
        if sound.size is not None:
            headers["Content-Length"] = str(sound.size)
        if request.method == "HEAD":
            sound.close()
            head = Response(headers=headers, media_type=sound.media_type)
            if sound.size is None:
                # Starlette's own is that of an empty body.
                del head.headers["Content-Length"]
            return head
        streams.require_room()
        sound.begin()
        pieces = sound.pieces()
        first = await anext(pieces, b"")
    except BaseException:
        sound.close()
        raise
    content = _joined(first, pieces)
    return _Stream(content, sound, streams, headers=headers, media_type=sound.media_type)


async def _joined(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    async with aclosing(rest):
        yield first
        async for piece in rest:
            yield piece


class _Stream(StreamingResponse):
    """A response whose source is closed at its end, however it ends."""

    def __init__(
        self,
        content: AsyncGenerator[bytes],
        source: Source | TranscodedSound,
        streams: Streams,
        **options: Any,
    ) -> None:
        super().__init__(content, **options)
        self._content = content
        self._source = source
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._streams.running += 1
        try:
            async with aclosing(self._content):
                await super().__call__(scope, receive, send)
        finally:
            self._streams.running -= 1
            self._source.close()

    async def stream_response(self, send: Send) -> None:
        """Send the pieces; where one cannot be had, end without the last ones."""
        try:
            await super().stream_response(send)
        except (SoundalikeError, Problem, OSError) as error:
            # The connection is closed then, by which the client knows that something is missing.
            log.warning("an answer was cut short: %s", error)
