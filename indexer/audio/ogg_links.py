"""Links of a chained Ogg file: streams that follow one another (RFC 3533, section 4)."""

from __future__ import annotations

import os
import re

_BLOCK = 1 << 20
_HEADER = 6  # capture pattern, version, flags
_PAGE = re.compile(rb"OggS\x00([\x00-\x07])")
_FIRST_OF_STREAM = 2


def find_links(descriptor: int, *, start: int, stop: int) -> list[int]:
    """Bytes of an open Ogg file at which its links begin, between two bytes of it."""
    links = []
    was_first = False
    at = start
    while at < stop:
        block = os.pread(descriptor, min(_BLOCK + _HEADER - 1, stop - at), at)
        for page in _PAGE.finditer(block):
            is_first = bool(page[1][0] & _FIRST_OF_STREAM)
            # Streams that sound together all begin before the first of them goes on.
            if is_first and not was_first:
                links.append(at + page.start())
            was_first = is_first
        at += _BLOCK
    return links
