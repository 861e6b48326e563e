"""Refuses requests for other hosts (DNS rebinding) and those of other sites (CSRF)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from recommender.server.problems import problem_response
from recommender.server.safety.headers import PLAYERS, header

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\s/@\[\]]+)(?::(\d{1,5}))?")


def host_name(text: str) -> str | None:
    """The name or address in a `Host` header, without the port and in lower case.

    None where the text is no host. A dot at the end, which names the same host, is cut.
    """
    fit = _HOST.fullmatch(text)
    return None if fit is None else fit[1].lower().removesuffix(".")


class HostGuard:
    """Answers requests only that name one of its own hosts.

    A page of another site can make a browser ask this machine under a name that it controls
    (DNS rebinding), and would then count as the same site: the name gives it away.

    Parameters
    ----------
    hosts : names and addresses
        The address at which a connection arrived is always allowed, and the names of loopback
        for connections that arrived there.
    """

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and not self._is_allowed(scope):
            refusal = problem_response(
                421,
                "this server does not answer under that name: start it with --allow-host NAME",
                kind="soundalike:wrong-host",
            )
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_allowed(self, scope: Scope) -> bool:
        given = [value for key, value in scope["headers"] if key == b"host"]
        if len(given) != 1:
            return False
        name = host_name(given[0].decode("latin-1"))
        if name is None:
            return False
        if name in self._hosts:
            return True
        address = (scope.get("server") or ("", None))[0]
        own = f"[{address}]" if ":" in address else address
        return name == own or (own in LOOPBACK_NAMES and name in LOOPBACK_NAMES)


class SameSiteGuard:
    """Refuses what pages of other sites make a browser send.

    Browsers say in `Sec-Fetch-Site` where a request comes from; to a name on plain HTTP they leave
    it out, and say in `Origin` who writes. Programs that are no browsers send neither. Players show
    the secret with each request, wherever they come from.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and not _is_own_site(scope):
            refusal = problem_response(
                403,
                "a page of another site may not ask this server",
                kind="soundalike:other-site",
            )
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _is_own_site(scope: Scope) -> bool:
    if scope["path"].startswith(PLAYERS):
        return True
    writes = scope["method"] not in SAFE_METHODS
    site = header(scope, b"sec-fetch-site")
    if site is not None:
        if site in ("same-origin", "none"):
            return True
        # A link from elsewhere may open the page; nothing else of ours may be used from there.
        return (
            not writes
            and header(scope, b"sec-fetch-mode") == "navigate"
            and header(scope, b"sec-fetch-dest") == "document"
            and "/api/" not in scope["path"]
        )
    origin = header(scope, b"origin")
    if origin is None:
        return True
    try:
        return urlsplit(origin).netloc.lower() == (header(scope, b"host") or "").lower() != ""
    except ValueError:
        return False
