"""Links of a chained Ogg file: streams that follow one another (RFC 3533, section 4)."""

from __future__ import annotations

import os
import re
from itertools import pairwise

from indexer.audio.opening import FilePart

_BLOCK = 1 << 20
_HEADER = 6  # capture pattern, version, flags
_PAGE = re.compile(rb"OggS\x00([\x00-\x07])")
_FIRST_OF_STREAM = 2


def find_links(descriptor: int, part: FilePart) -> list[FilePart]:
    """Links of a part of an open file, each a part of its own."""
    starts = []
    was_first = False
    at = part.start
    while at < part.stop:
        block = os.pread(descriptor, min(_BLOCK + _HEADER - 1, part.stop - at), at)
        for page in _PAGE.finditer(block):
            is_first = bool(page[1][0] & _FIRST_OF_STREAM)
            # Streams that sound together all begin before the first of them goes on.
            if is_first and not was_first:
                starts.append(at + page.start())
            was_first = is_first
        at += _BLOCK
    return [FilePart(start, stop) for start, stop in pairwise([*starts, part.stop])]
