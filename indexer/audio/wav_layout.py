"""Where the samples of a track lie in a WAV file that exists nowhere: header, frames, blocks.

The file is known from what the catalog says of a track, before anything is decoded: 16-bit PCM,
mono or stereo, at the track's rate or, above 48 kHz, at a half or a quarter of it. It is cut into
blocks, and each is made by itself, so a byte is the same whichever range it is asked for in.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER_BYTES = 44
HIGHEST_RATE = 48_000
_LOWEST_HALF = 44_100
_BLOCK_FRAMES = 1 << 17
"""About 3 s: as long as a second of pre-roll is not much, and short enough to wait for."""
_MOST_DATA = 2**32 - 1 - HEADER_BYTES
"""A WAV file counts its bytes with 32 bits: 6 h 45 min of stereo at 44.1 kHz."""


@dataclass(frozen=True)
class WavLayout:
    """Layout of the WAV file that a track would make; made by `wav_layout`.

    Attributes
    ----------
    rate_in : int
        Sample rate of the track, in Hz.
    rate : int
        Sample rate of the WAV file, in Hz.
    channels : int
        1 or 2.
    frames : int
        Samples of one channel in the WAV file.
    """

    rate_in: int
    rate: int
    channels: int
    frames: int

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of all channels."""
        return 2 * self.channels

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return HEADER_BYTES + self.frames * self.frame_bytes

    @property
    def block_frames(self) -> int:
        """Frames in a block, but for the last: a time that is whole samples at both rates."""
        unit = self.rate // math.gcd(self.rate_in, self.rate)
        return max(1, _BLOCK_FRAMES // unit) * unit

    def block_range(self, block: int) -> tuple[int, int]:
        """First frame of a block in the WAV file, and the one after its last."""
        start = block * self.block_frames
        return start, min(start + self.block_frames, self.frames)

    def to_in(self, frames: int) -> int:
        """Samples of the track that make so many frames of the WAV file, rounded up."""
        return -(-frames * self.rate_in // self.rate)

    def header(self) -> bytes:
        """The first `HEADER_BYTES` of the file."""
        data = self.frames * self.frame_bytes
        byte_rate = self.rate * self.frame_bytes
        return struct.pack(
            "<4sI4s4sIHHIIHH4sI", b"RIFF", data + HEADER_BYTES - 8, b"WAVE", b"fmt ", 16, 1,
            self.channels, self.rate, byte_rate, self.frame_bytes, 16, b"data", data,
        )  # fmt: skip

    def pieces(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """What a range of the file's bytes is made of, behind the header.

        Yields
        ------
        block, low, high : int
            The bytes of a block from `low` up to `high`.
        """
        block_bytes = self.block_frames * self.frame_bytes
        at, stop = max(start - HEADER_BYTES, 0), stop - HEADER_BYTES
        while at < stop:
            block, low = divmod(at, block_bytes)
            high = min(block_bytes, stop - block * block_bytes)
            yield block, low, high
            at += high - low


def wav_layout(*, duration_s: float, sample_rate: int, channels: int) -> WavLayout:
    """The layout of a track with this duration in seconds, rate in Hz and number of channels.

    A track that is longer than a WAV file can be is cut.
    """
    rate = _playable_rate(sample_rate)
    channels = min(channels, 2)
    samples = round(duration_s * sample_rate) if math.isfinite(duration_s) else 0
    frames = max(0, samples) * rate // sample_rate
    return WavLayout(sample_rate, rate, channels, min(frames, _MOST_DATA // (2 * channels)))


def _playable_rate(sample_rate: int) -> int:
    """The rate itself; above 48 kHz a fraction of it, such as 44.1 of 88.2 kHz."""
    if sample_rate <= HIGHEST_RATE:
        return sample_rate
    halves = (sample_rate // half for half in (2, 4, 8, 16, 32) if sample_rate % half == 0)
    return next((rate for rate in halves if _LOWEST_HALF <= rate <= HIGHEST_RATE), HIGHEST_RATE)
