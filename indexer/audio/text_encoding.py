"""Text of 8-bit characters, whatever encoding the file states."""

from __future__ import annotations


def decode_text(data: bytes) -> str:
    """Text in UTF-8; what is not valid UTF-8 is taken for CP1252, else for Latin-1.

    Other tags are mostly from Windows programs, which write the system's code page.
    """
    for encoding in ("utf-8", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")
