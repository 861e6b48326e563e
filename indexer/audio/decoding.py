"""Samples of an open file: any stretch of it, mono, at the file's own rate.

A reader gives the same samples for a stretch whether it was entered there or decoded from the
beginning of the file. Decoders carry state from packet to packet (MP3's bit reservoir, the overlap
of every transform codec, Opus's prediction: RFC 7845, section 4.6, asks for 80 ms), so decoding
begins `PRE_ROLL_S` earlier and what comes before the stretch is thrown away.
"""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
from fractions import Fraction
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, cast

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from indexer.audio.container import OpenFile, PacketTable, audio_stream
from indexer.errors import Corrupt, NotFinite

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.packet import Packet

    from indexer.audio.mpeg_frames import MpegFrames

Mono = NDArray[np.float32]

# Longer than any codec needs to forget how it was entered: SBR of HE-AAC waits longest, for its
# next header, usually half a second.
PRE_ROLL_S = 1.0
_PRE_ROLL_FRAMES = 16
# Samples this far above full scale (1.0) are no sound at any scale and overflow later.
_LARGEST = 1e10
_PADDING = 64
_WEIGHED = 4
# Channels that cancel out in their mean by more than 40 dB are taken for no wider.
_WIDEST = 1e4
_CHECKED_PACKETS = 8
# A quarter of the difference between the longest and the shortest block of Vorbis.
_LATEST_STAMP = 2048
_SAMPLE_TYPES = {"u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8"}


class Reader(ABC):
    """Samples of one open file.

    Attributes
    ----------
    rate : int
        Samples a second and channel.
    """

    def __init__(self, file: OpenFile) -> None:
        self.rate = file.facts.sample_rate
        self._file = file
        self._position = -1
        # So far ahead, decoding on costs less than entering anew.
        self._near = self.rate
        self._chunks: Iterator[tuple[int, Mono]] = iter(())
        self._left: tuple[int, Mono] | None = None
        self._frames_decoded = 0
        self._power_of_channels = self._power_of_mean = 0.0

    @property
    def channel_power_ratio(self) -> float:
        """Power of all channels over that of their mean, in what was decoded.

        It is n for n channels that are alike, and more the more they differ. One frame of
        `_WEIGHED` is looked at.
        """
        if not self._power_of_mean > 0.0:
            return float(self._file.facts.channels)
        return min(self._power_of_channels / self._power_of_mean, _WIDEST)

    @property
    @abstractmethod
    def length(self) -> int | None:
        """Samples in the whole stream; None if only decoding it all would tell."""

    @abstractmethod
    def _decode_from(self, start: int) -> Iterator[tuple[int, Mono]]:
        """Decoded pieces and the sample each begins with, from `start` or before it."""

    def read(self, start: int, stop: int) -> tuple[Mono, int]:
        """Decode the stretch from sample `start` up to `stop`.

        Reading on where the last stretch ended costs no new entry.

        Returns
        -------
        samples : ndarray, float32 (stop - start,)
            The mean of the channels; zeros where nothing could be decoded.
        decoded : int
            How many of them were decoded.

        Raises
        ------
        NotFinite
            NaN or infinity among the decoded samples.
        Corrupt
            The sample rate changes inside the stream, or samples are absurdly large.
        """
        if not 0 <= self._position <= start <= self._position + self._near:
            self._chunks, self._left = self._decode_from(start), None
        samples = np.zeros(stop - start, np.float32)
        decoded = 0
        while True:
            chunk = self._left or next(self._chunks, None)
            self._left = None
            if chunk is None:
                break
            at, piece = chunk
            low, high = max(at, start), min(at + len(piece), stop)
            if high > low:
                samples[low - start : high - start] = piece[low - at : high - at]
                decoded += high - low
            if at + len(piece) >= stop:
                self._left = chunk
                break
        self._position = stop
        self._check(samples)
        return samples, decoded

    def _check(self, samples: Mono) -> None:
        largest = float(np.abs(samples).max(initial=0.0))
        name = self._file.name
        if not np.isfinite(largest):
            message = f"{name!r} holds samples that are NaN or infinite; export it again."
            raise NotFinite(message, stage="decode")
        if largest > _LARGEST:
            message = f"{name!r} holds samples far beyond full scale; export it again."
            raise Corrupt(message, stage="decode")

    def _mono(self, frame: AudioFrame) -> Mono:
        if frame.sample_rate != self.rate:
            message = (
                f"{self._file.name!r} changes its sample rate from {self.rate} to "
                f"{frame.sample_rate} Hz inside the stream; split or convert it."
            )
            raise Corrupt(message, stage="decode")
        rows, full_scale = _channels(frame)
        mean = _mean(rows, full_scale)
        self._frames_decoded += 1
        if len(rows) > 1 and self._frames_decoded % _WEIGHED == 0:
            self._power_of_mean += float(np.vdot(mean, mean))
            self._power_of_channels += sum(
                float(np.vdot(each, each)) for each in (_mean([row], full_scale) for row in rows)
            )
        return mean


