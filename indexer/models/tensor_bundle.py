"""TensorFlow's checkpoint format (tensor bundle V2), read without TensorFlow.

A bundle is two files. `.index` is a table in LevelDB's format (its `doc/table_format.md`): sorted
keys in blocks, each key stored without the prefix it shares with the one before, each block
followed by its compression (here always none) and a masked CRC-32C. The value of a tensor's name is
a protocol-buffer message `BundleEntryProto` (TensorFlow, `tensor_bundle.proto`) that says type,
shape, offset and length. `.data-00000-of-00001` is the numbers, little-endian, one after another.
"""

from __future__ import annotations

import functools
import math
import struct
from typing import TYPE_CHECKING

import numpy as np

from indexer.errors import ModelCorrupt

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

_MAGIC = 0xDB4775248B80FB57
_FOOTER_BYTES = 48
_TRAILER_BYTES = 5  # compression, CRC-32C
_DT_FLOAT = 1


def read_tensor_bundle(index: bytes, data: bytes) -> dict[str, npt.NDArray[np.float32]]:
    """Tensors of type float32 in a bundle of one shard; those of other types are left out.

    Parameters
    ----------
    index : bytes
        Contents of the `.index` file.
    data : bytes
        Contents of the `.data-00000-of-00001` file.

    Returns
    -------
    dict of str to ndarray
        By variable name, in the layout TensorFlow gave them, read-only.

    Raises
    ------
    ModelCorrupt
        The index is damaged or not in this format, or the data is too short for it.
    """
    tensors = {}
    try:
        for key, value in _table(index):
            if not key:
                continue  # the bundle's header: number of shards, byte order
            entry = _message(value)
            if entry.get(1) == _DT_FLOAT:
                tensors[key.decode()] = _tensor(entry, data)
    except (IndexError, KeyError, TypeError, ValueError, struct.error) as error:
        raise ModelCorrupt(f"the tensor bundle's index cannot be read ({error})") from error
    return tensors


def _table(table: bytes) -> Iterator[tuple[bytes, bytes]]:
    footer = table[-_FOOTER_BYTES:]
    if len(footer) < _FOOTER_BYTES or struct.unpack("<Q", footer[-8:])[0] != _MAGIC:
        raise ValueError("it does not end like a table")
    position = 0
    for _ in range(2):  # offset and size of the meta index, which is empty here
        _, position = _varint(footer, position)
    for _, handle in _block(table, *_handle(footer, position)):
        yield from _block(table, *_handle(handle, 0))


def _handle(buffer: bytes, position: int) -> tuple[int, int]:
    offset, position = _varint(buffer, position)
    size, _ = _varint(buffer, position)
    return offset, size


def _block(table: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    content = table[offset : offset + size]
    trailer = table[offset + size : offset + size + _TRAILER_BYTES]
    compression, checksum = struct.unpack("<BI", trailer)
    if checksum != _masked_crc32c(content + trailer[:1]):
        raise ValueError(f"the block at byte {offset} is damaged")
    if compression:
        raise ValueError("its blocks are compressed")
    restarts = struct.unpack("<I", content[-4:])[0]
    end = len(content) - 4 * (restarts + 1)
    position, key = 0, b""
    while position < end:
        shared, position = _varint(content, position)
        unshared, position = _varint(content, position)
        length, position = _varint(content, position)
        key = key[:shared] + content[position : position + unshared]
        position += unshared
        yield key, content[position : position + length]
        position += length


def _tensor(entry: dict[int, int | bytes], data: bytes) -> npt.NDArray[np.float32]:
    shape = tuple(_dimensions(entry.get(2, b"")))
    offset, size = entry.get(4, 0), entry[5]
    if not isinstance(offset, int) or size != 4 * math.prod(shape):
        raise ValueError("a tensor's length does not fit its shape")
    if offset + size > len(data):
        raise ModelCorrupt(
            f"the tensor bundle's data is cut short: {len(data)} bytes, {offset + size} expected"
        )
    return np.frombuffer(data, "<f4", math.prod(shape), offset).reshape(shape)


def _dimensions(shape: int | bytes) -> Iterator[int]:
    """Sizes out of a `TensorShapeProto`: field 2, repeated, each with its size in field 1."""
    if not isinstance(shape, bytes):
        raise TypeError("a shape is not a message")
    for number, dimension in _fields(shape):
        if number == 2 and isinstance(dimension, bytes):
            size = _message(dimension).get(1, 0)
            if isinstance(size, int):
                yield size


def _message(buffer: bytes) -> dict[int, int | bytes]:
    return dict(_fields(buffer))


def _fields(buffer: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Fields of a protocol-buffer message: (number, value)."""
    position = 0
    while position < len(buffer):
        tag, position = _varint(buffer, position)
        value: int | bytes
        match tag & 7:
            case 0:
                value, position = _varint(buffer, position)
            case 2:
                length, position = _varint(buffer, position)
                value, position = buffer[position : position + length], position + length
            case 5:
                value, position = struct.unpack_from("<I", buffer, position)[0], position + 4
            case other:
                raise ValueError(f"unknown wire type {other}")
        yield tag >> 3, value


def _varint(buffer: bytes, position: int) -> tuple[int, int]:
    """Little-endian base 128, and the position after it."""
    value = shift = 0
    while True:
        byte = buffer[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


@functools.cache
def _crc32c_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


def _masked_crc32c(content: bytes) -> int:
    """LevelDB's CRC-32C (Castagnoli), rotated and shifted as it stores it."""
    crc, table = 0xFFFFFFFF, _crc32c_table()
    for byte in content:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
