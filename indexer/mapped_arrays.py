"""Immutable files of named arrays, mapped into memory and shared by every process that reads them.

A file is written once, whole or not at all, and never changed afterwards: whoever has it open keeps
what it opened when another one takes its place. It begins with a magic number, holds the bytes of
each array at a multiple of 4,096, and ends with a footer: one line of JSON that says which arrays
there are, the facts given by whoever wrote them, and a CRC-32 of each 64 kB of an array; then the
footer's own length and CRC-32.

Opening reads the footer only. An array's bytes are checked, block by block, when `require_intact`
is first told that they are to be used: a damaged block is noticed before it answers, and a file of
half a gigabyte opens in milliseconds.
"""

from __future__ import annotations

import base64
import json
import mmap
import os
import struct
import weakref
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from indexer.errors import IndexFileError
from indexer.filesystem import atomic_write, file_version, version_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

_MAGIC = b"SLKARR01"
_TAIL = struct.Struct("<QL8s")
_ALIGNED = 4_096
_BLOCK = 65_536


@dataclass(frozen=True)
class ArrayBlocks:
    """An array to be written, in blocks of rows, so that it need not fit into memory.

    Attributes
    ----------
    dtype : dtype, little-endian
    shape : tuple of int
    blocks : iterable of arrays
        Whose rows, one after the other, are the array's.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    blocks: Iterable[NDArray[Any]]


ArraySource: TypeAlias = "NDArray[Any] | ArrayBlocks"


@dataclass(frozen=True)
class _Stored:
    """Where an array lies in the file, and the CRC-32 of each of its blocks of 64 kB."""

    dtype: str
    shape: tuple[int, ...]
    offset: int
    checksums: NDArray[np.uint32]


def write_arrays(
    path: str | os.PathLike[str],
    arrays: Mapping[str, ArraySource],
    *,
    kind: str,
    facts: Mapping[str, Any],
) -> None:
    """Write a file of arrays in place of the one that is there, whole or not at all.

    Parameters
    ----------
    arrays : dict of str to array or ArrayBlocks
        Written in this order.
    kind : str
        What the file is and the version of its contents, such as "vectors 1".
    facts : dict
        What else is to be known when it is opened; JSON values.

    Raises
    ------
    IndexFileError
        It cannot be written; the file that was there is left.
    """
    target = Path(path)
    stored: dict[str, dict[str, Any]] = {}
    try:
        with atomic_write(target, draft=draft_path(target)) as file:
            file.write(_MAGIC)
            for name, source in arrays.items():
                blocks = _as_blocks(source)
                file.write(bytes(-file.tell() % _ALIGNED))
                offset = file.tell()
                checksums = _Checksums()
                for block in blocks.blocks:
                    content = _bytes(np.ascontiguousarray(block, blocks.dtype))
                    file.write(content)
                    checksums.add(content)
                if file.tell() - offset != _bytes_of(blocks.dtype, blocks.shape):
                    raise ValueError(f"the blocks of {name} do not make the shape {blocks.shape}")
                stored[name] = {
                    "dtype": blocks.dtype.str,
                    "shape": blocks.shape,
                    "offset": offset,
                    "checksums": base64.b64encode(checksums.of_blocks().tobytes()).decode(),
                }
            footer = json.dumps({"kind": kind, "facts": dict(facts), "arrays": stored}).encode()
            file.write(footer)
            file.write(_TAIL.pack(len(footer), zlib.crc32(footer), _MAGIC))
    except OSError as error:
        raise IndexFileError(
            f"{target} cannot be written ({error.strerror or error}): make room or set its "
            "permissions; nothing is lost, it is made from the catalog"
        ) from error


class MappedArrays:
    """An open file of arrays; made by `open`. Several threads may use one.

    Attributes
    ----------
    path : Path
    facts : dict
        As they were given to `write_arrays`.
    """

    def __init__(
        self,
        path: Path,
        descriptor: int,
        content: mmap.mmap,
        facts: dict[str, Any],
        stored: dict[str, _Stored],
    ) -> None:
        self.path = path
        self.facts = facts
        # Whoever holds an array holds its mapping; the descriptor goes with this object.
        self._descriptor = descriptor
        weakref.finalize(self, os.close, descriptor)
        self._content = content
        self._stored = stored
        self._checked = {
            name: np.zeros(len(one.checksums), np.bool_) for name, one in stored.items()
        }

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, kind: str) -> MappedArrays:
        """Map a file that `write_arrays` wrote; only its footer is read and checked.

        Raises
        ------
        IndexFileError
            It is missing, cannot be read, is cut short or damaged at its end, or holds something
            else than `kind`.
        """
        target = Path(path)
        try:
            with target.open("rb", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                if size < len(_MAGIC) + _TAIL.size:
                    raise IndexFileError(f"{target} is cut short: make it again from the catalog")
                content = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
                facts, stored = _read_footer(target, content, kind)
                return cls(target, os.dup(file.fileno()), content, facts, stored)
        except FileNotFoundError as error:
            raise IndexFileError(f"There is no {target}: make it from the catalog") from error
        except OSError as error:
            raise IndexFileError(
                f"{target} cannot be read ({error.strerror or error}): set its permissions, or "
                "make it again from the catalog"
            ) from error

    def __len__(self) -> int:
        """Length of the file in bytes."""
        return len(self._content)

    def __contains__(self, name: str) -> bool:
        return name in self._stored

    def array(self, name: str) -> NDArray[Any]:
        """An array as it lies in the file, read-only and unchecked; see `require_intact`."""
        one = self._stored[name]
        flat = np.frombuffer(
            self._content, np.dtype(one.dtype), int(np.prod(one.shape, dtype=np.int64)), one.offset
        )
        return flat.reshape(one.shape)

    def offset(self, name: str) -> int:
        """Where an array begins in the file, in bytes."""
        return self._stored[name].offset

    def checked(self, name: str) -> NDArray[Any]:
        """A whole array, checked.

        Raises
        ------
        IndexFileError
            It is damaged.
        """
        self.require_intact(name)
        return self.array(name)

    def require_intact(self, name: str, rows: NDArray[np.integer] | slice | None = None) -> None:
        """Check the bytes of some rows of an array, unless they were checked before.

        Parameters
        ----------
        rows : row numbers, or a slice of them; None: all.

        Raises
        ------
        IndexFileError
            They are damaged.
        """
        checked = self._checked[name]
        one = self._stored[name]
        row_bytes = _bytes_of(np.dtype(one.dtype), one.shape[1:])
        if rows is None:
            blocks = np.flatnonzero(~checked)
        elif isinstance(rows, slice):
            first, stop, _ = rows.indices(one.shape[0])
            if first >= stop:
                return
            blocks = np.arange(first * row_bytes // _BLOCK, -(-stop * row_bytes // _BLOCK))
            blocks = blocks[~checked[blocks]]
        else:
            starts = np.asarray(rows, np.int64) * row_bytes
            touched = np.concatenate([starts // _BLOCK, (starts + row_bytes - 1) // _BLOCK])
            if checked[touched].all():
                return
            blocks = np.unique(touched[~checked[touched]])
        for block in blocks.tolist():
            self._check(name, block)

    def require_all_intact(self) -> None:
        """Check every array, also what was checked before: a disk can fail afterwards.

        Raises
        ------
        IndexFileError
            One is damaged.
        """
        for name, one in self._stored.items():
            for block in range(len(one.checksums)):
                self._check(name, block)

    def is_still_at(self, path: str | os.PathLike[str]) -> bool:
        """Whether a path leads to this file and not to a successor."""
        return file_version(os.fsencode(path)) == version_of(os.fstat(self._descriptor))

    def forget_pages(self) -> None:
        """Let the system take back the memory of pages read so far; they stay in its cache."""
        self._content.madvise(mmap.MADV_DONTNEED)

    def _check(self, name: str, block: int) -> None:
        one = self._stored[name]
        start = one.offset + block * _BLOCK
        stop = min(start + _BLOCK, one.offset + _bytes_of(np.dtype(one.dtype), one.shape))
        # Read, not mapped: what is checked need not stay in this process's memory.
        found = zlib.crc32(os.pread(self._descriptor, stop - start, start))
        if found != int(one.checksums[block]):
            raise IndexFileError(
                f"{self.path} is damaged (the checksum of {name!r} is wrong): make it again from "
                "the catalog"
            )
        self._checked[name][block] = True


def draft_path(path: Path) -> Path:
    """Where a file of arrays is written before it takes its place."""
    # One name a file, not a new one each time: a killed run leaves one draft, not many.
    return path.with_name(path.name + ".draft")


class _Checksums:
    """CRC-32 of each block of 64 kB of bytes that come in pieces of any length."""

    def __init__(self) -> None:
        self._found: list[int] = []
        self._crc = 0
        self._length = 0

    def add(self, piece: memoryview) -> None:
        """Go on with a piece."""
        for part in _parts(piece, _BLOCK - self._length):
            self._crc = zlib.crc32(part, self._crc)
            self._length += len(part)
            if self._length == _BLOCK:
                self._found.append(self._crc)
                self._crc = self._length = 0

    def of_blocks(self) -> NDArray[np.uint32]:
        """The checksums, (blocks,); the last block may be shorter."""
        last = [self._crc] if self._length else []
        return np.array([*self._found, *last], dtype="<u4")


def _parts(piece: memoryview, first: int) -> Iterator[memoryview]:
    """The first bytes of a piece, then the rest in blocks of 64 kB."""
    start, stop = 0, first
    while start < len(piece):
        yield piece[start:stop]
        start, stop = stop, stop + _BLOCK


def _as_blocks(source: ArraySource) -> ArrayBlocks:
    if isinstance(source, ArrayBlocks):
        return source
    return ArrayBlocks(source.dtype.newbyteorder("<"), source.shape, (source,))


def _bytes(array: NDArray[Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _bytes_of(dtype: np.dtype[Any], shape: tuple[int, ...]) -> int:
    return dtype.itemsize * int(np.prod(shape, dtype=np.int64))


def _read_footer(
    path: Path, content: mmap.mmap, kind: str
) -> tuple[dict[str, Any], dict[str, _Stored]]:
    damaged = IndexFileError(f"{path} is damaged or cut short: make it again from the catalog")
    length, checksum, magic = _TAIL.unpack(content[-_TAIL.size :])
    start = len(content) - _TAIL.size - length
    if magic != _MAGIC or content[: len(_MAGIC)] != _MAGIC or start < len(_MAGIC):
        raise damaged
    line = content[start : start + length]
    if zlib.crc32(line) != checksum:
        raise damaged
    # What has this checksum was written here, so its fields are there.
    footer = json.loads(line)
    if footer["kind"] != kind:
        raise IndexFileError(
            f"{path} holds {footer['kind']!r}, this program reads {kind!r}: make it again from the "
            "catalog"
        )
    stored = {
        name: _Stored(
            one["dtype"],
            tuple(one["shape"]),
            one["offset"],
            np.frombuffer(base64.b64decode(one["checksums"]), dtype="<u4"),
        )
        for name, one in footer["arrays"].items()
    }
    return footer["facts"], stored