def downmix(frame: AudioFrame) -> Mono:
    """Average a frame's channels.

    Returns
    -------
    ndarray, float32 (frame.samples,)
        Full scale is 1.0 whatever the frame's sample format and layout.
    """
    return _mean(*_channels(frame))


def _channels(frame: AudioFrame) -> tuple[list[NDArray[Any]], float]:
    """The channels of a frame as they are stored, and what full scale is in them."""
    channels = frame.layout.nb_channels
    kind = np.dtype(_SAMPLE_TYPES[frame.format.packed.name])
    planes = frame.planes
    if frame.format.is_planar and len(planes) >= channels:
        # The planes themselves: a third of the time of `to_ndarray`, felt with small frames; and
        # for 8 channels PyAV counts a ninth plane that is none.
        rows = [
            np.frombuffer(memoryview(plane), kind, frame.samples) for plane in planes[:channels]
        ]
    else:
        array = frame.to_ndarray()
        rows = list(array if frame.format.is_planar else array.reshape(-1, channels).T)
    return rows, 1.0 if kind.kind == "f" else 2.0 ** (8 * kind.itemsize - 1)


def _mean(rows: Sequence[NDArray[Any]], full_scale: float) -> Mono:
    """The mean of channels as `_channels` gives them: unsigned ones lie around `full_scale`."""
    kind = rows[0].dtype
    # 16 bits of 256 channels add up exactly in float32, 32 bits do not.
    wide = np.float64 if kind.itemsize > 2 and kind.kind != "f" else np.float32
    total: NDArray[np.floating] = rows[0].astype(wide)
    for row in rows[1:]:
        total += row
    if kind.kind == "u":
        total -= len(rows) * full_scale
    total *= 1 / (len(rows) * full_scale)
    return total.astype(np.float32, copy=False)


