"""An audio file opened: its facts, the hash of its audio, and where its packets are.

Nothing is decoded here.
"""

from __future__ import annotations

import hashlib
import math
import os
from array import array
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import av.error
import numpy as np
from av.stream import Disposition

from indexer.audio.bit_depth import bit_depth
from indexer.audio.error_translation import translate_errors
from indexer.audio.mp4_samples import read_samples
from indexer.audio.mpeg_frames import MpegFrames, scan_frames
from indexer.audio.ogg_links import find_links
from indexer.audio.ogg_pages import scan_pages
from indexer.audio.opening import (
    FilePart,
    audio_stream,
    find_audio,
    open_container,
    open_descriptor,
    read_packets,
)
from indexer.audio.seek_tables import PacketTable, PageTable, SeekTable
from indexer.audio.text_encoding import decode_text
from indexer.errors import (
    AnalysisError,
    BadSampleRate,
    Corrupt,
    NotAudio,
    TooShort,
    UnknownCodec,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

    from indexer.audio.mp4_samples import Mp4Samples
    from indexer.audio.ogg_pages import OggPages
    from indexer.audio.opening import AnyPath

PICTURE_CODECS = ("mjpeg", "png", "gif", "webp")
"""FFmpeg's names of the pictures that are shown as covers."""
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
    bit_depth : int or None
        Bits a sample as stored; None where the codec is lossy, or where it is not known.
    audio_hash : bytes
        32 bytes: BLAKE2b-256 over codec, sample rate, channels and the packets' payloads. Tags,
        cover art and the order of a container's parts do not change it.
    channel : int or None
        The one channel, from 0, that windows are of, because channels cancel out in their mean;
        None, as nearly always, where they are of the mean. Known once windows were read.
    """

    container: str
    codec: str
    sample_rate: int
    channels: int
    duration_s: float
    bit_rate: int | None
    audio_hash: bytes
    bit_depth: int | None = None
    channel: int | None = None


@dataclass
class OpenFile:
    """A file between opening and closing; made by `open_file`.

    Exactly one of `frames` and `packets` is set when the stream can be entered at any sample;
    with neither, it has to be decoded from the beginning. There are several `parts` where one
    container follows another.
    """

    name: str
    descriptor: int
    parts: tuple[FilePart, ...]
    container: InputContainer
    facts: AudioFacts
    frames: MpegFrames | None
    packets: SeekTable | None
    payload_bytes: int

    def reopen(self, part: int = 0) -> None:
        """Put a new container in place of the old one, at the beginning of a part of the file."""
        self.container.close()
        self.container = open_container(self.descriptor, self.name, self.parts[part])


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
    descriptor = open_descriptor(path, name)
    container: InputContainer | None = None
    opened: OpenFile | None = None
    try:
        with translate_errors(name, stage="open"):
            container, part = find_audio(descriptor, name)
        with translate_errors(name, stage="hash"):
            opened = _demux(name, descriptor, part, container)
        yield opened
    finally:
        if opened is not None:
            opened.container.close()
        elif container is not None:
            container.close()
        os.close(descriptor)


def read_metadata(path: AnyPath) -> tuple[dict[str, str], bool]:
    """Tags of a file as FFmpeg reads them, and whether they hold a picture that can be shown.

    The keys are FFmpeg's own, in lower case.

    Raises
    ------
    AnalysisError
        As `open_file`.
    """
    name = os.fsencode(path).decode("utf-8", "replace")
    descriptor = open_descriptor(path, name)
    try:
        with translate_errors(name, stage="tags"):
            whole = FilePart(0, os.fstat(descriptor).st_size)
            with open_container(descriptor, name, whole) as container:
                stream = container.streams.best("audio")
                both = {**(stream.metadata if stream else {}), **container.metadata}
                texts = {
                    key.lower(): decode_text(value.encode("utf-8", "surrogateescape"))
                    for key, value in both.items()
                }
                return texts, any(map(_is_cover, container.streams.video))
    finally:
        os.close(descriptor)


def _is_cover(stream: VideoStream) -> bool:
    # Without a context where FFmpeg knows no codec for it.
    codec = getattr(stream.codec_context, "name", None)
    return bool(stream.disposition & Disposition.attached_pic) and codec in PICTURE_CODECS


def _demux(name: str, descriptor: int, part: FilePart, container: InputContainer) -> OpenFile:
    codec, rate, channels = _codec_of(container, name)
    depth = bit_depth(audio_stream(container).codec_context)
    digest = hashlib.blake2b(f"{codec}\0{rate}\0{channels}\0".encode(), digest_size=32)
    parts = [part]
    frames: MpegFrames | None = None
    if container.format.name == "mp3":
        frames = scan_frames(descriptor, digest.update, start=part.start, stop=part.stop)
        if frames is None:
            raise NotAudio(f"{name!r} holds no MPEG audio frames; leave it out", stage="hash")
        rate = frames.sample_rate
        scan = _Scan(Fraction(frames.samples, rate), frames.payload_bytes, None)
    else:
        try:
            whole = _scan_whole(container, rate, digest, descriptor, part)
        except (_Contradiction, av.error.FFmpegError):
            container.close()
            container, whole = open_container(descriptor, name, part), None
        if whole is not None:
            scan, digest = whole
        elif container.format.name == "ogg" and len(links := find_links(descriptor, part)) > 1:
            parts, scan = _scan_links(links, rate, digest.update, descriptor, name)
        else:
            scan = _scan_packets(container, rate, digest.update, descriptor)
    if not scan.payload_bytes:
        raise TooShort(f"{name!r} has an audio stream without any sound in it", stage="hash")
    facts = AudioFacts(
        container=container.format.name,
        codec=codec,
        sample_rate=rate,
        channels=channels,
        duration_s=math.nan if scan.duration_s is None else float(scan.duration_s),
        bit_rate=round(scan.payload_bytes * 8 / scan.duration_s) if scan.duration_s else None,
        audio_hash=digest.digest(),
        bit_depth=depth,
    )
    return OpenFile(
        name, descriptor, tuple(parts), container, facts, frames, scan.packets, scan.payload_bytes
    )


def _codec_of(container: InputContainer, name: str) -> tuple[str, int, int]:
    """Name of the codec, sample rate in Hz, and number of channels."""
    stream = cast("AudioStream", container.streams.best("audio"))
    context = stream.codec_context
    if context is None or context.codec is None:
        message = f"{name!r} has a codec that FFmpeg cannot decode; convert it"
        raise UnknownCodec(message, stage="open")
    rate, channels = context.sample_rate, context.channels
    if rate <= 0 or channels <= 0:
        message = f"{name!r} has a damaged header (no sample rate or channels); replace it"
        raise Corrupt(message, stage="open")
    if not _LOWEST_RATE <= rate <= _HIGHEST_RATE:
        message = (
            f"{name!r} has a sample rate of {rate} Hz, and only {_LOWEST_RATE} to "
            f"{_HIGHEST_RATE} Hz are supported; convert it"
        )
        raise BadSampleRate(message, stage="open")
    return context.codec.canonical_name, rate, channels


@dataclass(frozen=True)
class _Scan:
    """Duration in seconds (None if packets do not tell), bytes of sound, and packets."""

    duration_s: Fraction | None
    payload_bytes: int
    packets: SeekTable | None


def _scan_links(
    links: Iterable[FilePart],
    rate: int,
    update: Callable[[Packet[AudioStream]], object],
    descriptor: int,
    name: str,
) -> tuple[list[FilePart], _Scan]:
    """Those links of a chained stream that can be read, and the scan of them together."""
    parts = []
    payload = 0
    for link in links:
        try:
            with open_container(descriptor, name, link) as container:
                _codec_of(container, name)
                payload += _scan_packets(container, rate, update, descriptor).payload_bytes
        except AnalysisError:
            continue  # A damaged link is stepped over, as a damaged packet is.
        parts.append(link)
    return parts, _Scan(None, payload, None)


def _scan_packets(
    container: InputContainer,
    rate: int,
    update: Callable[[Packet[AudioStream]], object],
    descriptor: int,
) -> _Scan:
    times, sizes = array("q"), array("i")
    add_time, add_size = times.append, sizes.append
    time_base = audio_stream(container).time_base or Fraction(1, rate)
    longest = int(_LONGEST_PACKET_S / time_base)
    last = payload_untimed = 0
    # Half a million packets in three hours: this loop is what a long file costs.
    for packet in read_packets(container, descriptor):
        update(packet)
        time = packet.pts
        if time is None:
            payload_untimed += packet.size
            continue
        add_time(time)
        add_size(packet.size)
        last = packet.duration or 0
        if last > longest:
            # FFmpeg lets the trimmed last packet of an Ogg file wrap below zero.
            last = 0
    payload = sum(sizes) + payload_untimed
    if payload_untimed or not times:
        return _Scan(None, payload, None)
    stamps, bytes_ = np.frombuffer(times, np.int64), np.frombuffer(sizes, np.int32)
    return _scan_of(stamps, bytes_, last, time_base, rate)


def _scan_of(
    pts: NDArray[np.int64], sizes: NDArray[np.int32], last: int, time_base: Fraction, rate: int
) -> _Scan:
    """The scan of packets by their times, their sizes and the duration of the last."""
    payload = int(sizes.sum(dtype=np.int64))
    longest = int(_LONGEST_PACKET_S / time_base)
    gaps = np.diff(pts)
    # Time stamps that jump (chained streams, damage) do not say where a packet's sound belongs.
    if not (gaps > 0).all() or (gaps > longest).any():
        return _Scan(None, payload, None)
    # What has a negative time is there for the decoder alone, and is skipped: Opus' pre-skip.
    start = int(pts[0]) if pts[-1] <= 0 else max(int(pts[0]), 0)
    duration = (int(pts[-1]) - start + last) * time_base
    # Rounded ones (Matroska and ASF count milliseconds) do not say which sample it begins with,
    # unless all packets last the same whole number of ticks.
    samples_per_tick = time_base * rate
    inner = np.unique(gaps[1:-1])
    is_exact = (samples_per_tick == 1 or len(inner) == 1) and all(
        (int(gap) * samples_per_tick).denominator == 1 for gap in inner
    )
    if not is_exact:
        return _Scan(duration, payload, None)
    # Where stamps are rounded the first one alone can be off: encoder delay is no whole tick.
    origin = int(pts[0] if samples_per_tick == 1 or not len(inner) else pts[1] - inner[0])
    samples = int((int(pts[-1]) - origin + last) * samples_per_tick)
    return _Scan(duration, payload, PacketTable(origin, samples_per_tick, samples, pts, sizes))


class _Contradiction(Exception):
    """A file's tables and what FFmpeg makes of the file are not the same."""


def _scan_whole(
    container: InputContainer, rate: int, digest: hashlib.blake2b, descriptor: int, part: FilePart
) -> tuple[_Scan, hashlib.blake2b] | None:
    """The scan of an MP4 or Ogg file by its own tables, and the digest of its sound.

    None, and nothing read from the container, where there are no such tables.

    Raises
    ------
    _Contradiction
    """
    digest = digest.copy()
    if container.format.name == "ogg":
        codec = audio_stream(container).codec_context.name
        pages = scan_pages(descriptor, part, codec, digest.update)
        return None if pages is None else (_scan_pages(container, pages, rate, descriptor), digest)
    if "mp4" not in container.format.name.split(","):
        return None
    samples = read_samples(descriptor, part, audio_stream(container).id)
    if samples is None:
        return None
    scan = _scan_samples(container, samples, rate, descriptor)
    samples.feed(descriptor, part, digest.update)
    return scan, digest


def _scan_pages(container: InputContainer, pages: OggPages, rate: int, descriptor: int) -> _Scan:
    offsets, ends = np.frombuffer(pages.offsets, np.int64), np.frombuffer(pages.ends, np.int64)
    time_base = audio_stream(container).time_base
    first = next(read_packets(container, descriptor), None)
    if (
        first is None
        or first.pts is None
        or first.pos != offsets[0]
        or time_base != Fraction(1, rate)
    ):
        raise _Contradiction
    origin, end = first.pts, int(ends[-1])
    if not origin < ends[0] or end <= 0:
        raise _Contradiction
    table = PageTable(origin, Fraction(1), end - origin, offsets, ends)
    return _Scan(Fraction(end - max(origin, 0), rate), pages.payload_bytes, table)


def _scan_samples(
    container: InputContainer, samples: Mp4Samples, rate: int, descriptor: int
) -> _Scan:
    stream = audio_stream(container)
    first = next(read_packets(container, descriptor), None)
    if first is None or first.pts is None:
        raise _Contradiction
    pts = samples.times + first.pts
    container.seek(int(pts[-1]), stream=stream)
    last = next(iter(deque(read_packets(container, descriptor), maxlen=1)), first)
    for row, packet in ((0, first), (-1, last)):
        expected = (pts[row], samples.offsets[row], samples.sizes[row])
        if (packet.pts, packet.pos, packet.size) != expected:
            raise _Contradiction
    time_base = stream.time_base or Fraction(1, rate)
    return _scan_of(pts, samples.sizes, last.duration or 0, time_base, rate)
