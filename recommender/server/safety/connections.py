"""Connections of clients: how many, and how long one may say nothing."""

from __future__ import annotations

import resource
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from recommender.server.problems import problem_response
from recommender.server.safety.framing import HEAD_BYTES, head_too_long
from recommender.server.safety.headers import SECURITY_HEADERS

if TYPE_CHECKING:
    import asyncio
    from asyncio import TimerHandle

    from uvicorn.protocols.http.h11_impl import RequestResponseCycle

HEADERS_S = 10.0
"""Seconds in which a request's headers must be there, from the first connection or byte on."""
LINGER_S = 5.0
"""Seconds for which the rest of a body is still taken after its answer, and then cut off."""
MOST = 512
"""Connections at a time; beyond it one that is idle, or else one that has stalled, is closed."""
STALLED_S = 5.0
"""Seconds after which a connection on which no byte moves may be closed for a new one."""


class GuardedProtocol(H11Protocol):
    """HTTP/1.1 for clients that may be slow, silent or many.

    uvicorn waits without an end for the first request of a connection, and refuses everyone when
    too many are open. Here a connection that does not bring a whole request in time is closed, and
    when too many are open the longest idle one makes room, or else the one on which nothing has
    moved for longest: a client that reads no answer would hold its connection without an end.
    """

    _deadline: TimerHandle | None = None
    _is_refused = False
    _moved_at = 0.0

    # The base class says BaseTransport; connections of TCP have more.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, closing an idle one where there are too many."""
        super().connection_made(transport)
        self._moved_at = self.loop.time()
        if len(self.connections) > MOST and not self._make_room():
            transport.abort()
            return
        self._wait_for_headers()

    def _make_room(self) -> bool:
        """Close the connection that needs its place least; False where all are in use."""
        until = self.loop.time() - STALLED_S
        others = [
            one for one in self.connections if isinstance(one, GuardedProtocol) and one is not self
        ]
        leaving = [one for one in others if one.is_idle or one._moved_at < until]  # noqa: SLF001
        if not leaving:
            return False
        # A set has no order; a connection knows since when nothing has moved on it.
        least = min(leaving, key=lambda one: (not one.is_idle, one._moved_at))  # noqa: SLF001
        if least.is_idle:
            least.transport.close()
        else:
            # What its client does not read would be waited for.
            least.transport.abort()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what a client sent; from the first byte of a request on the time counts anew."""
        self._moved_at = self.loop.time()
        if self._is_refused:
            return
        if self._deadline is None and self.is_idle:
            self._wait_for_headers()
        super().data_received(data)
        if not self.is_idle:
            self._stop_waiting()

    def resume_writing(self) -> None:
        """Go on to send, since the client has read what was waiting."""
        self._moved_at = self.loop.time()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request that can be read, and end the connection.

        Closing at once, with bytes unread, would lose the answer.
        """
        del msg
        self._is_refused = True
        if self.cycle is not None and not self.cycle.response_complete:
            # A body that is broken: its route is told that the client is gone.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.close()
            return
        answer = (
            head_too_long()
            if len(self.conn.trailing_data[0]) > HEAD_BYTES
            else problem_response(
                400,
                "that is no HTTP/1.1 request: check the client or its proxy",
                headers={"Connection": "close"},
            )
        )
        headers = [*answer.raw_headers, *SECURITY_HEADERS]
        for event in (
            h11.Response(status_code=answer.status_code, headers=headers),
            h11.Data(data=bytes(answer.body)),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.close)

    def on_response_complete(self) -> None:
        """Go on to the next request, or take a body that is of no use any more for a while only.

        Closing at once would lose the answer that says why it is refused.
        """
        self._moved_at = self.loop.time()
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self.loop.call_later(LINGER_S, self._cut_body, self.cycle)

    def _cut_body(self, cycle: RequestResponseCycle) -> None:
        unfinished = self.cycle is cycle and self.conn.their_state is h11.SEND_BODY
        if unfinished and not self.transport.is_closing():
            self.transport.close()

    @property
    def is_idle(self) -> bool:
        """Whether no request is being received or answered."""
        return self.cycle is None or self.conn.their_state is h11.IDLE

    def _wait_for_headers(self) -> None:
        self._deadline = self.loop.call_later(HEADERS_S, self._give_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if self.is_idle and not self.transport.is_closing():
            self.transport.close()


def allow_many_files() -> None:
    """Raise this process's limit of open files as far as it may: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted: Any = hard if hard != resource.RLIM_INFINITY else 65_536
    if soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
