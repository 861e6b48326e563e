"""An audio file opened: its facts, the hash of its audio, and where its packets are.

Nothing is decoded here. FFmpeg is given a file descriptor instead of a path: names that are not
UTF-8 open like any other, the ending of a name has no say in what the file is taken for, and the
only protocol allowed is that one descriptor, so that a playlist or a manifest cannot make us read
another file or the network.
"""

from __future__ import annotations

import errno
import hashlib
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

from indexer.audio.formats import CONTAINERS, is_audio_container, is_picture
from indexer.audio.mpeg_frames import MpegFrames, scan_frames
from indexer.errors import (
    Corrupt,
    NoAudioStream,
    NotAudio,
    OutOfMemory,
    TooShort,
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


@dataclass(frozen=True)
class AudioFacts:
    """What is known of a file's audio without decoding it.

    Attributes
    ----------
    container : str
        FFmpeg's name of the format, e.g. "mp3", "ogg", "mov,mp4,m4a,3gp,3g2,mj2".
    codec : str
        E.g. "mp3", "vorbis", "pcm_s16le".
    sample_rate : int
        In Hz, as stored.
    channels : int
        As stored.
    duration_s : float
        Of all packets, in seconds; what a header claims does not count.
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
    """Where FFmpeg's packets are: the measure by which a seek is judged.

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
    container: InputContainer
    facts: AudioFacts
    frames: MpegFrames | None
    packets: PacketTable | None

    def reopen(self) -> None:
        """Put a new container in place of the old one, at the beginning of the file."""
        self.container.close()
        self.container = _open_container(self.descriptor, self.name)


@contextmanager
def open_file(path: AnyPath) -> Iterator[OpenFile]:
    """Open a file and demux it once: facts, hash, packet positions.

    Raises
    ------
    Unreadable
        The operating system refuses, or it is not a regular file.
    NotAudio, NoAudioStream, Corrupt, TooShort, OutOfMemory
        As their names say; the stage is "open" or "demux".
    """
    name = os.fsencode(path).decode("utf-8", "replace")
    descriptor = _open_descriptor(path, name)
    container: InputContainer | None = None
    opened: OpenFile | None = None
    try:
        with translate_errors(name, stage="open"):
            container = _open_container(descriptor, name)
        with translate_errors(name, stage="demux"):
            opened = _demux(name, descriptor, container)
        yield opened
    finally:
        if opened is not None:
            opened.container.close()
        elif container is not None:
            container.close()
        os.close(descriptor)


def read_metadata(path: AnyPath) -> dict[str, str]:
    """FFmpeg's view of a file's tags: its own keys, in lower case.

    Raises
    ------
    Unreadable, NotAudio, NoAudioStream, Corrupt, OutOfMemory
        As `open_file`.
    """
    name = os.fsencode(path).decode("utf-8", "replace")
    descriptor = _open_descriptor(path, name)
    try:
        with translate_errors(name, stage="open"), _open_container(descriptor, name) as container:
            stream = container.streams.best("audio")
            both = {**(stream.metadata if stream else {}), **container.metadata}
            return {key.lower(): value for key, value in both.items()}
    finally:
        os.close(descriptor)


@contextmanager
def translate_errors(name: str, *, stage: str) -> Iterator[None]:
    """Turn what FFmpeg and the operating system raise into the errors of this project."""
    try:
        yield
    except MemoryError as error:
        message = f"{name!r} asks for more memory than a worker may have; leave it out."
        raise OutOfMemory(message, stage=stage) from error
    except av.error.FFmpegError as error:
        if error.errno == errno.EIO:
            message = f"{name!r} cannot be read to its end; check the disk or the share."
            raise Unreadable(message, stage=stage) from error
        message = f"{name!r} is damaged ({error.strerror}); replace it by a good copy."
        raise Corrupt(message, stage=stage) from error
    except OSError as error:
        message = f"{name!r} cannot be read ({error.strerror}); check the disk or the share."
        raise Unreadable(message, stage=stage) from error


def audio_stream(container: InputContainer) -> AudioStream:
    """The stream that is listened to, set to decode in this thread and to drop no samples.

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


def _open_container(descriptor: int, name: str) -> InputContainer:
    os.lseek(descriptor, 0, os.SEEK_SET)
    options = {"fd": str(descriptor), "protocol_whitelist": "fd", "format_whitelist": CONTAINERS}
    head = os.pread(descriptor, 16, 0)
    if is_picture(head):
        message = f"{name!r} is a picture and has no sound; leave it out."
        raise NoAudioStream(message, stage="open")
    try:
        container = av.open("fd:", "r", container_options=options, metadata_errors="replace")
    except (av.error.InvalidDataError, av.error.ArgumentError, EOFError) as error:
        if is_audio_container(head):
            message = f"{name!r} has a damaged header; replace it by a good copy."
            raise Corrupt(message, stage="open") from error
        message = f"{name!r} is in no known audio format; leave it out."
        raise NotAudio(message, stage="open") from error
    if container.streams.best("audio") is None:
        container.close()
        message = f"{name!r} has no audio stream; leave it out."
        raise NoAudioStream(message, stage="open")
    return container


def _demux(name: str, descriptor: int, container: InputContainer) -> OpenFile:
    stream = audio_stream(container)
    context = stream.codec_context
    if context is None or context.codec is None:
        raise Corrupt(f"{name!r} has a codec that FFmpeg does not know.", stage="demux")
    codec, rate, channels = context.codec.canonical_name, context.sample_rate, context.channels
    if rate <= 0 or channels <= 0:
        message = f"{name!r} has a damaged header (no sample rate or channels); replace it."
        raise Corrupt(message, stage="demux")
    digest = hashlib.blake2b(f"{codec}\0{rate}\0{channels}\0".encode(), digest_size=32)

    frames: MpegFrames | None = None
    packets: PacketTable | None = None
    if container.format.name == "mp3":
        frames = scan_frames(descriptor, digest.update)
        if frames is None:
            raise NotAudio(f"{name!r} holds no MPEG audio frames; leave it out.", stage="demux")
        rate = frames.kind.sample_rate
        duration = Fraction(len(frames.offsets) * frames.kind.samples, rate)
        payload = frames.payload_bytes
    else:
        duration, payload, packets = _scan_packets(container, stream, rate, digest.update)
    if not payload:
        raise TooShort(f"{name!r} has an audio stream without any sound in it.", stage="demux")
    facts = AudioFacts(
        container=container.format.name,
        codec=codec,
        sample_rate=rate,
        channels=channels,
        duration_s=float(duration),
        bit_rate=round(payload * 8 / duration) if duration else None,
        audio_hash=digest.digest(),
    )
    return OpenFile(name, descriptor, container, facts, frames, packets)


def _scan_packets(
    container: InputContainer,
    stream: AudioStream,
    rate: int,
    update: Callable[[Packet[AudioStream]], object],
) -> tuple[Fraction, int, PacketTable | None]:
    times, sizes = array("q"), array("i")
    add_time, add_size = times.append, sizes.append
    time_base = stream.time_base or Fraction(1, rate)
    longest = int(_LONGEST_PACKET_S / time_base)
    ticks = last = untimed = 0
    try:
        # Half a million packets in three hours: this loop is what a long file costs.
        for packet in container.demux(stream):
            size = packet.size
            if not size:
                continue
            update(packet)
            time = packet.pts
            if time is None:
                untimed += 1
                continue
            add_time(time)
            add_size(size)
            last = packet.duration or 0
            if last > longest:
                # FFmpeg lets the trimmed last packet of an Ogg file wrap below zero.
                last = 0
            ticks += last
    except av.error.InvalidDataError:
        # A file cut short: what came before it counts.
        pass
    payload = sum(sizes)
    if not times:
        return Fraction(stream.duration or 0) * time_base, untimed, None
    pts = np.frombuffer(times, np.int64)
    gaps = np.diff(pts)
    # Time stamps that jump (chained streams, damage) do not say where a packet's sound belongs.
    is_steady = not untimed and bool((gaps > 0).all()) and not (gaps > longest).any()
    duration = (int(pts[-1] - pts[0]) + last if is_steady else ticks) * time_base
    # Rounded ones (Matroska and ASF count milliseconds) do not say which sample it begins with,
    # unless all packets last the same whole number of ticks.
    samples_per_tick = time_base * rate
    inner = np.unique(gaps[1:-1])
    is_exact = (samples_per_tick == 1 or len(inner) <= 1) and all(
        (int(gap) * samples_per_tick).denominator == 1 for gap in inner
    )
    if not (is_steady and is_exact):
        return duration, payload, None
    # Where stamps are rounded the first one alone can be off: encoder delay is no whole tick.
    origin = int(pts[0] if samples_per_tick == 1 or not len(inner) else pts[1] - inner[0])
    samples = int((int(pts[-1]) - origin + last) * samples_per_tick)
    table = PacketTable(pts, np.frombuffer(sizes, np.int32), origin, samples_per_tick, samples)
    return duration, payload, table
