"""Text items of APEv2 tags, at the head or the end of a file.

Source: wiki.hydrogenaud.io, "APEv2 specification". MP3, Monkey's Audio, WavPack, Musepack, TAK and
OptimFROG have them; an ID3v1 or Lyrics3 tag may follow.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, BinaryIO

from indexer.audio.text_encoding import decode_text

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAGIC = b"APETAGEX"
_IS_HEADER = 1 << 29
# Behind the tag: ID3v1 has 128 bytes, Lyrics3 seldom more than a few thousand.
_TAIL_BYTES = 32 << 10
_MAX_TAG_BYTES = 32 << 20
_MAX_VALUE_BYTES = 1 << 20


def read_apev2(file: BinaryIO) -> dict[str, list[str]]:
    """Values of the text items in a file's APEv2 tag, by key in lower case; empty without one.

    Values are as stored: neither stripped nor free of control characters.
    """
    values: dict[str, list[str]] = {}
    for key, value in _items(_tag(file)):
        values.setdefault(key.lower(), []).extend(decode_text(value).split("\0"))
    return values


def _tag(file: BinaryIO) -> bytes:
    """The items of the tag, one after the other."""
    file.seek(0)
    head = file.read(32)
    if head.startswith(_MAGIC) and len(head) == 32:
        return file.read(max(0, min(_size(head), _MAX_TAG_BYTES) - 32))
    end = file.seek(0, os.SEEK_END)
    start = max(0, end - _TAIL_BYTES)
    file.seek(start)
    tail = file.read()
    position = len(tail)
    while (position := tail.rfind(_MAGIC, 0, position)) >= 0:
        footer = tail[position : position + 32]
        if len(footer) == 32 and not _flags(footer) & _IS_HEADER:
            size = min(_size(footer), _MAX_TAG_BYTES) - 32
            begin = start + position - size
            if size > 0 and begin >= 0:
                file.seek(begin)
                return file.read(size)
    return b""


def _size(header: bytes) -> int:
    size: int = struct.unpack("<I", header[12:16])[0]
    return size


def _flags(header: bytes) -> int:
    flags: int = struct.unpack("<I", header[20:24])[0]
    return flags


def _items(tag: bytes) -> Iterator[tuple[str, bytes]]:
    position = 0
    while position + 8 < len(tag):
        size, flags = struct.unpack_from("<II", tag, position)
        end_of_key = tag.find(b"\0", position + 8)
        if end_of_key < 0:
            return
        key = tag[position + 8 : end_of_key].decode("ascii", "replace")
        value = tag[end_of_key + 1 : end_of_key + 1 + size]
        position = end_of_key + 1 + size
        if flags >> 1 & 3 == 0 and size <= _MAX_VALUE_BYTES:
            yield key, value
