"""A made-up library: vectors with the clusters, hubs and duplicates of real ones, and tags.

A vector is the sum of a mean that all share, a style, an artist, an album and a track of its own,
each normal with variances that fall with the component, in a basis turned at random; an artist's
share of it is longer or shorter by a factor of its own, so that some stand near the middle and are
hubs. Constants are fitted, by the figures of `benchmarks.shape`, to the default model's embeddings
of 899 excerpts of real music of all genres by 469 artists; `tests/scripts/test_made_up.py` holds
those figures and how near the made-up ones are. One constant is not: a real library has more copies
than those excerpts, which were chosen to be different (1 % have a near-duplicate).

Artists have as many tracks as a power law says, 21 on average (22 in the Million Song Dataset,
Bertin-Mahieux et al., ISMIR 2011), albums ten; styles and the genres of a style are of falling
sizes. Tracks are in the order of their paths, artist by artist, as a scan finds them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from indexer.vectors.half_precision import to_half

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.random import Generator
    from numpy.typing import NDArray

STYLES = 40
GENRES_OF_STYLE = 6

_MEAN = 0.96
"""Length of the mean."""
_STYLE, _ARTIST, _ALBUM, _TRACK = (0.67, 0.28), (0.2, 0.45), (0.35, 0.7), (0.74, 0.7)
"""Length of what styles, artists, albums and tracks add, and how their components' lengths fall."""
_REMOTENESS = 0.34
"""Standard deviation of the logarithm of the factor of an artist."""
_COPIES, _SAME_RECORDING = 0.03, 0.3
"""Share of tracks that are another encoding or cut of one before; share of these that are the same
recording in two files."""
_COPY_NOISE = 0.1
"""Length of what a copy's encoding adds: a cosine of 0.995 with the original."""
_ARTIST_EXPONENT, _LARGEST_ARTIST, _TRACKS_OF_ALBUM = 1.4, 400, 10
_BLOCK = 50_000


@dataclass(frozen=True)
class MadeUp:
    """A library of n tracks.

    Attributes
    ----------
    vectors : float16 (n, dim)
        Unit length, as stored.
    style, artist, album : int32 (n,)
        Numbers; albums are numbered through the whole library.
    genre : int32 (n,)
        Number of the first genre, below `STYLES * GENRES_OF_STYLE`; genres of style s begin at
        `s * GENRES_OF_STYLE`.
    original : int64 (n,)
        Row of which a track is a copy; its own row for most.
    same_recording : bool (n,)
        Whether it is the very recording of its original.
    """

    vectors: NDArray[np.float16]
    style: NDArray[np.int32]
    artist: NDArray[np.int32]
    album: NDArray[np.int32]
    genre: NDArray[np.int32]
    original: NDArray[np.int64]
    same_recording: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.vectors)

    def save(self, folder: Path) -> None:
        """Write each array to a file of a new folder."""
        folder.mkdir(parents=True)
        for field in fields(self):
            np.save(folder / f"{field.name}.npy", getattr(self, field.name))

    @classmethod
    def load(cls, folder: Path) -> MadeUp:
        """A saved library; its arrays stay in their files until they are read."""
        names = [field.name for field in fields(cls)]
        return cls(**{name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in names})


def made_up(count: int, *, dim: int, seed: int) -> MadeUp:
    """Make up a library of `count` tracks; the same for the same arguments."""
    rng = np.random.default_rng([seed, count])
    artist, album = _owners(count, rng)
    style_of_artist = _skewed(STYLES, artist.max(initial=-1) + 1, rng)
    style = style_of_artist[artist]
    basis = np.linalg.qr(rng.standard_normal((dim, dim)))[0].astype(np.float32)
    styles = _drawn(STYLES, dim, _STYLE, rng)
    artists = styles[style_of_artist] + _drawn(len(style_of_artist), dim, _ARTIST, rng)
    artists *= rng.lognormal(0.0, _REMOTENESS, (len(artists), 1)).astype(np.float32)
    albums = _drawn(album.max(initial=-1) + 1, dim, _ALBUM, rng)
    middle = np.zeros(dim, np.float32)
    middle[-1] = _MEAN
    vectors = np.empty((count, dim), np.float16)
    for start in range(0, count, _BLOCK):
        rows = slice(start, min(start + _BLOCK, count))
        block = middle + artists[artist[rows]] + albums[album[rows]]
        block += _drawn(len(block), dim, _TRACK, rng)
        vectors[rows] = to_half(block @ basis)
    original = np.arange(count)
    # The first has none before it, and the last one has the highest recording.
    copies = 1 + np.flatnonzero(rng.random(max(0, count - 2)) < _COPIES)
    original[copies] = rng.integers(0, copies)
    # The original of a copy is no copy.
    original[copies] = original[original[copies]]
    original[copies] = np.where(original[original] == original, original, np.arange(count))[copies]
    same_recording = (original != np.arange(count)) & (rng.random(count) < _SAME_RECORDING)
    noise = _drawn(len(copies), dim, (_COPY_NOISE, 0.0), rng)
    noise[same_recording[copies]] = 0.0
    vectors[copies] = to_half(vectors[original[copies]].astype(np.float32) + noise)
    genre = style * GENRES_OF_STYLE + _skewed(GENRES_OF_STYLE, count, rng)
    for column in (artist, style, genre):
        column[copies] = column[original[copies]]
    return MadeUp(vectors, style, artist, album, genre.astype(np.int32), original, same_recording)


def _owners(count: int, rng: Generator) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Artist and album of each track, (count,) each, both ascending."""
    sizes = np.arange(1, _LARGEST_ARTIST + 1)
    likely = sizes**-_ARTIST_EXPONENT
    drawn = rng.choice(sizes, count, p=likely / likely.sum())
    artist = np.repeat(np.arange(count, dtype=np.int32), drawn)[:count]
    begins = rng.random(count) < 1 / _TRACKS_OF_ALBUM
    begins[1:] |= artist[1:] != artist[:-1]
    begins[:1] = False
    return artist, np.cumsum(begins, dtype=np.int32)


def _skewed(kinds: int, count: int, rng: Generator) -> NDArray[np.int32]:
    """Numbers (count,) below `kinds`, the first one the most frequent (Zipf)."""
    likely = 1 / np.arange(1, kinds + 1)
    return rng.choice(kinds, count, p=likely / likely.sum()).astype(np.int32)


def _drawn(count: int, dim: int, form: tuple[float, float], rng: Generator) -> NDArray[np.float32]:
    """Normal vectors (count, dim) of a mean length, whose components fall by a power."""
    length, falling = form
    scales = np.arange(1, dim + 1) ** -falling
    scales *= length / np.linalg.norm(scales)
    return rng.standard_normal((count, dim), np.float32) * scales.astype(np.float32)
