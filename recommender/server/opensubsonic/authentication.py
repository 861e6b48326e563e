"""Who may ask: the one user, who knows the one secret.

It is asked for on loopback too, as clients write by GET, and cookies do not count: any page that a
browser opens could send both.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.errors import InvalidOption
from recommender.server.opensubsonic.refusals import (
    CONFLICTING_LOGINS,
    MISSING_PARAMETER,
    WRONG_API_KEY,
    WRONG_PASSWORD,
    Refused,
)
from recommender.server.safety.tokens import read_or_make_token

if TYPE_CHECKING:
    from collections.abc import Callable

    from recommender.server.opensubsonic.parameters import Parameters

USER = "soundalike"
LOGIN_PARAMETERS = ("u", "p", "t", "s")
FAILURES = 20
"""Failed logins that a client may make at once ..."""
FAILURE_S = 3.0
"""... and seconds until it may make one more."""
CLIENTS = 10_000
"""Clients whose failures are remembered, the latest."""


def players_secret_path(catalog: Path) -> Path:
    """Path of the secret beside a catalog: `catalog.db` -> `catalog.players-secret`."""
    if catalog.suffix == ".db":
        return catalog.with_suffix(".players-secret")
    return Path(f"{catalog}.players-secret")


def players_secret(named: Path | None, catalog: Path) -> str | InvalidOption:
    """The secret in a file, made if it is not there; the default file failing, why it failed.

    Raises
    ------
    InvalidOption
        A file that was named cannot be used.
    """
    path = named or players_secret_path(catalog)
    try:
        return read_or_make_token(path)
    except InvalidOption as error:
        if named is not None:
            raise
        return InvalidOption(f"players cannot log in ({error}): or name a --players-secret FILE")


class Logins:
    """Lets requests through that show the secret.

    A client that shows wrong ones is asked to wait, whatever it shows then, so that a secret cannot
    be guessed by trying many.
    """

    def __init__(self, secret: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._secret = secret
        self._clock = clock
        self._free_at: OrderedDict[str, float] = OrderedDict()

    def require(self, parameters: Parameters, client: str) -> None:
        """Do nothing if a request shows the secret.

        Raises
        ------
        Refused
        """
        wait = self._free_at.get(client, 0.0) - self._clock()
        if wait > 0:
            message = f"too many wrong logins: try again in {wait:.0f} s"
            raise Refused(WRONG_PASSWORD, message)
        try:
            self._check(parameters)
        except Refused as refused:
            if refused.code in (WRONG_PASSWORD, WRONG_API_KEY):
                self._count_failure(client)
            raise

    def _check(self, parameters: Parameters) -> None:
        given = [name for name in LOGIN_PARAMETERS if name in parameters]
        if "apiKey" in parameters:
            if given:
                raise Refused(CONFLICTING_LOGINS, f"apiKey comes without {', '.join(given)}")
            if not _equal(parameters.text("apiKey"), self._secret):
                raise Refused(WRONG_API_KEY, "that is not the key: it stands in the secret's file")
            return
        user = parameters.required("u")
        if "p" in given and ("t" in given or "s" in given):
            raise Refused(CONFLICTING_LOGINS, "a password comes without token and salt")
        if "p" not in given and "t" not in given:
            raise Refused(MISSING_PARAMETER, "log in with p, with t and s, or with apiKey alone")
        shown = self._shows_password(parameters) if "p" in given else self._shows_token(parameters)
        # Both compared, whichever is wrong: the time says nothing of either.
        if not (_equal(user, USER) & shown):
            message = f"wrong user or password: the user is {USER}, the password in its file"
            raise Refused(WRONG_PASSWORD, message)

    def _shows_password(self, parameters: Parameters) -> bool:
        password = parameters.text("p")
        if password.startswith("enc:"):
            try:
                password = bytes.fromhex(password.removeprefix("enc:")).decode(errors="replace")
            except ValueError:
                return False
        return _equal(password, self._secret)

    def _shows_token(self, parameters: Parameters) -> bool:
        salted = self._secret + parameters.required("s")
        # The protocol's own way, of which MD5 is a part.
        token = hashlib.md5(salted.encode(), usedforsecurity=False).hexdigest()
        return _equal(parameters.text("t").lower(), token)

    def _count_failure(self, client: str) -> None:
        now = self._clock()
        # Each failure is paid for with the time in which one more is let through.
        paid = self._free_at.pop(client, 0.0)
        self._free_at[client] = max(paid, now - FAILURES * FAILURE_S) + FAILURE_S
        while len(self._free_at) > CLIENTS:
            self._free_at.popitem(last=False)


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(errors="replace"), other.encode())
