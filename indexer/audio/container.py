"""An audio file opened: its facts, the hash of its audio, and where its packets are.

Nothing is decoded here. FFmpeg is given a part of a file descriptor instead of a path: names that
are not UTF-8 open like any other, the ending of a name has no say in what the file is taken for,
tags in front and behind are not seen, and the only protocol allowed is that one descriptor, so that
a playlist or a manifest cannot make us read another file or the network.
"""

from __future__ import annotations

import hashlib
import math
import os
import stat
from array import array
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import av
import av.error
import numpy as np

from indexer.audio.error_translation import check_damage, translate_errors
from indexer.audio.extent import audio_extent
from indexer.audio.formats import CONTAINERS, is_audio_container, is_picture
from indexer.audio.mpeg_frames import MpegFrames, first_frame, scan_frames
from indexer.audio.text_encoding import decode_text
from indexer.errors import (
    BadSampleRate,
    Corrupt,
    NoAudioStream,
    NotAudio,
    TooShort,
    UnknownCodec,
    Unreadable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet
    from numpy.typing import NDArray

AnyPath = bytes | str | os.PathLike[str] | os.PathLike[bytes]

# Monkey's Audio has the longest packets, up to 7 s.
_LONGEST_PACKET_S = 10
# Recordings have 8 kHz or more, those of DSD 705.6 kHz as FFmpeg decodes them.
_LOWEST_RATE, _HIGHEST_RATE = 4000, 1_536_000


@dataclass(frozen=True)
class AudioFacts:
    """Container, codec, duration and hash of a file's audio.

    Attributes
    ----------
    container : str
        FFmpeg's name of the format, e.g. "mp3", "ogg", "mov,mp4,m4a,3gp,3g2,mj2".
    codec : str
        E.g. "mp3", "vorbis", "pcm_s16le".
    sample_rate : int
        In Hz, as stored; of most of the file where it changes inside.
    channels : int
        As stored.
    duration_s : float
        In seconds, by the packets' times; what a header claims does not count. NaN where these do
        not tell before all of the file is decoded.
    bit_rate : int or None
        Of the packets, in bit/s, the average.
    audio_hash : bytes
        32 bytes: BLAKE2b-256 over codec, sample rate, channels and the packets' payloads. Tags,
        cover art and the order of a container's parts do not change it.
    """

    container: str
    codec: str
    sample_rate: int
    channels: int
    duration_s: float
    bit_rate: int | None
    audio_hash: bytes


@dataclass(frozen=True)
class PacketTable:
    """Time stamps and sizes of FFmpeg's packets, by which a seek is checked.

    Attributes
    ----------
    pts : ndarray, int64 (packets,)
        Time stamps in the stream's time base, strictly increasing.
    sizes : ndarray, int32 (packets,)
        In bytes.
    origin : int
        The time stamp of the stream's first sample.
    samples_per_tick : Fraction
        How many samples of the file's rate one unit of the time base is.
    samples : int
        Samples of one channel in the whole stream, as the packets say.
    """

    pts: NDArray[np.int64]
    sizes: NDArray[np.int32]
    origin: int
    samples_per_tick: Fraction
    samples: int


@dataclass
class OpenFile:
    """A file between opening and closing; made by `open_file`.

    Exactly one of `frames` and `packets` is set when the stream can be entered at any sample;
    with neither, it has to be decoded from the beginning.
    """

    name: str
    descriptor: int
    part: FilePart
    container: InputContainer
    facts: AudioFacts
    frames: MpegFrames | None
    packets: PacketTable | None
    payload_bytes: int

    def reopen(self) -> None:
        """Put a new container in place of the old one, at the beginning of the file."""
        self.container.close()
        self.container = _open_container(self.descriptor, self.name, self.part)


@dataclass(frozen=True)
class FilePart:
    """The bytes of a file that FFmpeg sees, and the format it takes them for (None: it probes)."""

    start: int
    stop: int
    format: str | None = None


@contextmanager
def open_file(path: AnyPath) -> Iterator[OpenFile]:
    """Open a file and demux it once: facts, hash, packet positions.

    Raises
    ------
    Unreadable
        The operating system refuses, or it is not a regular file.
    NotAudio, NoAudioStream, UnknownCodec, BadSampleRate, Corrupt, TooShort, OutOfMemory, Unforeseen
        As their names say; the stage is "open" or "hash".
    """
    name = os.fsencode(path).decode("utf-8", "replace")
    descriptor = _open_descriptor(path, name)
    container: InputContainer | None = None
    opened: OpenFile | None = None
    try:
        with translate_errors(name, stage="open"):
            container, part = _find_audio(descriptor, name)
        with translate_errors(name, stage="hash"):
            opened = _demux(name, descriptor, part, container)
        yield opened
    finally:
        if opened is not None:
            opened.container.close()
        elif container is not None:
            container.close()
        os.close(descriptor)


def read_metadata(path: AnyPath) -> dict[str, str]:
    """Tags of a file as FFmpeg reads them: its own keys, in lower case.

    Raises
    ------
    AnalysisError
        As `open_file`.
    """
    name = os.fsencode(path).decode("utf-8", "replace")
    descriptor = _open_descriptor(path, name)
    try:
        with translate_errors(name, stage="tags"):
            whole = FilePart(0, os.fstat(descriptor).st_size)
            with _open_container(descriptor, name, whole) as container:
                stream = container.streams.best("audio")
                both = {**(stream.metadata if stream else {}), **container.metadata}
                return {
                    key.lower(): decode_text(value.encode("utf-8", "surrogateescape"))
                    for key, value in both.items()
                }
    finally:
        os.close(descriptor)


def audio_stream(container: InputContainer) -> AudioStream:
    """The audio stream of a container, set to decode in this thread and to drop no samples.

    Encoder delay and padding are kept (`skip_manual`): they are a fraction of a frame of near
    silence, and without them every packet's first sample has a number known from its time stamp.
    """
    stream = container.streams.best("audio")
    if stream is None:
        raise LookupError("no audio stream")
    stream = cast("AudioStream", stream)
    context = stream.codec_context
    if not context.is_open:
        context.thread_count = 1
        context.thread_type = "NONE"
        context.flags2 |= av.codec.context.Flags2.skip_manual
    return stream


def _open_descriptor(path: AnyPath, name: str) -> int:
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY
    try:
        # Without O_NONBLOCK the opening of a FIFO waits for a writer.
        descriptor = os.open(path, flags | os.O_NONBLOCK)
    except OSError as error:
        message = f"{name!r} cannot be opened ({error.strerror}); check the path and its rights."
        raise Unreadable(message, stage="open") from error
    except ValueError as error:
        raise Unreadable(f"{name!r} is not a path ({error}); correct it.", stage="open") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Unreadable(f"{name!r} is not a regular file; give an audio file.", stage="open")
    return descriptor


def _find_audio(descriptor: int, name: str) -> tuple[InputContainer, FilePart]:
    start, stop = audio_extent(descriptor)
    part = FilePart(start, stop)
    try:
        return _open_container(descriptor, name, part), part
    except (NotAudio, Corrupt):
        # FFmpeg looks for MPEG frames in the first MiB only.
        frame = first_frame(descriptor, start=start, stop=stop)
        if frame is None:
            raise
    part = FilePart(frame, stop, "mp3")
    return _open_container(descriptor, name, part), part


def _open_container(descriptor: int, name: str, part: FilePart) -> InputContainer:
    os.lseek(descriptor, 0, os.SEEK_SET)
    head = os.pread(descriptor, 16, part.start)
    if is_picture(head):
        message = f"{name!r} is a picture and has no sound; leave it out."
        raise NoAudioStream(message, stage="open")
    options = {"fd": str(descriptor), "protocol_whitelist": "fd,subfile"}
    try:
        container = av.open(
            f"subfile,,start,{part.start},end,{part.stop},,:fd:",
            "r",
            format=part.format,
            container_options=options | {"format_whitelist": CONTAINERS},
            # Keeps bytes that are not UTF-8: `read_metadata` finds an encoding for them.
            metadata_errors="surrogateescape",
        )
    except av.error.FFmpegError as error:
        check_damage(error, descriptor)
        if part.start or is_audio_container(head):
            message = f"{name!r} has a damaged header; replace it by a good copy."
            raise Corrupt(message, stage="open") from error
        message = f"{name!r} is in no known audio format; leave it out."
        raise NotAudio(message, stage="open") from error
    if container.streams.best("audio") is None:
        container.close()
        message = f"{name!r} has no audio stream; leave it out."
        raise NoAudioStream(message, stage="open")
    return container


def _demux(name: str, descriptor: int, part: FilePart, container: InputContainer) -> OpenFile:
    codec, rate, channels = _codec_of(container, name)
    digest = hashlib.blake2b(f"{codec}\0{rate}\0{channels}\0".encode(), digest_size=32)
    frames: MpegFrames | None = None
    packets: PacketTable | None = None
    duration: Fraction | None
    if container.format.name == "mp3":
        frames = scan_frames(descriptor, digest.update, start=part.start, stop=part.stop)
        if frames is None:
            raise NotAudio(f"{name!r} holds no MPEG audio frames; leave it out.", stage="hash")
        rate = frames.sample_rate
        duration = Fraction(frames.samples, rate)
        payload = frames.payload_bytes
    else:
        stream = audio_stream(container)
        duration, payload, packets = _scan_packets(
            container, stream, rate, digest.update, descriptor
        )
    if not payload:
        raise TooShort(f"{name!r} has an audio stream without any sound in it.", stage="hash")
    facts = AudioFacts(
        container=container.format.name,
        codec=codec,
        sample_rate=rate,
        channels=channels,
        duration_s=math.nan if duration is None else float(duration),
        bit_rate=round(payload * 8 / duration) if duration else None,
        audio_hash=digest.digest(),
    )
    return OpenFile(name, descriptor, part, container, facts, frames, packets, payload)


def _codec_of(container: InputContainer, name: str) -> tuple[str, int, int]:
    """Name of the codec, sample rate in Hz, and number of channels."""
    stream = cast("AudioStream", container.streams.best("audio"))
    context = stream.codec_context
    if context is None or context.codec is None:
        message = f"{name!r} has a codec that FFmpeg cannot decode; convert it."
        raise UnknownCodec(message, stage="open")
    rate, channels = context.sample_rate, context.channels
    if rate <= 0 or channels <= 0:
        message = f"{name!r} has a damaged header (no sample rate or channels); replace it."
        raise Corrupt(message, stage="open")
    if not _LOWEST_RATE <= rate <= _HIGHEST_RATE:
        message = (
            f"{name!r} has a sample rate of {rate} Hz, and only {_LOWEST_RATE} to "
            f"{_HIGHEST_RATE} Hz are supported; convert it."
        )
        raise BadSampleRate(message, stage="open")
    return context.codec.canonical_name, rate, channels


def _scan_packets(
    container: InputContainer,
    stream: AudioStream,
    rate: int,
    update: Callable[[Packet[AudioStream]], object],
    descriptor: int,
) -> tuple[Fraction | None, int, PacketTable | None]:
    """Duration in seconds (None if the packets do not tell), bytes of sound, and packet table."""
    times, sizes = array("q"), array("i")
    add_time, add_size = times.append, sizes.append
    time_base = stream.time_base or Fraction(1, rate)
    longest = int(_LONGEST_PACKET_S / time_base)
    last = payload_untimed = 0
    try:
        # Half a million packets in three hours: this loop is what a long file costs.
        for packet in container.demux(stream):
            size = packet.size
            if not size:
                continue
            update(packet)
            time = packet.pts
            if time is None:
                payload_untimed += size
                continue
            add_time(time)
            add_size(size)
            last = packet.duration or 0
            if last > longest:
                # FFmpeg lets the trimmed last packet of an Ogg file wrap below zero.
                last = 0
    except av.error.FFmpegError as error:
        # A file cut short: what came before it counts.
        check_damage(error, descriptor)
    payload = sum(sizes) + payload_untimed
    if payload_untimed or not times:
        return None, payload, None
    pts = np.frombuffer(times, np.int64)
    gaps = np.diff(pts)
    # Time stamps that jump (chained streams, damage) do not say where a packet's sound belongs.
    if not (gaps > 0).all() or (gaps > longest).any():
        return None, payload, None
    duration = (int(pts[-1] - pts[0]) + last) * time_base
    # Rounded ones (Matroska and ASF count milliseconds) do not say which sample it begins with,
    # unless all packets last the same whole number of ticks.
    samples_per_tick = time_base * rate
    inner = np.unique(gaps[1:-1])
    is_exact = (samples_per_tick == 1 or len(inner) == 1) and all(
        (int(gap) * samples_per_tick).denominator == 1 for gap in inner
    )
    if not is_exact:
        return duration, payload, None
    # Where stamps are rounded the first one alone can be off: encoder delay is no whole tick.
    origin = int(pts[0] if samples_per_tick == 1 or not len(inner) else pts[1] - inner[0])
    samples = int((int(pts[-1]) - origin + last) * samples_per_tick)
    table = PacketTable(pts, np.frombuffer(sizes, np.int32), origin, samples_per_tick, samples)
    return duration, payload, table
