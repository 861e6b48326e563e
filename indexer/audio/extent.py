"""The part of a file that is not tags: what lies between those in front and those behind.

ID3v2 and APEv2 are written in front of any format, ID3v1, APE, Lyrics3 and ID3v2 with a footer
behind any. They are no part of the sound, whatever the container makes of them: a raw stream takes
those behind for its last packet, and many a demuxer stumbles over those in front.

ID3: id3.org/id3v2.4.0-structure. APE: wiki.hydrogenaud.io, "APEv2 specification". Lyrics3:
id3.org/Lyrics3v2.
"""

from __future__ import annotations

import os

_LONGEST_LYRICS3V1 = 5100
_APE = b"APETAGEX"


def audio_extent(descriptor: int) -> tuple[int, int]:
    """Bytes of an open file between which its sound is: the first one, and the one after it."""
    size = os.fstat(descriptor).st_size
    start = _skip_leading_tags(descriptor, size)
    return start, _skip_trailing_tags(descriptor, start, size)


def _skip_leading_tags(descriptor: int, size: int) -> int:
    start = 0
    while True:
        head = os.pread(descriptor, 32, start)
        length = _id3v2_length(head, b"ID3") or _ape_length(head)
        if length and head[:8] == _APE:
            length += 32  # The length that it states counts the footer and not the header.
        if not length or start + length > size:
            return start
        start += length


def _skip_trailing_tags(descriptor: int, start: int, stop: int) -> int:
    while True:
        begin = max(start, stop - _LONGEST_LYRICS3V1)
        tail = os.pread(descriptor, stop - begin, begin)
        length = (
            _id3v1_length(tail)
            or _ape_length(tail[-32:])
            or _lyrics3_length(tail)
            or _id3v2_length(tail[-10:], b"3DI")
        )
        if not length or length > stop - start:
            return stop
        stop -= length
        # APE's length does not count a header, which is there or not whatever the flags say.
        if tail[-32:-24] == _APE and os.pread(descriptor, 8, max(start, stop - 32)) == _APE:
            stop -= 32


def _id3v2_length(head: bytes, magic: bytes) -> int:
    if len(head) < 10 or head[:3] != magic or max(head[6:10]) > 127 or 0xFF in head[3:5]:
        return 0
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    has_footer = bool(head[5] & 0x10)
    return 10 + size + (10 if has_footer else 0)


def _ape_length(fields: bytes) -> int:
    if len(fields) < 32 or fields[:8] != _APE:
        return 0
    version, size = (int.from_bytes(fields[at : at + 4], "little") for at in (8, 12))
    return size if version in (1000, 2000) and size >= 32 else 0


def _id3v1_length(tail: bytes) -> int:
    if tail[-128:-125] != b"TAG":
        return 0
    is_enhanced = tail[-355:-351] == b"TAG+"
    return 128 + (227 if is_enhanced else 0)


def _lyrics3_length(tail: bytes) -> int:
    if tail.endswith(b"LYRICS200") and tail[-15:-9].isdigit():
        return int(tail[-15:-9]) + 15
    if tail.endswith(b"LYRICSEND"):
        begin = tail.rfind(b"LYRICSBEGIN")
        return len(tail) - begin if begin >= 0 else 0
    return 0
