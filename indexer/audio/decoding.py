"""Samples of an open file: any stretch of it, mono, at one sample rate.

A reader gives the same samples for a stretch whether it was entered there or decoded from the
beginning of the file. Decoders carry state from packet to packet (MP3's bit reservoir, the overlap
of every transform codec, Opus's prediction: RFC 7845, section 4.6, asks for 80 ms), so decoding
begins `PRE_ROLL_S` earlier and what comes before the stretch is thrown away. Lossless coders have
packets that stand alone.

Where windows lie so close that entering at each costs more than decoding what lies between them,
the stream is decoded once from its beginning and kept; an entry costs what it decodes in vain.

A packet that FFmpeg cannot decode, for whatever reason, is damaged and leaves zeros. So does a
sample that is no number. Where the sample rate changes inside a file, that part is resampled.
"""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, cast

import av
import av.error
import numpy as np
import soxr

from indexer.audio.downmix import channel_rows, mean_of
from indexer.audio.error_translation import check_damage
from indexer.audio.mpeg_frames import LONGEST_FRAME
from indexer.audio.opening import audio_stream, read_packets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.packet import Packet
    from numpy.typing import NDArray

    from indexer.audio.container import OpenFile
    from indexer.audio.downmix import Mono
    from indexer.audio.mpeg_frames import MpegFrames
    from indexer.audio.seek_tables import SeekTable

# Longer than any codec needs to forget how it was entered: SBR of HE-AAC waits longest, for its
# next header, usually half a second.
PRE_ROLL_S = 1.0
_PRE_ROLL_FRAMES = 16
# Samples this far above full scale (1.0) are no sound at any scale and overflow later.
_LARGEST = 1e10
# Marks what is not decoded.
_MISSING = np.finfo(np.float32).min
_PADDING = 64
_WEIGHED = 4
# Channels that cancel out in their mean by more than 40 dB are taken for no wider.
_WIDEST = 1e4
# The mean of n channels that have nothing in common has 1/n of their mean power. With less than a
# tenth of that, they cancel out in it.
_CANCELLED = 0.1
_CHECKED_PACKETS = 8
# Time stamps are believed while the samples between them are as many as they say, to a quarter.
_STAMP_TOLERANCE = 0.25
# A quarter of the difference between the longest and the shortest block of Vorbis.
_LATEST_STAMP = 2048


class ForwardOnly(Exception):
    """The stream has to be decoded from its beginning: its times or damage forbid seeking."""


