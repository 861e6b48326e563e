"""Text of 8-bit characters in an encoding that the file states, or does not."""

from __future__ import annotations


def decode_text(data: bytes, encoding: str = "utf-8") -> str:
    """Text of `data`; bytes that are not in `encoding` are taken for CP1252, else for Latin-1.

    Tags that are not UTF-8 are mostly from Windows programs, which write the system's code page.
    """
    for candidate in (encoding, "cp1252"):
        try:
            return data.decode(candidate)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")
