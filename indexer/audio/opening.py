"""An audio file opened with FFmpeg: a descriptor, the part that is no tags, a container.

FFmpeg is given a part of a file descriptor instead of a path: names that are not UTF-8 open like
any other, the ending of a name has no say in what the file is taken for, tags in front and behind
are not seen, and the only protocol allowed is that one descriptor, so that a playlist or a manifest
cannot make us read another file or the network.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import av
import av.error

from indexer.audio.error_translation import check_damage
from indexer.audio.extent import audio_extent
from indexer.audio.formats import CONTAINERS, is_audio_container, is_picture
from indexer.audio.mpeg_frames import first_frame, is_free_format
from indexer.errors import Corrupt, NoAudioStream, NotAudio, UnknownCodec, Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet

# So many errors without a packet between them are the end of a file that is cut short.
_FAILURES_AT_END = 8

AnyPath = bytes | str | os.PathLike[str] | os.PathLike[bytes]


@dataclass(frozen=True)
class FilePart:
    """The bytes of a file that FFmpeg sees, and the format it takes them for (None: it probes)."""

    start: int
    stop: int
    format: str | None = None


def open_descriptor(path: AnyPath, name: str) -> int:
    """Open a regular file for reading; `name` is how messages call it.

    Raises
    ------
    Unreadable
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY
    try:
        # Without O_NONBLOCK the opening of a FIFO waits for a writer.
        descriptor = os.open(path, flags | os.O_NONBLOCK)
    except OSError as error:
        message = f"{name!r} cannot be opened ({error.strerror}); check the path and its rights"
        raise Unreadable(message, stage="open") from error
    except ValueError as error:
        raise Unreadable(f"{name!r} is not a path ({error}); correct it", stage="open") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Unreadable(f"{name!r} is not a regular file; give an audio file", stage="open")
    return descriptor


def find_audio(descriptor: int, name: str) -> tuple[InputContainer, FilePart]:
    """Open the container in a file, and the part of the file that it is.

    Raises
    ------
    NotAudio, NoAudioStream, UnknownCodec, Corrupt
    """
    start, stop = audio_extent(descriptor)
    part = FilePart(start, stop)
    try:
        return open_container(descriptor, name, part), part
    except (NotAudio, Corrupt):
        # FFmpeg looks for MPEG frames in the first MiB only.
        frame = first_frame(descriptor, start=start, stop=stop)
        if frame is None and is_free_format(descriptor, start=start, stop=stop):
            message = f"{name!r} is MPEG audio of free format, which FFmpeg lacks; convert it"
            raise UnknownCodec(message, stage="open") from None
        if frame is None:
            raise
    part = FilePart(frame, stop, "mp3")
    return open_container(descriptor, name, part), part


def open_container(descriptor: int, name: str, part: FilePart) -> InputContainer:
    """Open a part of a file as FFmpeg does.

    Raises
    ------
    NotAudio, NoAudioStream, Corrupt
    """
    os.lseek(descriptor, 0, os.SEEK_SET)
    head = os.pread(descriptor, 16, part.start)
    if is_picture(head):
        message = f"{name!r} is a picture and has no sound; leave it out"
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
            message = f"{name!r} has a damaged header; replace it by a good copy"
            raise Corrupt(message, stage="open") from error
        message = f"{name!r} is in no known audio format; leave it out"
        raise NotAudio(message, stage="open") from error
    if container.streams.best("audio") is None:
        container.close()
        message = f"{name!r} has no audio stream; leave it out"
        raise NoAudioStream(message, stage="open")
    return container


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


def read_packets(container: InputContainer, descriptor: int) -> Iterator[Packet[AudioStream]]:
    """The packets of a container's audio stream, up to its end or where it is cut short.

    Damage between them is stepped over, and so are empty ones, which end the decoding if decoded.

    Raises
    ------
    MemoryError, OSError
    """
    failures = 0
    while failures < _FAILURES_AT_END:
        try:
            for packet in container.demux(audio_stream(container)):
                if packet.size:
                    failures = 0
                    yield packet
        except av.error.FFmpegError as error:
            check_damage(error, descriptor)
            failures += 1
        else:
            return
