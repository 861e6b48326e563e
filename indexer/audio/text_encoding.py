"""Text of 8-bit characters, whatever encoding the file states."""

from __future__ import annotations

import re

_NOT_UTF_8 = re.compile("[\udc80-\udcff]")
"""A byte that the error handler "surrogateescape" has left."""


def decode_text(data: bytes) -> str:
    """Text in UTF-8, else in CP1252, else in Latin-1.

    Other tags are mostly from Windows programs, which write the system's code page. Where most of
    what is not ASCII is valid UTF-8, the damaged bytes alone are taken for CP1252.
    """
    text = data.decode("utf-8", "surrogateescape")
    damaged = len(_NOT_UTF_8.findall(text))
    if damaged > sum(letter > "\x7f" for letter in text) - damaged:
        return _decode_bytes(data)
    return _NOT_UTF_8.sub(lambda found: _decode_bytes(bytes([ord(found[0]) - 0xDC00])), text)


def _decode_bytes(data: bytes) -> str:
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return data.decode("latin-1")
