"""The music to train and measure on: which tracks there are, and their sound in pieces of 30 s.

Tracks come from tables (`debian_tracks.csv`, `clips.csv`: see their README) or from any folder.
Works under a licence that forbids derivatives (ND) are left out of what is trained on.
"""

from __future__ import annotations

import csv
import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.audio.reading import open_track
from indexer.audio.tags import read_tags
from indexer.errors import AnalysisError
from training.files import save_array

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

RATE = 32_000
"""Hz of the stored sound: what the widest of the teachers hears."""
PIECE_S = 30
PIECE_SAMPLES = PIECE_S * RATE
SUFFIXES = frozenset({".mp3", ".ogg", ".opus", ".flac", ".wav", ".m4a", ".aac", ".wma", ".oga"})

_NO_DERIVATIVES = re.compile(r"\bnd\b", re.IGNORECASE)


@dataclass(frozen=True)
class Track:
    """A file of music and what is known about it; unknown things are empty.

    Attributes
    ----------
    path : Path
    seconds : float
        Length as the table says, 0 where it does not.
    artist, genre, group, source : str
        `group` is the album or soundtrack, `source` the collection.
    """

    path: Path
    seconds: float
    artist: str
    genre: str
    group: str
    source: str


def read_tables(music: Path, corpus: Path | None, *, split: str) -> list[Track]:
    """Tracks of one split out of the tables in `music`, in the tables' order.

    Parameters
    ----------
    music : Path
        Folder with `clips.csv` and the clips, and `debian_tracks.csv`.
    corpus : Path or None
        Folder with the tracks of `debian_tracks.csv`; None leaves them out.
    split : str
        "train" or "eval". For "train", works that allow no derivatives are left out.
    """
    tracks = []
    for row in _rows(music / "clips.csv"):
        barred = split == "train" and _NO_DERIVATIVES.search(row["licence"])
        if row["split"] == split and not barred:
            tracks.append(_track(music / row["path"], row, source=row["group"]))
    if corpus is not None:
        tracks.extend(
            _track(corpus / row["path"], row, source="debian")
            for row in _rows(music / "debian_tracks.csv")
            if row["split"] == split
        )
    return tracks


def read_folder(folder: Path) -> list[Track]:
    """Tracks of any folder: artist, album and genre as the files say, else the folder's name."""
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    tracks = []
    for path in paths:
        tags = read_tags(os.fsencode(path))
        group = tags.album or path.parent.name
        tracks.append(
            Track(path, 0.0, tags.artist or "", tags.genre or "", group, source=folder.name)
        )
    return tracks


def _rows(table: Path) -> Iterable[dict[str, str]]:
    with table.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _track(path: Path, row: dict[str, str], *, source: str) -> Track:
    # The name of a collection is not an album: its songs need not be alike.
    group = row["group"] if source == "debian" else ""
    return Track(path, float(row["seconds"]), row["artist"], row["genre"], group, source)


def pieces_wanted(track: Track, *, at_most: int) -> int:
    """How many pieces of a track are kept: one a minute, at least one."""
    return int(np.clip(round(track.seconds / 60), 1, at_most))


def store_sound(
    tracks: list[Track],
    folder: Path,
    *,
    at_most: int,
    threads: int,
    report: Callable[[str], None],
) -> None:
    """Decode pieces of all tracks to `folder`, one array a track; those already there are kept.

    Each file `00012.npy` is int16 (pieces, PIECE_SAMPLES), mono; a track without usable sound
    has no pieces.
    """
    folder.mkdir(parents=True, exist_ok=True)

    def store(number: int) -> None:
        path = sound_file(folder, number)
        if not path.exists():
            sound = _decode(tracks[number], at_most, report)
            save_array(path, to_int16(sound))

    with ThreadPoolExecutor(threads) as pool:
        for number, _ in enumerate(pool.map(store, range(len(tracks))), start=1):
            if number % 50 == 0 or number == len(tracks):
                report(f"decoded {number} of {len(tracks)} tracks")


def sound_file(folder: Path, number: int) -> Path:
    """Where `store_sound` keeps the pieces of a track."""
    return folder / f"{number:05d}.npy"


def _decode(track: Track, at_most: int, report: Callable[[str], None]) -> NDArray[np.float32]:
    try:
        with open_track(os.fsencode(track.path), sample_rates=(RATE,), window_s=PIECE_S) as opened:
            return opened.windows(pieces_wanted(track, at_most=at_most)).waveforms[RATE]
    except AnalysisError as error:
        report(f"{track.path.name} is left out: {error}")
        return np.empty((0, PIECE_SAMPLES), np.float32)


def to_int16(sound: NDArray[np.float32]) -> NDArray[np.int16]:
    """Samples from -1 to 1 as 16-bit numbers; what is louder is clipped."""
    return np.round(np.clip(sound, -1.0, 1.0) * 32767).astype(np.int16)
