"""Covers: pictures in a file's tags or beside it, as they are stored and without decoding them."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from av.stream import Disposition

from indexer.audio.error_translation import translate_errors
from indexer.audio.opening import FilePart, open_container, open_descriptor
from indexer.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.container import InputContainer

    from indexer.audio.opening import AnyPath

LARGEST_PICTURE = 8 << 20
"""In bytes; larger ones are left out."""
_FOLDER_NAMES = [
    name + ending
    for stem in (b"cover", b"folder", b"front", b"album")
    for name in (stem, stem.capitalize())
    for ending in (b".jpg", b".jpeg", b".png", b".webp")
]
_FRONT = "front"


@dataclass(frozen=True)
class Picture:
    """The bytes of a picture and their media type."""

    data: bytes
    media_type: str


def read_cover(path: AnyPath) -> Picture | None:
    """The cover in a file's tags, the front one of several, else the one beside the file.

    Only JPEG, PNG, WebP and GIF of up to `LARGEST_PICTURE` bytes. Nothing is raised for a file that
    cannot be read: it has no cover.
    """
    name = os.fsencode(path)
    with suppress(AnalysisError):
        for data in _embedded_pictures(name):
            if (media_type := picture_type(data)) is not None:
                return Picture(data, media_type)
    return _folder_picture(os.path.dirname(name))


def picture_type(data: bytes) -> str | None:
    """Media type of a picture by its first bytes; None where it is of no kind that is shown."""
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "image/webp"
    return None


def _embedded_pictures(path: bytes) -> Iterator[bytes]:
    """Pictures in the tags of a file, the front cover first."""
    name = path.decode("utf-8", "replace")
    descriptor = open_descriptor(path, name)
    try:
        with translate_errors(name, stage="tags"):
            whole = FilePart(0, os.fstat(descriptor).st_size)
            with open_container(descriptor, name, whole) as container:
                yield from _attached_pictures(container)
    finally:
        os.close(descriptor)


def _attached_pictures(container: InputContainer) -> Iterator[bytes]:
    streams = [one for one in container.streams.video if one.disposition & Disposition.attached_pic]
    streams.sort(key=lambda one: _FRONT not in one.metadata.get("comment", "").lower())
    for stream in streams:
        # FFmpeg hands out attached pictures before anything else.
        container.seek(0)
        packet = next(iter(container.demux(stream)), None)
        if packet is not None and 0 < packet.size <= LARGEST_PICTURE:
            yield bytes(packet)


def _folder_picture(folder: bytes) -> Picture | None:
    for name in _FOLDER_NAMES:
        with suppress(OSError):
            data = _read_regular(os.path.join(folder, name))
            if data is not None and (media_type := picture_type(data)) is not None:
                return Picture(data, media_type)
    return None


def _read_regular(path: bytes) -> bytes | None:
    """A regular file of up to `LARGEST_PICTURE` bytes; links are not followed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST_PICTURE:
            return None
        return file.read(LARGEST_PICTURE)