class FrameReader(Reader):
    """Samples of an MPEG audio file: frames read by their offsets, no demuxer."""

    def __init__(self, file: OpenFile, frames: MpegFrames) -> None:
        super().__init__(file)
        self._frames = frames
        self._context = audio_stream(file.container).codec_context

    @property
    def length(self) -> int:
        """Samples in all frames."""
        return len(self._frames.offsets) * self._frames.kind.samples

    def _decode_from(self, start: int) -> Iterator[tuple[int, Mono]]:
        samples = self._frames.kind.samples
        self._context.flush_buffers()
        for number in range(max(0, start // samples - _PRE_ROLL_FRAMES), len(self._frames.offsets)):
            try:
                decoded = self._context.decode(self._packet(number))
            except av.error.InvalidDataError:
                continue
            for frame in decoded:
                yield number * samples, self._mono(frame)

    def _packet(self, number: int) -> Packet[AudioStream]:
        offset, sizes = self._frames.offsets[number], self._frames.kind.sizes
        header = os.pread(self._file.descriptor, 3, offset)
        size = sizes[header[1] << 8 | header[2]]
        # Decoders read a little past the end of a packet, so the memory goes on behind it. PyAV
        # takes any buffer.
        data = os.pread(self._file.descriptor, size, offset) + bytes(_PADDING)
        packet = av.Packet(memoryview(data)[:size])  # type: ignore[arg-type]  # stubs name bytes only
        return cast("Packet[AudioStream]", packet)


class SeekingReader(Reader):
    """Samples of a container whose time stamps are sample numbers.

    Each seek is checked: most of the packets it lands on have to be in the table, by time stamp and
    by size, and early enough. After one that is not, the stream is only decoded forward.
    """

    def __init__(self, file: OpenFile, packets: PacketTable) -> None:
        super().__init__(file)
        self._packets = packets
        self._near = int(2 * PRE_ROLL_S * self.rate)

    @property
    def length(self) -> int:
        """Samples in all packets."""
        return self._packets.samples

    def _decode_from(self, start: int) -> Iterator[tuple[int, Mono]]:
        pieces = self._stamped_pieces(start)
        if self._file.facts.codec != "vorbis":
            yield from pieces
            return
        # FFmpeg stamps the packet before a change of block size a few hundred samples late. So the
        # samples are counted, from where most of the first half second's stamps say we are.
        head: list[tuple[int, int, Mono]] = []
        at = 0
        for stamp, piece in pieces:
            head.append((stamp, at, piece))
            at += len(piece)
            if 2 * at > self.rate:
                break
        if not head:
            return
        offsets, votes = np.unique([stamp - at for stamp, at, _ in head], return_counts=True)
        at = int(offsets[votes.argmax()])
        for stamp, piece in chain(((stamp, piece) for stamp, _, piece in head), pieces):
            if abs(stamp - at) > _LATEST_STAMP:
                at = stamp
            yield at, piece
            at += len(piece)

    def _stamped_pieces(self, start: int) -> Iterator[tuple[int, Mono]]:
        origin = self._packets.origin
        per_tick = self._packets.samples_per_tick
        at: int | None = None
        for packet in self._packets_from(start):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                continue
            for frame in frames:
                # Of several frames in a packet (ADPCM) only the first is stamped.
                if frame.pts is not None:
                    at = max(0, int((frame.pts - origin) * per_tick))
                if at is not None:
                    piece = self._mono(frame)
                    yield at, piece
                    at += len(piece)

    def _packets_from(self, start: int) -> Iterator[Packet[AudioStream]]:
        pre_roll = int(PRE_ROLL_S * self.rate)
        if self._near < sys.maxsize and start > 2 * pre_roll:
            found = self._seek(start - pre_roll)
            if found is not None:
                yield from found
                return
            self._near = sys.maxsize
        self._file.reopen()
        yield from _remaining(self._file)

    def _seek(self, sample: int) -> Iterator[Packet[AudioStream]] | None:
        table = self._packets
        target = int(table.origin + Fraction(sample) / table.samples_per_tick)
        row = int(np.searchsorted(table.pts, target, side="right")) - 1
        stream = audio_stream(self._file.container)
        try:
            self._file.container.seek(int(table.pts[row]), stream=stream)
        except (av.error.FFmpegError, PermissionError):
            return None
        packets = _remaining(self._file)
        head = list(islice(packets, _CHECKED_PACKETS))
        if not head or head[0].pts is None or head[0].pts > table.pts[row]:
            return None
        # The first packet's stamp is a guess where its length hangs on the packet before it.
        known = sum(self._is_known(packet) for packet in head[1:])
        return chain(head, packets) if known >= len(head) // 2 else None

    def _is_known(self, packet: Packet[AudioStream]) -> bool:
        if packet.pts is None:
            return False
        row = int(np.searchsorted(self._packets.pts, packet.pts))
        return row < len(self._packets.pts) and (
            (self._packets.pts[row], self._packets.sizes[row]) == (packet.pts, packet.size)
        )


class ForwardReader(Reader):
    """Samples of a stream that can only be decoded from its beginning, counted as they come."""

    def __init__(self, file: OpenFile) -> None:
        super().__init__(file)
        self._near = sys.maxsize

    @property
    def length(self) -> None:
        """Not known before all is decoded."""
        return

    def _decode_from(self, start: int) -> Iterator[tuple[int, Mono]]:  # noqa: ARG002
        self._file.reopen()
        at = 0
        for packet in _remaining(self._file):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                continue
            for frame in frames:
                piece = self._mono(frame)
                yield at, piece
                at += len(piece)


def reader(file: OpenFile) -> Reader:
    """The reader that fits an open file."""
    if file.frames is not None:
        return FrameReader(file, file.frames)
    if file.packets is not None:
        return SeekingReader(file, file.packets)
    return ForwardReader(file)


def _remaining(file: OpenFile) -> Iterator[Packet[AudioStream]]:
    try:
        yield from file.container.demux(audio_stream(file.container))
    except av.error.InvalidDataError:
        return
