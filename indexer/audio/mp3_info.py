"""How an MP3 stream of constant bit rate is laid out, and the frame before it that says so.

That is the "Info" frame of Xing and LAME: players take the length from it and play albums without
gaps. FFmpeg writes one only where it can go back to the beginning of the file.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

KBPS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
"""Bit rates of MPEG-1 Layer III, in kbit/s, as its headers count them from 1 on."""
RATES = (44_100, 48_000, 32_000)
"""Its sample rates in Hz, as its headers count them from 0 on."""
FRAME = 1152
"""Samples in a frame."""
_DELAY = 576
"""Samples that LAME puts before the sound; a decoder adds 529 of its own."""
_INFO_KBPS = 64
"""The least at which a frame has room for what it says."""


@dataclass(frozen=True)
class Mp3Layout:
    """The stream that LAME makes of so many samples at a constant bit rate.

    Attributes
    ----------
    samples : int
        Of one channel.
    rate : int
        One of `RATES`.
    channels : int
        1 or 2.
    kbps : int
        One of `KBPS`.
    """

    samples: int
    rate: int
    channels: int
    kbps: int

    @property
    def padding(self) -> int:
        """Samples that LAME puts behind the sound: at least half a frame."""
        rest = FRAME - (self.samples + _DELAY) % FRAME
        return rest if rest >= FRAME // 2 else rest + FRAME

    @property
    def frames(self) -> int:
        """Frames of sound."""
        return (self.samples + _DELAY + self.padding) // FRAME

    @property
    def size(self) -> int:
        """Bytes of all frames, that of `info_frame` among them."""
        whole, fraction = divmod(FRAME // 8 * 1000 * self.kbps, self.rate)
        # LAME gives a frame a byte more where the fractions of those before it make one.
        longer = -(-(self.frames - 1) * fraction // self.rate)
        return self._info_bytes + self.frames * whole + longer

    @property
    def _info_kbps(self) -> int:
        return max(self.kbps, _INFO_KBPS)

    @property
    def _info_bytes(self) -> int:
        return FRAME // 8 * self._info_kbps * 1000 // self.rate

    def info_frame(self) -> bytes:
        """The frame before those of the sound, silent itself."""
        channel_mode = 3 if self.channels == 1 else 1
        header = bytes(
            [0xFF, 0xFB, (KBPS.index(self._info_kbps) + 1) << 4 | RATES.index(self.rate) << 2,
             channel_mode << 6]
        )  # fmt: skip
        side = bytes(17 if self.channels == 1 else 32)
        counts = struct.pack(">4sIII", b"Info", 0b1111, self.frames, self.size)
        # At which 256th of the bytes each hundredth of the time begins; then a mark of quality.
        contents = bytes(256 * number // 100 for number in range(100)) + bytes(4)
        lame = b"LAME3.100" + bytes([0x01]) + bytes(10) + bytes([min(self.kbps, 255)])
        lame += (_DELAY << 12 | min(self.padding, 4095)).to_bytes(3, "big")
        lame += bytes(4) + struct.pack(">I", self.size & 0xFFFFFFFF) + bytes(2)
        tag = header + side + counts + contents + lame
        tag += _crc16(tag).to_bytes(2, "big")
        return tag.ljust(self._info_bytes, b"\0")


def _crc16(data: bytes) -> int:
    """The checksum of the tag: polynomial 0x8005, bits reflected."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc
