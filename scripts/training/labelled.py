"""A labelled collection for genre training: songs, their classes, who made them, their log-mels."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from indexer.audio import open_track
from indexer.errors import AnalysisError
from indexer.melspectrogram import FrontEnd, log_mel
from indexer.tags import read_tags
from training.corpus import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Song:
    """A file with its class; `artist` "" is an artist of its own."""

    path: Path
    genre: str
    artist: str


def from_folders(folder: Path) -> list[Song]:
    """GTZAN's layout: one folder a class."""
    return [
        Song(path, path.parent.name, read_tags(os.fsencode(path)).artist or "")
        for path in _files(folder)
    ]


def from_tags(folder: Path) -> list[Song]:
    """The genre that each file names; those that name none are left out."""
    songs = []
    for path in _files(folder):
        tags = read_tags(os.fsencode(path))
        if tags.genre:
            songs.append(Song(path, tags.genre, tags.artist or ""))
    return songs


def from_table(table: Path, folder: Path, *, where: tuple[tuple[str, str], ...] = ()) -> list[Song]:
    """A CSV with columns path, genre and, if it has it, artist (as FMA's, written flat).

    Parameters
    ----------
    folder : Path
        What the paths are relative to.
    where : pairs of column and value
        Rows to take.
    """
    with table.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if all(row[k] == v for k, v in where)]
    return [Song(folder / r["path"], r["genre"], r.get("artist", "")) for r in rows if r["genre"]]


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)


def hear(
    songs: list[Song], *, windows: int, report: Callable[[str], None]
) -> tuple[list[Song], NDArray[np.float16]]:
    """Log-mels of the songs that can be heard.

    Returns
    -------
    songs : list of Song
    log_mels : ndarray, float16 (songs, windows, frames, bands)
        Where a song has fewer windows they are repeated.
    """
    front_end = FrontEnd()
    kept, heard = [], []
    for song in songs:
        try:
            with open_track(os.fsencode(song.path)) as track:
                sound = track.windows(windows).waveforms
        except AnalysisError as error:
            report(f"{song.path.name} is left out: {error}")
            continue
        mel = log_mel(torch.from_numpy(sound), front_end=front_end)[:, : front_end.window_frames]
        kept.append(song)
        heard.append(mel.half().numpy()[np.arange(windows) % len(mel)])
    return kept, np.stack(heard)


def folds_by_artist(songs: list[Song], *, folds: int, seed: int) -> NDArray[np.int64]:
    """Fold of each song: an artist is in one only, classes as even as artists allow.

    Artists are dealt out one class after the other, those with most songs first, each to the fold
    that has fewest songs of that class.
    """
    rng = np.random.default_rng(seed)
    owners = [song.artist or str(song.path) for song in songs]
    fold_of: dict[str, int] = {}
    for genre in sorted({song.genre for song in songs}):
        counts = np.zeros(folds)
        mine = [o for o, song in zip(owners, songs, strict=True) if song.genre == genre]
        artists = sorted(set(mine))
        rng.shuffle(artists)
        for artist in sorted(artists, key=mine.count, reverse=True):
            fold = fold_of.setdefault(artist, int(counts.argmin()))
            counts[fold] += mine.count(artist)
    return np.array([fold_of[owner] for owner in owners], dtype=np.int64)
