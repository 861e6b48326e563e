"""What sound is encoded as, MP3 or Opus in Ogg, and what size that has; nothing is encoded here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from indexer.audio.mp3_info import KBPS, RATES, Mp3Layout

if TYPE_CHECKING:
    from indexer.audio.wav_layout import WavLayout

Codec: TypeAlias = Literal["mp3", "opus"]

OPUS_KBPS = (16, 256)
"""Lowest and highest bit rate asked of Opus, in kbit/s."""
_PACKETS_PER_S = 50
OGG_PAGE_S = 0.2
"""Seconds of Opus in a page of Ogg."""
# A page's head with its table of up to two bytes a packet; the two pages at the beginning.
_OGG_PAGE_BYTES = 27 + 2 * 12
_OGG_HEAD_BYTES = 400


@dataclass(frozen=True)
class Pcm:
    """16-bit PCM that is to be encoded, channels interleaved.

    Attributes
    ----------
    rate : int
        In Hz.
    channels : int
        1 or 2.
    frames : int
        Samples of one channel, all together.
    """

    rate: int
    channels: int
    frames: int

    @property
    def layout(self) -> str:
        """FFmpeg's name for the channels."""
        return "mono" if self.channels == 1 else "stereo"


@dataclass(frozen=True)
class Encoding:
    """How sound is encoded; made by `encoding_within`.

    Attributes
    ----------
    codec : {"mp3", "opus"}
    kbps : int
        Bit rate in kbit/s; of MP3 one that it has.
    is_constant : bool
        Whether Opus takes as many bytes for each packet, so that its size is known before. MP3
        always does.
    """

    codec: Codec
    kbps: int
    is_constant: bool = False

    @property
    def media_type(self) -> str:
        """Of what is made."""
        return "audio/mpeg" if self.codec == "mp3" else "audio/ogg"

    def largest_size(self, pcm: Pcm) -> int:
        """Bytes that sound takes at most, and nearly does where the bit rate is constant."""
        if self.codec == "mp3":
            return mp3_layout(self, pcm).size
        seconds = pcm.frames / pcm.rate
        packets = math.ceil(seconds * _PACKETS_PER_S) + 2
        pages = math.ceil(seconds / OGG_PAGE_S) + 3
        body = packets * self.kbps * 1000 // 8 // _PACKETS_PER_S
        return body + pages * _OGG_PAGE_BYTES + _OGG_HEAD_BYTES


def encoding_within(codec: Codec, kbps: int, *, is_constant: bool = False) -> Encoding:
    """The encoding of the highest bit rate up to a limit, or of the lowest there is."""
    if codec == "mp3":
        return Encoding(codec, max((one for one in KBPS if one <= kbps), default=KBPS[0]))
    lowest, highest = OPUS_KBPS
    return Encoding(codec, min(max(kbps, lowest), highest), is_constant)


def mp3_layout(encoding: Encoding, pcm: Pcm) -> Mp3Layout:
    """The layout of sound as MP3, at its own rate where MP3 has that."""
    rate = pcm.rate if pcm.rate in RATES else RATES[0]
    return Mp3Layout(round(pcm.frames * rate / pcm.rate), rate, pcm.channels, encoding.kbps)


@dataclass(frozen=True)
class Transcode:
    """A track that is encoded from a moment on, step by step.

    Attributes
    ----------
    number : int
        By which its worker knows its encoder: another one for each that is begun.
    layout : WavLayout
        Of the whole track.
    first : int
        The frame of it at which the sound begins.
    encoding : Encoding
    """

    number: int
    layout: WavLayout
    first: int
    encoding: Encoding

    @property
    def pcm(self) -> Pcm:
        """What is encoded."""
        frames = max(0, self.layout.frames - self.first)
        return Pcm(self.layout.rate, self.layout.channels, frames)

    @property
    def steps(self) -> int:
        """Steps from the first to the last, at least one."""
        blocks = -(-self.layout.frames // self.layout.block_frames)
        return max(1, blocks - self.first // self.layout.block_frames)
