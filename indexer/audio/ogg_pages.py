"""Pages of an Ogg file: where each begins and at which sample it ends (RFC 3533, section 6).

A page holds many packets, often a second of them, and its header says which sample they reach:
three hours are 10,000 steps instead of the half a million packets of FFmpeg's demuxer. Only what is
whole is read so: one stream of Opus or Vorbis, page after page without a gap.
"""

from __future__ import annotations

import os
import struct
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from indexer.audio.opening import FilePart

_BLOCK = 1 << 20
# Capture pattern, version, flags, granule position, serial number, page number, checksum, segments.
_HEADER = struct.Struct("<4sBBqIIIB")
_LONGEST_PAGE = _HEADER.size + 255 + 255 * 255
_CONTINUED, _FIRST, _LAST = 1, 2, 4
_UNKNOWN = -1
# The last segment of a packet is shorter than that.
_UNFINISHED = b"\xff"


@dataclass(frozen=True)
class _Codec:
    """Packets before the sound, most samples in a packet, where its header says what to skip."""

    header_packets: int
    longest_packet: int
    pre_skip: slice


# RFC 7845, section 5.1 and 7.1 (120 ms at 48 kHz); Vorbis I specification, 4.2.
_CODECS = {"opus": _Codec(2, 5760, slice(10, 12)), "vorbis": _Codec(3, 8192, slice(0))}


@dataclass(frozen=True)
class OggPages:
    """The pages of an Ogg file that hold sound, in order.

    Attributes
    ----------
    offsets : array of int64
        The byte where each begins, from the beginning of the file's part.
    ends : array of int64
        Sample at which the last packet that ends in the page ends; that of the page before where
        none does. Opus' samples to skip are counted as negative.
    payload_bytes : int
        Bytes of all packets.
    """

    offsets: array[int]
    ends: array[int]
    payload_bytes: int


def scan_pages(
    descriptor: int, part: FilePart, codec: str, update: Callable[[memoryview], object]
) -> OggPages | None:
    """Walk over the pages of an open file.

    Parameters
    ----------
    descriptor : int
        Of a regular file; its position is neither used nor moved.
    part : FilePart
        The bytes between which the file is Ogg.
    codec : str
        FFmpeg's name of what the stream holds.
    update : callable
        Called with the packets' bytes, a page at a time, e.g. the `update` of a hash. What it was
        given means nothing where None is returned.

    Returns
    -------
    OggPages or None
        None if there is anything else in the file than one whole stream of Opus or Vorbis.
    """
    if codec not in _CODECS:
        return None
    walk = _Walk(_CODECS[codec], update)
    base, buffer = part.start, b""
    while base < part.stop:
        block = os.pread(descriptor, min(_BLOCK, part.stop - base), base + len(buffer))
        buffer += block
        is_end = not block or base + len(buffer) >= part.stop
        at = 0
        while at < len(buffer) if is_end else at + _LONGEST_PAGE <= len(buffer):
            length = walk.take(buffer, at, base - part.start + at)
            if not length:
                return None
            at += length
        if is_end:
            break
        base, buffer = base + at, buffer[at:]
    return walk.pages()


class _Walk:
    """What is known of a stream after so many pages of it."""

    def __init__(self, codec: _Codec, update: Callable[[memoryview], object]) -> None:
        self._codec = codec
        self._update = update
        self._stream: tuple[int, int] | None = None
        self._skip = self._headers = self._payload = 0
        self._is_open = self._is_ended = False
        self._offsets, self._ends = array("q"), array("q")

    def pages(self) -> OggPages | None:
        """All pages, unless none has sound or the last packet is cut."""
        if not self._ends or self._is_open:
            return None
        return OggPages(self._offsets, self._ends, self._payload)

    def take(self, buffer: bytes, at: int, offset: int) -> int:
        """Length of the page at a byte of the buffer; 0 if it does not go on with the stream."""
        if at + _HEADER.size > len(buffer):
            return 0
        magic, version, flags, granule, serial, number, _, count = _HEADER.unpack_from(buffer, at)
        begin = at + _HEADER.size + count
        lacing = buffer[at + _HEADER.size : begin]
        end = begin + sum(lacing)
        is_page = (magic, version) == (b"OggS", 0) and end <= len(buffer)
        # The number of the page before, or, where there is none, of the one that begins a stream.
        expected = self._stream or (serial, number)
        is_next = (serial, number) == expected and not self._is_ended
        is_first, is_continued = bool(flags & _FIRST), bool(flags & _CONTINUED)
        if not is_page or not is_next:
            return 0
        if is_first != (self._stream is None) or is_continued != self._is_open:
            return 0
        if self._stream is None:
            skipped = buffer[begin:end][self._codec.pre_skip]
            self._skip = int.from_bytes(skipped, "little")
        self._stream = (serial, number + 1)
        self._is_ended = bool(flags & _LAST)
        self._is_open = lacing.endswith(_UNFINISHED)
        packets = count - lacing.count(_UNFINISHED)
        if self._headers < self._codec.header_packets:
            self._headers += packets
            # Sound begins with a page of its own.
            is_mixed = self._headers == self._codec.header_packets and self._is_open
            is_regular = self._headers <= self._codec.header_packets and not is_mixed
        else:
            is_regular = self._add(granule, packets, offset)
            self._update(memoryview(buffer)[begin:end])
            self._payload += end - begin
        return end - at if is_regular else 0

    def _add(self, granule: int, packets: int, offset: int) -> bool:
        """Add a page with sound; whether its time follows from that of the page before it."""
        before = self._ends[-1] if self._ends else None
        self._offsets.append(offset)
        if not packets and granule == _UNKNOWN and before is not None:
            self._ends.append(before)
            return True
        self._ends.append(granule - self._skip)
        longest = packets * self._codec.longest_packet
        return granule >= 0 and (before is None or 0 < self._ends[-1] - before <= longest)
