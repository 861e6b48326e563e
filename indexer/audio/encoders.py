"""PCM to MP3 or to Opus in Ogg, piece by piece: what has been encoded can be sent at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import av
import numpy as np

from indexer.audio.encoding import OGG_PAGE_S, mp3_layout

if TYPE_CHECKING:
    from collections.abc import Iterable

    from av.audio.frame import AudioFrame

    from indexer.audio.encoding import Encoding, Pcm

_OPUS_RATE = 48_000


class Encoder(Protocol):
    """Encodes one piece of PCM after the other."""

    def encode(self, pcm: bytes) -> bytes:
        """What is complete after so much more."""

    def finish(self) -> bytes:
        """The rest."""


def make_encoder(encoding: Encoding, pcm: Pcm) -> Encoder:
    """An encoder of sound."""
    return _Mp3Encoder(encoding, pcm) if encoding.codec == "mp3" else _OpusEncoder(encoding, pcm)


class _Frames:
    """Frames for FFmpeg, one after the other."""

    def __init__(self, pcm: Pcm) -> None:
        self._pcm = pcm
        self._at = 0

    def next(self, pcm: bytes) -> list[AudioFrame]:
        """A frame of the next samples; none where there are none."""
        if not pcm:
            return []
        samples = np.frombuffer(pcm, "<i2").reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout=self._pcm.layout)
        frame.sample_rate, frame.pts = self._pcm.rate, self._at
        self._at += frame.samples
        return [frame]


class _Mp3Encoder:
    """A stream of MP3 frames, the first of which says how many there are."""

    def __init__(self, encoding: Encoding, pcm: Pcm) -> None:
        layout = mp3_layout(encoding, pcm)
        context: Any = av.CodecContext.create("libmp3lame", "w")
        context.sample_rate, context.layout = layout.rate, pcm.layout
        context.format, context.bit_rate = "s16p", 1000 * encoding.kbps
        self._context = context
        self._frames = _Frames(pcm)
        self._ahead = layout.info_frame()

    def encode(self, pcm: bytes) -> bytes:
        """What is complete after so much more."""
        packets = [packet for frame in self._frames.next(pcm) for packet in self._encode(frame)]
        ahead, self._ahead = self._ahead, b""
        return ahead + b"".join(packets)

    def finish(self) -> bytes:
        """The rest."""
        return self.encode(b"") + b"".join(self._encode(None))

    def _encode(self, frame: AudioFrame | None) -> Iterable[bytes]:
        return map(bytes, self._context.encode(frame))


class _OpusEncoder:
    """Opus in Ogg (RFC 7845), whose pages say where the sound begins and ends."""

    def __init__(self, encoding: Encoding, pcm: Pcm) -> None:
        self._written = _Written()
        options = {"page_duration": str(round(1e6 * OGG_PAGE_S)), "flush_packets": "1"}
        self._container = av.open(self._written, "w", format="ogg", options=options)
        # Constrained: packets differ, but no second takes more than the bit rate says.
        vbr = "off" if encoding.is_constant else "constrained"
        stream: Any = self._container.add_stream("libopus", rate=_OPUS_RATE, options={"vbr": vbr})
        stream.layout, stream.bit_rate = pcm.layout, 1000 * encoding.kbps
        self._container.start_encoding()
        self._stream = stream
        self._frames = _Frames(pcm)

    def encode(self, pcm: bytes) -> bytes:
        """What is complete after so much more."""
        for frame in self._frames.next(pcm):
            self._container.mux(self._stream.encode(frame))
        return self._written.take()

    def finish(self) -> bytes:
        """The rest."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._written.take()


class _Written:
    """What a muxer has written and nobody has taken; it cannot go back in it."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        """Take bytes of the muxer."""
        self._pieces.append(bytes(piece))
        return len(piece)

    def take(self) -> bytes:
        """Hand out what has been written."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
