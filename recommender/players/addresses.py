"""Addresses of servers as people give them."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from indexer.errors import InvalidOption


def check_address(url: str, remedy: str) -> SplitResult:
    """The parts of an address of HTTP that has a host, and perhaps a port and a path, only.

    Raises
    ------
    InvalidOption
        It is something else; the sentence ends in the remedy.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise InvalidOption(f"{url!r} is no address ({error}): {remedy}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidOption(f"{url!r} is no address of HTTP: {remedy}")
    if parts.username is not None or set(url) & set("?#"):
        raise InvalidOption(f"{url!r} has more than host, port and path: {remedy}")
    if not (url.isascii() and url.isprintable()) or set(url) & set(' "\\<>'):
        raise InvalidOption(f"{url!r} has characters that no address has: {remedy}")
    return parts