class Reader(ABC):
    """Samples of one open file.

    Attributes
    ----------
    rate : int
        Samples a second and channel.
    channel : int or None
        The one channel that is read; None reads the mean of all.
    is_ended : bool
        Whether the last stretch reached beyond the end of the stream.
    damaged : int
        Packets so far that could not be decoded.
    not_finite : int
        Samples so far that were NaN, infinite or far beyond full scale.
    """

    def __init__(self, file: OpenFile, *, channel: int | None = None) -> None:
        self.rate = file.facts.sample_rate
        self.channel = channel
        self.is_ended = False
        self.damaged = self.not_finite = 0
        self._file = file
        self._position = -1
        # So far ahead, decoding on costs less than entering anew.
        self._near = self.rate
        self._chunks: Iterator[tuple[int, Mono]] = iter(())
        self._left: tuple[int, Mono] | None = None
        self._kept = np.zeros(0, np.float32)
        self._is_all_kept = False
        self._frames_decoded = 0
        self._channel_powers = np.zeros(0)
        self._mix_power = 0.0

    @property
    def channel_power_ratio(self) -> float:
        """Power of all channels over that of the mono sound, in what was decoded.

        It is n for the mean of n channels that are alike, and more the more they differ. One frame
        of `_WEIGHED` is measured.
        """
        if not self._mix_power > 0.0:
            return float(self._file.facts.channels)
        return min(float(self._channel_powers.sum()) / self._mix_power, _WIDEST)

    @property
    def cancelled_channel(self) -> int | None:
        """The loudest channel, if channels cancel out in the mean that was decoded; else None."""
        count = len(self._channel_powers)
        kept = self._mix_power * count**2
        if self.channel is not None or kept >= _CANCELLED * self._channel_powers.sum():
            return None
        return int(self._channel_powers.argmax())

    @property
    @abstractmethod
    def length(self) -> int | None:
        """Samples in the whole stream; None if only decoding it all would tell."""

    @property
    @abstractmethod
    def entry_samples(self) -> int:
        """Samples that are decoded in vain where the stream is entered in its middle."""

    @abstractmethod
    def _frames_from(self, start: int) -> Iterator[tuple[int | None, AudioFrame]]:
        """Decoded frames, from sample `start` or before it, and the sample each begins with.

        None instead means that it begins where the frame before it ends.
        """

    def read(self, start: int, stop: int) -> tuple[Mono, int]:
        """The stretch from sample `start` up to `stop`, decoded unless it was kept.

        Reading on where the last stretch ended costs no new entry.

        Returns
        -------
        samples : ndarray, float32 (stop - start,)
            Zeros where nothing could be decoded.
        decoded : int
            How many of them were decoded.

        Raises
        ------
        ForwardOnly
            Times and decoded samples disagree; a `ForwardReader` does not need them.
        """
        samples = np.full(stop - start, _MISSING, np.float32)
        kept = self._kept[start:stop]
        samples[: len(kept)] = kept
        if self._is_all_kept:
            self.is_ended = stop >= len(self._kept)
        elif len(kept) < len(samples):
            self._decode_into(samples[len(kept) :], start + len(kept))
        missing = samples == _MISSING
        samples[missing] = 0.0
        return samples, len(samples) - int(missing.sum())

    def keep(self, samples: int) -> None:
        """Decode so many samples from the beginning, or all there are, and keep them for `read`.

        Raises
        ------
        ForwardOnly
            As `read`.
        """
        kept = np.empty(samples, np.float32)
        at, self._position, self.is_ended = 0, -1, False
        while at < samples and not self.is_ended:
            stop = min(at + self.rate, samples)
            kept[at:stop] = _MISSING
            self._decode_into(kept[at:stop], at)
            at = stop
        self._kept, self._is_all_kept = kept[:at], self.is_ended

    @property
    def is_keeping(self) -> bool:
        """Whether `keep` was called."""
        return len(self._kept) > 0

    @property
    def is_forward(self) -> bool:
        """Whether every stretch is reached from the beginning; known once one was read."""
        return self._near == sys.maxsize

    def _decode_into(self, samples: Mono, start: int) -> None:
        """Fill in what decodes of the stretch that begins at sample `start`."""
        stop = start + len(samples)
        if not 0 <= self._position <= start <= self._position + self._near:
            self._chunks, self._left = self.pieces_from(start, self._mix), None
            self.is_ended = False
        # Samples beyond all bounds overflow here, and are left out below.
        with np.errstate(over="ignore", invalid="ignore"):
            while True:
                chunk = self._left or next(self._chunks, None)
                self._left = None
                if chunk is None:
                    self.is_ended = True
                    break
                at, piece = chunk
                low, high = max(at, start), min(at + len(piece), stop)
                if high > low:
                    samples[low - start : high - start] = piece[low - at : high - at]
                if at + len(piece) >= stop:
                    self._left = chunk
                    break
        self._position = stop
        self._leave_out_not_finite(samples)

    def _leave_out_not_finite(self, samples: Mono) -> None:
        # A maximum that is NaN is not below anything either.
        if np.abs(samples).max(initial=0.0) <= _LARGEST:
            return
        bad = ~(np.abs(samples) <= _LARGEST) & (samples != _MISSING)
        samples[bad] = _MISSING
        self.not_finite += int(bad.sum())

    def pieces_from(
        self,
        start: int,
        mix: Callable[[AudioFrame], NDArray[np.float32]],
        *,
        is_needed: Callable[[int], bool] | None = None,
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Decoded pieces at the reader's rate, from sample `start` or before it to the end.

        Parameters
        ----------
        mix : function
            Makes a frame's samples (samples,) or (samples, channels), always as many channels.
        is_needed : function of a sample, optional
            Whether a frame that ends there is mixed, or only decoded; by default all are.

        Yields
        ------
        at : int
            The sample that the piece begins with. Between two pieces nothing could be decoded.
        piece : ndarray, float32 (samples,) or (samples, channels)

        Raises
        ------
        ForwardOnly
            As `read`.
        """
        at = 0
        resampler: soxr.ResampleStream | None = None
        resampled_rate = self.rate
        for position, frame in self._frames_from(start):
            if resampler is None and frame.sample_rate == self.rate:
                at = at if position is None else position
                if is_needed is not None and not is_needed(at + frame.samples):
                    at += frame.samples
                    continue
            piece = mix(frame)
            if resampler is not None and frame.sample_rate != resampled_rate:
                rest = resampler.resample_chunk(piece[:0], last=True)
                yield at, rest
                at += len(rest)
                resampler, resampled_rate = None, self.rate
            if resampler is None and position is not None:
                at = position
            if frame.sample_rate != self.rate:
                if resampler is None:
                    resampled_rate = frame.sample_rate
                    channels = 1 if piece.ndim == 1 else piece.shape[1]
                    resampler = soxr.ResampleStream(
                        resampled_rate, self.rate, channels, dtype="float32"
                    )
                piece = resampler.resample_chunk(piece)
            yield at, piece
            at += len(piece)

    def _mix(self, frame: AudioFrame) -> Mono:
        rows, full_scale = channel_rows(frame)
        if self.channel is None:
            mono = mean_of(rows, full_scale)
        else:
            mono = mean_of([rows[min(self.channel, len(rows) - 1)]], full_scale)
        self._frames_decoded += 1
        if len(rows) > 1 and self._frames_decoded % _WEIGHED == 0:
            powers = [_power(mean_of([row], full_scale)) for row in rows]
            mix_power = _power(mono)
            if np.isfinite(mix_power + sum(powers)):
                self._add_powers(np.array(powers), mix_power)
        return mono

    def _add_powers(self, powers: NDArray[np.float64], mix_power: float) -> None:
        more = len(powers) - len(self._channel_powers)
        if more > 0:
            self._channel_powers = np.pad(self._channel_powers, (0, more))
        self._channel_powers[: len(powers)] += powers
        self._mix_power += mix_power

    def _decode(self, decode: Callable[[], Sequence[AudioFrame]]) -> Sequence[AudioFrame]:
        """Frames that decoding a packet gives; none where it is damaged."""
        try:
            return decode()
        except av.error.FFmpegError as error:
            check_damage(error, self._file.descriptor)
            self.damaged += 1
            return ()

    def _flush(self) -> list[AudioFrame]:
        return audio_stream(self._file.container).codec_context.decode(None)

    def _packets(self) -> Iterator[Packet[AudioStream]]:
        return read_packets(self._file.container, self._file.descriptor)


def _power(samples: Mono) -> float:
    return float(np.vdot(samples, samples))


class FrameReader(Reader):
    """Samples of an MPEG audio file: frames read by their offsets, no demuxer."""

    def __init__(self, file: OpenFile, frames: MpegFrames, *, channel: int | None = None) -> None:
        super().__init__(file, channel=channel)
        self._frames = frames

    @property
    def length(self) -> int:
        """Samples in all frames."""
        return self._frames.samples

    @property
    def entry_samples(self) -> int:
        """The pre-roll."""
        return _PRE_ROLL_FRAMES * self.length // len(self._frames.offsets)

    def _frames_from(self, start: int) -> Iterator[tuple[int, AudioFrame]]:
        first = max(0, self._frames.frame_at(start) - _PRE_ROLL_FRAMES)
        context = audio_stream(self._file.container).codec_context
        context.flush_buffers()
        stops = [run.first for run in self._frames.runs[1:]] + [len(self._frames.offsets)]
        for run, stop in zip(self._frames.runs, stops, strict=True):
            for number in range(max(first, run.first), stop):
                packet = self._packet(number, run.kind.sizes)
                for frame in self._decode(partial(context.decode, packet)):
                    yield self._frames.start_of(number), frame

    def _packet(self, number: int, sizes: Sequence[int]) -> Packet[AudioStream]:
        offset = self._frames.offsets[number]
        data = os.pread(self._file.descriptor, LONGEST_FRAME, offset)
        size = sizes[data[1] << 8 | data[2]]
        # Decoders read a little past the end of a packet, so the memory goes on behind it. PyAV
        # takes any buffer.
        data = data[:size] + bytes(_PADDING)
        packet = av.Packet(memoryview(data)[:size])  # type: ignore[arg-type]  # stubs name bytes only
        return cast("Packet[AudioStream]", packet)


class SeekingReader(Reader):
    """Samples of a container whose time stamps are sample numbers.

    Each seek is checked: most of the packets it lands on have to be in the table, and early
    enough. After one that is not, the stream is only decoded forward.
    """

    def __init__(self, file: OpenFile, packets: SeekTable, *, channel: int | None = None) -> None:
        super().__init__(file, channel=channel)
        self._table = packets
        codec = audio_stream(file.container).codec_context.codec
        # FFmpeg calls DTS and WavPack both lossless and lossy, as there are streams of either kind.
        stand_alone = codec.intra_only and codec.lossless and not codec.lossy
        self._pre_roll = 0 if stand_alone else int(PRE_ROLL_S * self.rate)
        self._near = 2 * self._pre_roll

    @property
    def length(self) -> int:
        """Samples in all packets."""
        return self._table.samples

    @property
    def entry_samples(self) -> int:
        """The pre-roll, and the packet or page in which it begins."""
        return self._pre_roll + self._table.step

    def _frames_from(self, start: int) -> Iterator[tuple[int, AudioFrame]]:
        frames = self._stamped_frames(start)
        if self._file.facts.codec != "vorbis":
            yield from frames
            return
        # FFmpeg stamps the packet before a change of block size a few hundred samples late. So the
        # samples are counted, from where most of the first half second's stamps say we are.
        head: list[tuple[int, int, AudioFrame]] = []
        at = 0
        for stamp, frame in frames:
            head.append((stamp, at, frame))
            at += frame.samples
            if 2 * at > self.rate:
                break
        if not head:
            return
        offsets, votes = np.unique([stamp - at for stamp, at, _ in head], return_counts=True)
        at = int(offsets[votes.argmax()])
        for stamp, frame in chain(((stamp, frame) for stamp, _, frame in head), frames):
            if abs(stamp - at) > _LATEST_STAMP:
                at = stamp
            yield at, frame
            at += frame.samples

    def _stamped_frames(self, start: int) -> Iterator[tuple[int, AudioFrame]]:
        origin = self._table.origin
        per_tick = self._table.samples_per_tick
        at: int | None = None
        first, total, damaged, unstamped = 0, 0, -1, 0
        decodes = chain((packet.decode for packet in self._packets_from(start)), [self._flush])
        for decode in decodes:
            for frame in self._decode(decode):
                if frame.sample_rate != self.rate:
                    raise ForwardOnly
                # Of several frames in a packet (ADPCM) only the first is stamped.
                if frame.pts is not None:
                    at = max(0, int((frame.pts - origin) * per_tick))
                    if damaged != self.damaged:
                        first, total, damaged = at, 0, self.damaged
                    elif abs(total - (at - first)) > self.rate + _STAMP_TOLERANCE * total:
                        raise ForwardOnly
                if at is None:
                    unstamped += frame.samples
                    if unstamped > self.rate:
                        raise ForwardOnly
                    continue
                yield at, frame
                at += frame.samples
                total += frame.samples

    def _packets_from(self, start: int) -> Iterator[Packet[AudioStream]]:
        if self._near < sys.maxsize and start > 2 * self._pre_roll:
            found = self._seek(start - self._pre_roll)
            if found is not None:
                yield from found
                return
            self._near = sys.maxsize
        self._file.reopen()
        yield from self._packets()

    def _seek(self, sample: int) -> Iterator[Packet[AudioStream]] | None:
        target = self._table.stamp_before(sample)
        stream = audio_stream(self._file.container)
        try:
            self._file.container.seek(target, stream=stream)
        except av.error.FFmpegError:
            return None
        packets = self._packets()
        head = list(islice(packets, _CHECKED_PACKETS))
        if not head or head[0].pts is None or head[0].pts > target:
            return None
        # The first packet's stamp is a guess where its length hangs on the packet before it.
        known = sum(self._table.holds(packet) for packet in head[1:])
        return chain(head, packets) if known >= len(head) // 2 else None


class ForwardReader(Reader):
    """Samples of a stream that can only be decoded from its beginning, counted as they come."""

    def __init__(self, file: OpenFile, *, channel: int | None = None) -> None:
        super().__init__(file, channel=channel)
        self._near = sys.maxsize

    @property
    def length(self) -> None:
        """Not known before all is decoded."""
        return

    @property
    def entry_samples(self) -> int:
        """None: no stream is entered."""
        return 0

    def _frames_from(self, start: int) -> Iterator[tuple[None, AudioFrame]]:  # noqa: ARG002
        for part in range(len(self._file.parts)):
            self._file.reopen(part)
            for decode in chain((packet.decode for packet in self._packets()), [self._flush]):
                for frame in self._decode(decode):
                    yield None, frame


def make_reader(file: OpenFile, *, channel: int | None = None, forward: bool = False) -> Reader:
    """The reader that fits an open file, or a `ForwardReader`."""
    if forward:
        return ForwardReader(file, channel=channel)
    if file.frames is not None:
        return FrameReader(file, file.frames, channel=channel)
    if file.packets is not None:
        return SeekingReader(file, file.packets, channel=channel)
    return ForwardReader(file, channel=channel)
