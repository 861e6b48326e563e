"""The secret of a server that other machines can reach: its file, and who has shown it."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING

from indexer.errors import InvalidOption
from recommender.server.problems import problem_response
from recommender.server.safety.headers import header

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import ASGIApp, Receive, Scope, Send

COOKIE = "soundalike"
PREFIX = "/api/"
"""Paths below it are protected: the page itself says nothing of the library."""
OPEN = ("/api/v1/health", "/api/v1/ready", "/api/v1/session", "/api/health")
"""Paths that need no secret."""
LEAST_LENGTH = 16


def read_or_make_token(path: Path) -> str:
    """The secret in a file; where there is none, one is made and written with mode 0600.

    Raises
    ------
    InvalidOption
        Others may read the file, it is empty or too short, or it cannot be read or written.
    """
    try:
        if not path.exists():
            token = secrets.token_urlsafe(32)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(token + "\n")
            return token
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise InvalidOption(f"others may read {path}: run `chmod 600 {path}`")
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as error:
        raise InvalidOption(
            f"the token file {path} cannot be used ({error}): name another one"
        ) from error
    if len(token) < LEAST_LENGTH:
        raise InvalidOption(
            f"the token in {path} is shorter than {LEAST_LENGTH} characters: "
            "delete the file, and a new one is written"
        )
    return token


def session_cookie(token: str) -> str:
    """The value of the cookie of a browser that has shown the secret, which is not the secret."""
    return hmac.digest(token.encode(), b"soundalike session", hashlib.sha256).hex()


class TokenGuard:
    """Answers below `PREFIX` only who sends the secret, in `Authorization: Bearer` or as cookie."""

    def __init__(self, app: ASGIApp, *, token: str) -> None:
        self._app = app
        self._token = token
        self._cookie = session_cookie(token)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        # The path that routes go by, not what a proxy or a header calls it.
        path = scope.get("path", "")
        is_protected = scope["type"] == "http" and path.startswith(PREFIX) and path not in OPEN
        if is_protected and not self._is_known(scope):
            refusal = problem_response(
                401,
                "this server asks for its token: it stands in the file of --token-file",
                kind="soundalike:token-needed",
                headers={"WWW-Authenticate": 'Bearer realm="soundalike"'},
            )
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_known(self, scope: Scope) -> bool:
        given = header(scope, b"authorization")
        if given is not None:
            scheme, _, token = given.partition(" ")
            return scheme.lower() == "bearer" and _equal(token.strip(), self._token)
        try:
            cookies = SimpleCookie(header(scope, b"cookie") or "")
        except CookieError:
            return False
        return COOKIE in cookies and _equal(cookies[COOKIE].value, self._cookie)


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
