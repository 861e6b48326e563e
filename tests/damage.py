"""Random damage of files: audio files, catalogs and index files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tests import sounds

if TYPE_CHECKING:
    from pathlib import Path

PAGE = 4096
"""Bytes of a page of SQLite."""


def swap_pages(content: np.ndarray, rng: np.random.Generator) -> None:
    """Swap two pages of a file; of a small one, pieces of 64 bytes."""
    size = PAGE if len(content) > 4 * PAGE else 64
    pages = content[: len(content) // size * size].reshape(-1, size)
    first, second = rng.integers(len(pages), size=2)
    pages[[first, second]] = pages[[second, first]]


def flip_bit(content: np.ndarray, rng: np.random.Generator) -> None:
    """Flip one bit."""
    content[rng.integers(len(content))] ^= 1 << rng.integers(8)


def mutate(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """Damage of one to three kinds, half the time in the first 1,000 bytes, where headers are."""
    for kind in rng.integers(0, 7, rng.integers(1, 4)):
        end = len(data) if rng.random() < 0.5 else min(len(data), 1000)
        start, stop = sorted(int(at) for at in rng.integers(0, end, 2))
        changed = bytearray(data)
        if kind == 0:
            for at in rng.integers(0, end, rng.integers(1, 50)):
                changed[at] = rng.integers(0, 256)
        elif kind == 1:
            changed[start:stop] = bytes(stop - start)
        elif kind == 2:
            changed[start:stop] = rng.bytes(stop - start)
        elif kind == 3:
            del changed[start:stop]
        elif kind == 4:
            changed[start:start] = changed[start:stop]
        elif kind == 5:
            changed[start:stop] = other[start:stop]
        elif rng.random() < 0.5:
            changed[start : start + 4] = b"\xff" * 4
        else:
            del changed[max(stop, 20) :]
        data = bytes(changed) or data
    return data


def write_mutated(folder: Path, count: int) -> None:
    """Write so many damaged files, of every container in turn."""
    waveform = sounds.music(3.2, sample_rate=32_000)
    sources = []
    for suffix in sounds.SUFFIXES:
        path = folder / f"source{suffix}"
        sounds.write_audio(path, waveform, sample_rate=32_000, bit_rate=64_000)
        sources.append(path.read_bytes())
        path.unlink()
    for number in range(count):
        kind = number % len(sources)
        rng = np.random.default_rng((3, number))
        damaged = mutate(sources[kind], sources[(number * 7) % len(sources)], rng)
        (folder / f"{number}{sounds.SUFFIXES[kind]}").write_bytes(damaged)
