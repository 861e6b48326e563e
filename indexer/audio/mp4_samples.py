"""Samples of an MP4 file's audio track, as its tables list them (ISO/IEC 14496-12, 8.6 and 8.7).

A sample of MP4 is a packet. The tables give all of them at once, where FFmpeg's demuxer gives half
a million packets of three hours one by one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from indexer.audio.opening import FilePart

_BLOCK = 1 << 20
# Three hours of AAC have tables of 2 MB; cover art lies beside them.
_LARGEST_MOVIE = 1 << 25
_MOST_SAMPLES = _LARGEST_MOVIE // 4


@dataclass(frozen=True)
class Mp4Samples:
    """All samples of one track, in order.

    Attributes
    ----------
    offsets : ndarray, int64 (samples,)
        The byte where each begins, from the beginning of the file's part.
    sizes : ndarray, int32 (samples,)
        In bytes.
    times : ndarray, int64 (samples,)
        When each begins, in the track's time units from the first one.
    """

    offsets: NDArray[np.int64]
    sizes: NDArray[np.int32]
    times: NDArray[np.int64]

    def feed(self, descriptor: int, part: FilePart, update: Callable[[bytes], object]) -> None:
        """Call `update`, e.g. that of a hash, with the bytes of all samples, in order."""
        ends = self.offsets + self.sizes
        breaks = np.flatnonzero(self.offsets[1:] != ends[:-1]) + 1
        firsts = np.concatenate([[0], breaks])
        lasts = np.concatenate([breaks, [len(ends)]]) - 1
        for begin, end in zip(self.offsets[firsts].tolist(), ends[lasts].tolist(), strict=True):
            for at in range(begin, end, _BLOCK):
                update(os.pread(descriptor, min(_BLOCK, end - at), part.start + at))


def read_samples(descriptor: int, part: FilePart, track: int) -> Mp4Samples | None:
    """Samples of the track with an ID.

    Returns
    -------
    Mp4Samples or None
        None where tables are missing or contradict each other, as in files of fragments, or name
        bytes beyond the end of the file.
    """
    movie = _read_movie(descriptor, part)
    table = None if movie is None else _sample_table(movie, track)
    if table is None:
        return None
    sizes = _sizes(table[b"stsz"])
    chunks = (_rows(table[b"co64"], 8, 1) if b"co64" in table else _rows(table[b"stco"], 4, 1))[
        :, 0
    ]
    per_chunk = _samples_per_chunk(_rows(table[b"stsc"], 4, 3), len(chunks))
    counts, lengths = _rows(table[b"stts"], 4, 2).T
    if not len(sizes) or not len(sizes) == per_chunk.sum() == counts.sum():
        return None
    durations = np.repeat(lengths, counts)
    begins = np.cumsum(sizes) - sizes
    chunk_of = np.repeat(np.arange(len(chunks)), per_chunk)
    first_of_chunk = np.cumsum(per_chunk) - per_chunk
    offsets = chunks[chunk_of] + begins - begins[first_of_chunk][chunk_of]
    length = part.stop - part.start
    if offsets.min() < 0 or offsets.max() > length or (offsets + sizes).max() > length:
        return None
    return Mp4Samples(offsets, sizes.astype(np.int32), np.cumsum(durations) - durations)


def _read_movie(descriptor: int, part: FilePart) -> bytes | None:
    """Body of the box `moov`."""
    at = part.start
    while at + 16 <= part.stop:
        head = os.pread(descriptor, 16, at)
        size, skip = _box_size(head, part.stop - at)
        if size < skip or at + size > part.stop:
            return None
        if head[4:8] == b"moov":
            return os.pread(descriptor, size - skip, at + skip) if size < _LARGEST_MOVIE else None
        at += size
    return None


def _box_size(head: bytes, rest: int) -> tuple[int, int]:
    """Length of a box and of its header."""
    size = int.from_bytes(head[:4], "big")
    if size == 1:
        return int.from_bytes(head[8:16], "big"), 16
    return size or rest, 8


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Types and bodies of the boxes that follow one another."""
    at = 0
    while at + 8 <= len(data):
        size, skip = _box_size(data[at : at + 16], len(data) - at)
        if size < skip:
            return
        yield data[at + 4 : at + 8], data[at + skip : at + size]
        at += size


def _find(data: bytes, *path: bytes) -> bytes | None:
    for name in path:
        found = next((body for kind, body in _boxes(data) if kind == name), None)
        if found is None:
            return None
        data = found
    return data


def _sample_table(movie: bytes, track: int) -> dict[bytes, bytes] | None:
    """Bodies of the boxes in `stbl` of a track; None where one that is needed is missing."""
    for kind, body in _boxes(movie):
        header = _find(body, b"tkhd") if kind == b"trak" else None
        # Before the ID lie flags and two times, which have 8 bytes in version 1.
        at = 20 if header and header[0] else 12
        if header is None or int.from_bytes(header[at : at + 4], "big") != track:
            continue
        table = dict(_boxes(_find(body, b"mdia", b"minf", b"stbl") or b""))
        if not table.keys() >= {b"stsz", b"stsc", b"stts"} or not table.keys() & {b"stco", b"co64"}:
            return None
        return table
    return None


def _rows(body: bytes, width: int, columns: int) -> NDArray[np.int64]:
    """Table (rows, columns) of unsigned numbers behind its flags and its number of rows."""
    count = min(int.from_bytes(body[4:8], "big"), (len(body) - 8) // (width * columns))
    numbers = np.frombuffer(body[8 : 8 + max(count, 0) * width * columns], f">u{width}")
    return numbers.astype(np.int64).reshape(-1, columns)


def _sizes(body: bytes) -> NDArray[np.int64]:
    """Sizes of all samples; none where there are too many to list, as of PCM."""
    same, count = (int.from_bytes(body[at : at + 4], "big") for at in (4, 8))
    if same:
        return np.full(count if count <= _MOST_SAMPLES else 0, same, np.int64)
    return _rows(body[4:], 4, 1)[:, 0]


def _samples_per_chunk(runs: NDArray[np.int64], chunks: int) -> NDArray[np.int64]:
    """Samples in each chunk, from runs (first chunk counted from 1, samples in each); or none."""
    lengths = np.diff(np.append(runs[:, 0], chunks + 1))
    if (lengths < 0).any() or lengths.sum() != chunks or (runs[:, 1] <= 0).any():
        return np.zeros(0, np.int64)
    return np.repeat(runs[:, 1], lengths)
