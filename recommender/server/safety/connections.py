"""Connections of clients: how many, and how long one may say nothing."""

from __future__ import annotations

import resource
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio
    from asyncio import TimerHandle

    from uvicorn.protocols.http.h11_impl import RequestResponseCycle

HEADERS_S = 10.0
"""Seconds in which a request's headers must be there, from the first connection or byte on."""
LINGER_S = 5.0
"""Seconds for which the rest of a body is still taken after its answer, and then cut off."""
MOST = 512
"""Connections at a time; beyond it the one that has been idle longest is closed."""


class GuardedProtocol(H11Protocol):
    """HTTP/1.1 for clients that may be slow, silent or many.

    uvicorn waits without an end for the first request of a connection, and refuses everyone when
    too many are open. Here a connection that does not bring a whole request in time is closed, and
    when too many are open the longest idle one makes room.
    """

    _deadline: TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, closing an idle one where there are too many."""
        super().connection_made(transport)
        if len(self.connections) > MOST:
            # A set has no order; a connection knows since when it waits.
            idle = [one for one in self.connections if isinstance(one, GuardedProtocol)]
            waiting = [one for one in idle if one is not self and one.is_idle]
            if waiting:
                min(waiting, key=lambda one: one._idle_since).transport.close()  # noqa: SLF001
            else:
                transport.abort()
                return
        self._wait_for_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what a client sent; from the first byte of a request on the time counts anew."""
        if self._deadline is None and self.is_idle:
            self._wait_for_headers()
        super().data_received(data)
        if not self.is_idle:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """Go on to the next request, or take a body that is of no use any more for a while only.

        Closing at once would lose the answer that says why it is refused.
        """
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
        self._idle_since = self.loop.time()
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
