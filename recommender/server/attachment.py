"""The header by which an answer is kept as a file."""

from __future__ import annotations

import re
from urllib.parse import quote

_NOT_PLAIN = re.compile(r"[^ !#$&-.0-\[\]-~]")
"""What a quoted name may not hold, and what clients read in more than one way."""


def attachment(name: str) -> str:
    """Content-Disposition with a file's name, by RFC 6266.

    Whole in `filename*`; before it, for clients that do not know that, in `filename` with `_` for
    each character that is not plain ASCII.
    """
    whole = quote(name, safe="", errors="replace")
    return f"attachment; filename=\"{_NOT_PLAIN.sub('_', name)}\"; filename*=UTF-8''{whole}"
