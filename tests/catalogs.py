"""Small catalogs with planted tags, vectors and descriptors, made without any sound; old ones."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from indexer.analysis.track_analysis import TrackAnalysis
from indexer.audio.container import AudioFacts
from indexer.audio.tags import Tags
from indexer.catalog import writer
from indexer.catalog.file_queries import SeenFile
from indexer.features.descriptors import Descriptors
from indexer.features.melspectrogram import FrontEnd
from indexer.library import Library
from indexer.models.checkpoint import ModelInfo, NetworkConfig

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

DIM = 8


@dataclass(frozen=True)
class Planted:
    """A track to be: its tags' probabilities, those not named are 0.05."""

    title: str
    heard: Mapping[str, float] = field(default_factory=dict)
    genre: str | None = None
    year: int | None = None
    tempo_bpm: float | None = None
    recording: int | None = None
    vector: Sequence[float] | None = None
    artist: str | None = "Band"
    album: str | None = None
    album_artist: str | None = None
    duration_s: float | None = None
    key: str | None = None
    brightness_hz: float | None = None


def plant(folder: Path, tags: Sequence[str], tracks: Sequence[Planted]) -> Path:
    """Write a catalog of tracks with ids from 1 on, and empty files for them; returns its path."""
    catalog, music = folder / "catalog.db", folder / "music"
    music.mkdir()
    with closing(Library.open_for_writing(catalog, create=True)) as library:
        info = ModelInfo(
            name="planted",
            network=NetworkConfig("planted", {}),
            front_end=FrontEnd(),
            pooling="mean",
            dim=DIM,
            tag_names=tuple(tags),
            licence="MIT",
            source="a test",
            fingerprint="f" * 64,
            path=catalog,
        )
        root = os.fsencode(music)
        with library.catalog.writing() as connection:
            model = writer.record_model(connection, info, windows=12)
            writer.add_root(connection, root)
        # Begins an index while there is nothing to put in; later it would be said to be missing.
        library.refresh()
        with library.catalog.writing() as connection:
            for number, track in enumerate(tracks, start=1):
                path = music / f"{number:04}.mp3"
                path.touch()
                seen = SeenFile(os.fsencode(path), root, 0, 1)
                writer.store(connection, model, seen, _analysis(number, track, tags))
        library.refresh()
    return catalog


def make_old(catalog: Path) -> None:
    """Take a closed catalog back to the first schema, which had no descriptors."""
    with closing(sqlite3.connect(catalog)) as raw:
        raw.executescript(
            "DROP TABLE descriptors; UPDATE alembic_version SET version_num = '0001';"
            "PRAGMA wal_checkpoint(TRUNCATE);"
        )


def _analysis(number: int, track: Planted, tags: Sequence[str]) -> TrackAnalysis:
    recording = (track.recording or number).to_bytes(32, "big")
    seconds = 100.0 + number if track.duration_s is None else track.duration_s
    vector = np.random.default_rng(number).normal(size=DIM)
    vector = vector if track.vector is None else np.array(track.vector, dtype=np.float64)
    return TrackAnalysis(
        AudioFacts("mp3", "mp3", 44_100, 2, seconds, 128_000, recording),
        Tags(
            title=track.title,
            artist=track.artist,
            album=track.album,
            album_artist=track.album_artist,
            genre=track.genre,
            year=track.year,
        ),
        (vector / np.linalg.norm(vector)).astype(np.float16),
        np.array([track.heard.get(tag, 0.05) for tag in tags], np.float16),
        12,
        Descriptors(track.tempo_bpm, 1.0, track.key, 1.0, None, track.brightness_hz),
    )
