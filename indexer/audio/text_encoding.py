"""Text of 8-bit characters, whatever encoding the file states."""

from __future__ import annotations

import re

_NOT_UTF_8 = re.compile("[\udc80-\udcff]+")
"""Bytes that the error handler "surrogateescape" has left."""


def decode_text(data: bytes) -> str:
    """Text in UTF-8; bytes that are not valid UTF-8 are taken for CP1252, else for Latin-1.

    Other tags are mostly from Windows programs, which write the system's code page.
    """
    return _NOT_UTF_8.sub(_decode_bytes, data.decode("utf-8", "surrogateescape"))


def _decode_bytes(found: re.Match[str]) -> str:
    data = found.group().encode("utf-8", "surrogateescape")
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return data.decode("latin-1")
