"""Music becomes arrays: pieces of sound, log-mels, and what the teachers say about them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from training import corpus, targets
from training.files import open_chunk, read_json, save_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Prepared:
    """A prepared set, opened; the large arrays stay on disk.

    Attributes
    ----------
    tracks : list of Track
    track_of : ndarray, int64 (pieces,)
        The track each piece was cut from.
    chunks : list of Path
        Folders of arrays, originals before alterations.
    firsts : list of int
        Number of the first piece of each chunk's set: `piece` in a chunk counts from there.
    """

    tracks: list[corpus.Track]
    track_of: NDArray[np.int64]
    chunks: list[Path]
    firsts: list[int]

    def gather(self, name: str, *, altered: bool = False) -> NDArray[np.float32]:
        """One array over all chunks, in their order, in single precision."""
        parts = [open_chunk(c)[name] for c in self.chunks if altered or is_original(c)]
        return np.concatenate(parts).astype(np.float32)

    def pieces(self, *, altered: bool = False) -> NDArray[np.int64]:
        """Index of the piece behind each row that `gather` gives."""
        parts = [
            open_chunk(chunk)["piece"].astype(np.int64) + first
            for chunk, first in zip(self.chunks, self.firsts, strict=True)
            if altered or is_original(chunk)
        ]
        return np.concatenate(parts)


def is_original(chunk: Path) -> bool:
    """Whether a chunk holds the pieces as they are."""
    return chunk.name.startswith("original")


def prepare(
    tracks: list[corpus.Track],
    folder: Path,
    teachers: targets.Teachers,
    *,
    at_most: int,
    copies: int,
    seed: int,
    threads: int,
    report: Callable[[str], None],
) -> None:
    """Decode, alter, ask the teachers, store; what an earlier run has stored is kept.

    Parameters
    ----------
    tracks : list of Track
        The same as in the earlier run, or the stored pieces would belong to others.
    at_most : int
        Pieces of 30 s a track.
    copies : int
        Alterations of each piece.

    Raises
    ------
    ValueError
        `folder` was prepared from other tracks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    listed = [asdict(track) | {"path": str(track.path)} for track in tracks]
    listing = folder / "tracks.json"
    if listing.exists() and read_json(listing) != listed:
        raise ValueError(f"{folder} was prepared from other tracks: name another folder")
    save_json(listing, listed)
    sound = folder / "sound"
    corpus.store_sound(tracks, sound, at_most=at_most, threads=threads, report=report)
    sounds, track_of = [], []
    for number in range(len(tracks)):
        file = corpus.sound_file(sound, number)
        for piece in range(len(np.load(file, mmap_mode="r"))):
            sounds.append((file, piece))
            track_of.append(number)
    save_json(folder / "pieces.json", track_of)
    targets.store_targets(
        sounds,
        folder / "chunks",
        teachers,
        copies=copies,
        seed=seed,
        threads=threads,
        report=report,
    )


def open_prepared(*folders: Path) -> Prepared:
    """Open what `prepare` has stored so far, in one folder or several.

    Raises
    ------
    FileNotFoundError
        Nothing is there yet.
    """
    tracks: list[corpus.Track] = []
    track_of: list[int] = []
    found: list[tuple[Path, int]] = []
    for folder in folders:
        listing = folder / "tracks.json"
        chunks = [c for c in (folder / "chunks").glob("*-*") if not c.name.startswith(".")]
        if not listing.exists() or not chunks:
            raise FileNotFoundError(f"{folder} holds nothing to train on: run `prepare` first")
        found += [(chunk, len(track_of)) for chunk in sorted(chunks, key=lambda c: c.name)]
        track_of += [len(tracks) + track for track in read_json(folder / "pieces.json")]
        tracks += [corpus.Track(**row | {"path": Path(row["path"])}) for row in read_json(listing)]
    found.sort(key=lambda pair: not is_original(pair[0]))
    chunks, firsts = [list(column) for column in zip(*found, strict=True)]
    return Prepared(tracks, np.array(track_of, dtype=np.int64), chunks, firsts)
