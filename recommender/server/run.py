"""A server as a process: from its settings until it is told to end."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import uvicorn

from indexer.errors import InvalidOption
from recommender.server.app import create_app, guarded
from recommender.server.context import open_context
from recommender.server.opensubsonic.routing import players_login
from recommender.server.safety.connections import GuardedProtocol, allow_many_files
from recommender.server.safety.framing import HEAD_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from recommender.server.context import Context
    from recommender.server.settings import Settings

BACKLOG = 1024
"""Connections that wait to be taken."""
GRACE_S = 20
"""Seconds that answers under way get at shutdown, until their connections are cut."""
LAST_S = 5
"""Seconds after which those are cancelled that still go on then."""


class _Server(uvicorn.Server):
    """uvicorn's server, which tells answers without an end that it ends."""

    def __init__(self, config: uvicorn.Config, context: Context) -> None:
        super().__init__(config)
        self._context = context

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End cleanly at the first signal, at once at the second."""
        del sig, frame
        self.force_exit = self.should_exit
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish the answers under way and end."""
        self._context.closing.set()
        asyncio.get_running_loop().call_later(GRACE_S, self._cut)
        await super().shutdown(sockets)

    def _cut(self) -> None:
        """Cut the connections that are left, as of a client that does not read its answer.

        Their answers then end as when a client leaves; one that uvicorn has to cancel leaves a
        traceback.
        """
        for connection in list(self.server_state.connections):
            connection.transport.abort()


def serve(
    settings: Settings, *, on_ready: Callable[[int, str], None] = lambda _port, _players: None
) -> None:
    """Serve until SIGINT or SIGTERM; answers under way are finished.

    Parameters
    ----------
    on_ready : function of a port and a text
        Called when clients can connect; the text says how players log in, or why they cannot.

    Raises
    ------
    InvalidOption
        Other machines can reach the address and there is no token, or the address is taken.
    CatalogMissing, NotACatalog, CatalogTooNew
    """
    if settings.token is None and not settings.is_loopback:
        raise InvalidOption(
            f"{settings.host} can be reached from other machines: name a --token-file"
        )
    allow_many_files()
    with open_context(settings) as context, _listen(settings) as listening:
        config = uvicorn.Config(
            guarded(create_app(context), context),
            http=GuardedProtocol,
            ws="none",
            access_log=False,
            server_header=False,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=list(settings.trusted_proxies),
            timeout_graceful_shutdown=GRACE_S + LAST_S,
            log_config=None,
            h11_max_incomplete_event_size=HEAD_BYTES,
        )
        on_ready(listening.getsockname()[1], players_login(context))
        _Server(config, context).run([listening])


def _listen(settings: Settings) -> socket.socket:
    """A socket that listens at the server's address."""
    listening: socket.socket | None = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host.strip("[]"), settings.port, type=socket.SOCK_STREAM
        )[0]
        # With its protocol named, as `socket.create_server` does not: asyncio sends small packets
        # at once (TCP_NODELAY) only then, and an answer would wait 40 ms for the client's ACK.
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        if listening is not None:
            listening.close()
        raise InvalidOption(
            f"cannot listen at {settings.host}, port {settings.port} ({error.strerror}): "
            "choose another --port or --host"
        ) from error
    return listening
