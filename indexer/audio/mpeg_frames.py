"""Frames of an MPEG audio file (MP3, MP2, MP1): where each begins, found without a demuxer.

A bare MPEG stream has no container: frames follow each other and each header says how long its
frame is (ISO/IEC 11172-3, 2.4.1.3; 13818-3 for the half rates). Walking from header to header
costs a twentieth of FFmpeg's demuxer, leaves tags out of the hash because they are not frames, and
gives every frame its exact number. FFmpeg itself estimates the position of a seek from the bit
rate when the file carries an Info header.
"""

from __future__ import annotations

import os
import re
from array import array
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_BLOCK = 1 << 20
# The longest frame has 2881 bytes (layer II, 384 kbit/s at 32 kHz and MPEG-2.5's slow rates less).
_LOOK_AHEAD = 1 << 14
# That many headers in a row, all of one kind, are a stream; random bytes never show as many.
_CHAIN = 4
_SYNC = re.compile(rb"\xff[\xe2-\xff][\x10-\xef]", re.DOTALL)

_KBITS_MPEG1 = {
    1: (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    2: (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
_KBITS_MPEG2 = {
    1: (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    3: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = (44100, 48000, 32000)


@dataclass(frozen=True)
class FrameKind:
    """What all frames of one stream have in common.

    Attributes
    ----------
    layer : int
        1, 2 or 3.
    sample_rate : int
        In Hz.
    samples : int
        Samples of one channel in a frame.
    sizes : tuple of int
        Frame size in bytes for each of the 65,536 values of the header's second and third byte,
        0 where these are no header of this kind.
    """

    layer: int
    sample_rate: int
    samples: int
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class MpegFrames:
    """All frames of a file, in order; `offsets` (int64) holds the byte where each begins."""

    kind: FrameKind
    offsets: array[int]
    payload_bytes: int


def scan_frames(descriptor: int, update: Callable[[memoryview], object]) -> MpegFrames | None:
    """Walk over the frames of an open file in pieces of 1 MiB.

    Bytes between frames (tags, damage) are stepped over, and so is a Xing, Info or VBRI frame at
    the beginning: it holds a table for players, no sound, and taggers rewrite it. A frame cut
    short by the end of the file is left out. Free-format streams (no bit rate) are not supported.

    Parameters
    ----------
    descriptor : int
        Of a regular file; its position is neither used nor moved.
    update : callable
        Is given the bytes of the frames, several at a time, e.g. the `update` of a hash.

    Returns
    -------
    MpegFrames or None
        None if the file holds no MPEG audio stream.
    """
    base = _end_of_id3v2(descriptor)
    buffer, at = b"", 0
    kind: FrameKind | None = None
    offsets = array("q")
    payload = 0
    final = False
    while not final:
        block = os.pread(descriptor, _BLOCK, base + len(buffer))
        final = not block
        buffer += block
        limit = len(buffer) - (3 if final else _LOOK_AHEAD)
        while at < limit:
            if kind is None:
                at, kind = _first_frame(buffer, at, limit)
                if kind is None:
                    break
            begin = at
            at = _walk(buffer, at, limit, base, kind.sizes, offsets)
            if at > len(buffer):
                at = offsets.pop() - base
                limit = at
            update(memoryview(buffer)[begin:at])
            payload += at - begin
            if at < limit:
                at = _next_chain(buffer, at, limit, kind)
        base, buffer, at = base + at, buffer[at:], 0
    return None if kind is None else MpegFrames(kind, offsets, payload)


def _walk(
    buffer: bytes, at: int, limit: int, base: int, sizes: tuple[int, ...], offsets: array[int]
) -> int:
    append = offsets.append
    while at < limit and buffer[at] == 0xFF:
        size = sizes[buffer[at + 1] << 8 | buffer[at + 2]]
        if not size:
            break
        append(base + at)
        at += size
    return at


def _first_frame(buffer: bytes, at: int, limit: int) -> tuple[int, FrameKind | None]:
    for match in _SYNC.finditer(buffer, at, limit):
        kind = _kind_of(buffer[match.start() + 1], buffer[match.start() + 2])
        if kind is not None and _is_chain(buffer, match.start(), kind):
            return _after_info_frame(buffer, match.start(), kind), kind
    return limit, None


def _next_chain(buffer: bytes, at: int, limit: int, kind: FrameKind) -> int:
    for match in _SYNC.finditer(buffer, at, limit):
        if _is_chain(buffer, match.start(), kind):
            return match.start()
    return limit


def _is_chain(buffer: bytes, at: int, kind: FrameKind) -> bool:
    for _ in range(_CHAIN):
        if at + 3 > len(buffer) or buffer[at] != 0xFF:
            return False
        size = kind.sizes[buffer[at + 1] << 8 | buffer[at + 2]]
        if not size:
            return False
        at += size
    return True


def _after_info_frame(buffer: bytes, at: int, kind: FrameKind) -> int:
    side = buffer[at + 4 : at + 44]
    if any(name in side for name in (b"Xing", b"Info", b"VBRI")):
        return at + kind.sizes[buffer[at + 1] << 8 | buffer[at + 2]]
    return at


def _end_of_id3v2(descriptor: int) -> int:
    end = 0
    while True:
        head = os.pread(descriptor, 10, end)
        if len(head) < 10 or head[:3] != b"ID3" or max(head[6:10]) > 127:
            return end
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        has_footer = bool(head[5] & 0x10)
        end += 10 + size + (10 if has_footer else 0)


def _kind_of(second: int, third: int) -> FrameKind | None:
    version, layer, rate = (second >> 3) & 3, 4 - ((second >> 1) & 3), (third >> 2) & 3
    if version == 1 or layer == 4 or rate == 3:
        return None
    return _frame_kind(version, layer, rate)


@lru_cache(maxsize=27)
def _frame_kind(version: int, layer: int, rate: int) -> FrameKind:
    is_mpeg1 = version == 3
    sample_rate = _RATES[rate] >> {3: 0, 2: 1, 0: 2}[version]
    samples = {1: 384, 2: 1152, 3: 1152 if is_mpeg1 else 576}[layer]
    slot = 4 if layer == 1 else 1
    kbits = (_KBITS_MPEG1 if is_mpeg1 else _KBITS_MPEG2)[layer]
    sizes = [0] * 65536
    for third in range(256):
        index, padding = third >> 4, (third >> 1) & 1
        if (third >> 2) & 3 != rate or index in (0, 15):
            continue
        size = (samples // 8 // slot * kbits[index] * 1000 // sample_rate + padding) * slot
        for protection in (0, 1):
            second = 0xE0 | version << 3 | (4 - layer) << 1 | protection
            sizes[second << 8 | third] = size
    return FrameKind(layer, sample_rate, samples, tuple(sizes))
