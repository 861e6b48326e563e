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
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_BLOCK = 1 << 20
LONGEST_FRAME = 2881
"""Bytes in a frame at most: MPEG-2.5 has 160 kbit/s at 8 kHz."""
_LOOK_AHEAD = 1 << 14
# That many headers in a row, all of one kind, are a stream; random bytes never show as many.
_CHAIN = 4
_FREE_FORMAT_LOOK_AHEAD = 1 << 16
_FREE_SYNC = re.compile(rb"\xff[\xe2-\xff][\x00-\x0f]", re.DOTALL)
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
    """What frames of one kind have in common.

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
class FrameRun:
    """Frames of one kind that follow one another: from frame `first`, which starts at `start`.

    `start` counts samples at the sample rate of the whole file.
    """

    kind: FrameKind
    first: int
    start: int


@dataclass(frozen=True)
class MpegFrames:
    """All frames of a file, in order.

    Attributes
    ----------
    offsets : array of int64
        The byte where each frame begins.
    runs : tuple of FrameRun
        One, unless the kind changes inside the file, as behind a jingle of another sample rate.
    sample_rate : int
        In Hz, that of most of the file.
    samples : int
        Samples of one channel at this rate, in all frames.
    payload_bytes : int
        Bytes of all frames.
    """

    offsets: array[int]
    runs: tuple[FrameRun, ...]
    sample_rate: int
    samples: int
    payload_bytes: int

    def run_of(self, frame: int) -> FrameRun:
        """The run that a frame belongs to."""
        return self.runs[bisect_right(self.runs, frame, key=lambda run: run.first) - 1]

    def start_of(self, frame: int) -> int:
        """The sample that a frame begins with, at the file's rate."""
        run = self.run_of(frame)
        inside = (frame - run.first) * run.kind.samples
        return run.start + inside * self.sample_rate // run.kind.sample_rate

    def frame_at(self, sample: int) -> int:
        """The frame that holds a sample of the file's rate, or the last one."""
        run = self.runs[max(0, bisect_right(self.runs, sample, key=lambda run: run.start) - 1)]
        inside = (sample - run.start) * run.kind.sample_rate // self.sample_rate
        return min(run.first + inside // run.kind.samples, len(self.offsets) - 1)


def scan_frames(
    descriptor: int, update: Callable[[memoryview], object], *, start: int, stop: int
) -> MpegFrames | None:
    """Walk over the frames of an open file in pieces of 1 MiB.

    Bytes between frames (tags, damage) are stepped over, and so is a Xing, Info or VBRI frame at
    the beginning: it holds a table for players, no sound, and taggers rewrite it. A frame cut
    short by the end is left out. Free-format streams (no bit rate) have no frames here.

    Parameters
    ----------
    descriptor : int
        Of a regular file; its position is neither used nor moved.
    update : callable
        Called with the bytes of the frames, several at a time, e.g. the `update` of a hash.
    start, stop : int
        Bytes between which the file holds sound.

    Returns
    -------
    MpegFrames or None
        None if there is no MPEG audio stream.
    """
    base = start
    buffer, at = b"", 0
    offsets = array("q")
    kinds: list[tuple[FrameKind, int]] = []
    payload = 0
    final = False
    while not final:
        block = os.pread(descriptor, min(_BLOCK, stop - base - len(buffer)), base + len(buffer))
        final = not block
        buffer += block
        limit = len(buffer) - (3 if final else _LOOK_AHEAD)
        while at < limit:
            if not kinds or not _is_frame(buffer, at, kinds[-1][0]):
                at, kind = _next_chain(buffer, at, limit)
                if kind is None:
                    break
                if not kinds:
                    at = _skip_info_frame(buffer, at, kind)
                if not kinds or kind is not kinds[-1][0]:
                    kinds.append((kind, len(offsets)))
            begin = at
            at = _walk(buffer, at, limit, base, kinds[-1][0].sizes, offsets)
            if at > len(buffer):
                at = offsets.pop() - base
                limit = at
            update(memoryview(buffer)[begin:at])
            payload += at - begin
        base, buffer, at = base + at, buffer[at:], 0
    return _frames(offsets, kinds, payload) if kinds else None


def first_frame(descriptor: int, *, start: int, stop: int) -> int | None:
    """The byte where the first frame of an MPEG audio stream begins; None if there is none."""
    base, buffer = start, b""
    while block := os.pread(descriptor, min(_BLOCK, stop - base - len(buffer)), base + len(buffer)):
        buffer += block
        at, kind = _next_chain(buffer, 0, len(buffer))
        if kind is not None:
            return base + at
        keep = max(0, len(buffer) - _LOOK_AHEAD)
        base, buffer = base + keep, buffer[keep:]
    return None


def is_free_format(descriptor: int, *, start: int, stop: int) -> bool:
    """Whether a file begins as an MPEG audio stream without bit rates in its headers."""
    buffer = os.pread(descriptor, min(_FREE_FORMAT_LOOK_AHEAD, stop - start), start)
    for match in _FREE_SYNC.finditer(buffer, 0, len(buffer) // 4):
        at = match.start()
        if _kind_of(buffer[at + 1], buffer[at + 2]) is None:
            continue
        # All frames are equally long, but for the byte that one bit says is added.
        same = re.compile(re.escape(match[0][:2]) + b"[%c%c]" % (match[0][2], match[0][2] ^ 2))
        following = [next_.start() for next_ in same.finditer(buffer, at + 24)]
        for first in following[:8]:
            length = first - at
            steps = [first + n * length + extra for n in (1, 2) for extra in range(-n, n + 1)]
            if len(set(steps) & set(following)) >= 2:
                return True
    return False


def _frames(
    offsets: array[int], kinds: Sequence[tuple[FrameKind, int]], payload: int
) -> MpegFrames:
    firsts = [first for _, first in kinds]
    counts = [stop - first for first, stop in pairwise([*firsts, len(offsets)])]
    seconds: defaultdict[int, Fraction] = defaultdict(Fraction)
    for (kind, _), count in zip(kinds, counts, strict=True):
        seconds[kind.sample_rate] += Fraction(count * kind.samples, kind.sample_rate)
    rate = max(seconds, key=seconds.__getitem__)
    runs = []
    start = 0
    for (kind, first), count in zip(kinds, counts, strict=True):
        runs.append(FrameRun(kind, first, start))
        start += count * kind.samples * rate // kind.sample_rate
    return MpegFrames(offsets, tuple(runs), rate, start, payload)


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


def _next_chain(buffer: bytes, at: int, limit: int) -> tuple[int, FrameKind | None]:
    """The next byte at which a chain of frames begins, and their kind; `limit` and None if none."""
    for match in _SYNC.finditer(buffer, at, limit):
        kind = _kind_of(buffer[match.start() + 1], buffer[match.start() + 2])
        if kind is not None and _is_chain(buffer, match.start(), kind):
            return match.start(), kind
    return limit, None


def _is_frame(buffer: bytes, at: int, kind: FrameKind) -> bool:
    return buffer[at] == 0xFF and bool(kind.sizes[buffer[at + 1] << 8 | buffer[at + 2]])


def _is_chain(buffer: bytes, at: int, kind: FrameKind) -> bool:
    for _ in range(_CHAIN):
        if at + 3 > len(buffer) or not _is_frame(buffer, at, kind):
            return False
        at += kind.sizes[buffer[at + 1] << 8 | buffer[at + 2]]
    return True


def _skip_info_frame(buffer: bytes, at: int, kind: FrameKind) -> int:
    side = buffer[at + 4 : at + 44]
    if any(name in side for name in (b"Xing", b"Info", b"VBRI")):
        return at + kind.sizes[buffer[at + 1] << 8 | buffer[at + 2]]
    return at


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
