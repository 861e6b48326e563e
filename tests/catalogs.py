"""Small catalogs with planted tags, vectors and descriptors, made without any sound; old ones."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import delete, insert, select, update

from indexer.audio.container import AudioFacts
from indexer.audio.reading import read_facts
from indexer.audio.tags import Tags
from indexer.catalog.schema import CatalogRow, EmbeddingRow, RecordingRow, TrackRow
from indexer.catalog.status import TrackStatus
from indexer.catalog.writer import add_root, record_model
from indexer.features.melspectrogram import FrontEnd
from indexer.filesystem import display_path
from indexer.library import Library
from indexer.models.checkpoint import ModelInfo, NetworkConfig

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from indexer.catalog.reader import Catalog

DIM = 8


@dataclass(frozen=True)
class Planted:
    """A track to be.

    Tags that `activations` does not name are at 0.05. Without a `vector` it has one of its own.
    Tracks of one `recording`, a number, are one recording in several files. The file
    at `path` gives duration and audio hash if there is no `duration_s`; without `path` an empty
    file is made.
    """

    title: str | None
    activations: Mapping[str, float] = field(default_factory=dict)
    genre: str | None = None
    year: int | None = None
    tempo_bpm: float | None = None
    recording: int | None = None
    vector: Sequence[float] | None = None
    artist: str | None = "Band"
    artists: tuple[str, ...] = ()
    album: str | None = None
    album_artist: str | None = None
    duration_s: float | None = None
    musical_key: str | None = None
    brightness_hz: float | None = None
    path: Path | None = None
    more_tags: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of `Tags`."""
    key: str | None = None
    """By default the file's name."""


def plant(
    folder: Path, tags: Sequence[str], tracks: Sequence[Planted], *, address: str | None = None
) -> Path:
    """Write a catalog of tracks with ids from 1 on and its index; returns the catalog's path.

    It is in `folder` unless it has another address. Rows are written at once: storing one by one
    takes seconds.
    """
    catalog, music = folder / "catalog.db", folder / "music"
    music.mkdir()
    vectors = [_vector(number, track) for number, track in enumerate(tracks, start=1)]
    with closing(Library.open_for_writing(address or catalog, create=True)) as library:
        info = ModelInfo(
            name="planted",
            network=NetworkConfig("planted", {}),
            front_end=FrontEnd(),
            pooling="mean",
            dim=len(vectors[0]) if vectors else DIM,
            tag_names=tuple(tags),
            licence="MIT",
            source="a test",
            fingerprint="f" * 64,
            path=catalog,
        )
        with library.catalog.writing() as connection:
            model = record_model(connection, info, windows=12)
            add_root(connection, os.fsencode(music))
        # Begins an index while there is nothing to put in; later it would be said to be missing.
        library.refresh()
        recordings: dict[bytes, int] = {}
        rows: dict[Any, list[dict[str, object]]] = {
            table: [] for table in (RecordingRow, EmbeddingRow, TrackRow)
        }
        for number, (track, vector) in enumerate(zip(tracks, vectors, strict=True), start=1):
            path = track.path or music / f"{number:04}.mp3"
            facts = _facts(number, track)
            if track.path is None:
                path.touch()
            if facts.audio_hash not in recordings:
                recordings[facts.audio_hash] = number
                rows[RecordingRow].append({"id": number, **asdict(facts), **_descriptors(track)})
                rows[EmbeddingRow].append(
                    {
                        "recording_id": number,
                        "model_id": model.id,
                        "vector": vector.astype("<f2").tobytes(),
                        "activations": _activations(track, tags).tobytes(),
                        "windows": 12,
                    }
                )
            rows[TrackRow].append(_track(number, track, path, recordings[facts.audio_hash]))
        with library.catalog.writing() as connection:
            connection.execute(update(CatalogRow).values(change=1, facets_change=1))
            for table, values in rows.items():
                if values:
                    connection.execute(insert(table), values)
        library.refresh()
    return catalog


def drop_embeddings(catalog: Path, track_ids: Sequence[int]) -> None:
    """Take tracks out of answers, as those are that a newer model has not come to yet.

    Of a catalog in which each track is a recording of its own, and which nobody has open.
    """
    with (
        closing(Library.open_for_writing(catalog)) as library,
        library.catalog.writing() as connection,
    ):
        gone = EmbeddingRow.recording_id.in_(track_ids)
        connection.execute(delete(EmbeddingRow).where(gone))
    for index in catalog.parent.glob(f"{catalog.stem}.vectors*"):
        index.unlink()


def group_vectors_from(count: int) -> None:
    """Let indexes of more than so many vectors be grouped into lists, in this process."""
    from indexer.vectors.policy import DEFAULT_POLICY

    object.__setattr__(DEFAULT_POLICY, "exact_up_to", count)


def present_names(catalog: Catalog) -> list[tuple[int, str, str, str]]:
    """Id, key, artist and title ("" where unknown) of each present track, by id."""
    query = select(TrackRow.id, TrackRow.key, TrackRow.artist, TrackRow.title)
    present = query.where(TrackRow.status == TrackStatus.PRESENT).order_by(TrackRow.id)
    with catalog.reading() as connection:
        return [(one[0], one[1], one[2] or "", one[3] or "") for one in connection.execute(present)]


def _vector(number: int, track: Planted) -> np.ndarray:
    own = np.random.default_rng(number).normal(size=DIM)
    vector = own if track.vector is None else np.array(track.vector, dtype=np.float64)
    return vector / np.linalg.norm(vector)


def _facts(number: int, track: Planted) -> AudioFacts:
    if track.path is not None and track.duration_s is None:
        return read_facts(track.path)
    seconds = 100.0 + number if track.duration_s is None else track.duration_s
    audio_hash = (track.recording or number).to_bytes(32, "big")
    return AudioFacts("mp3", "mp3", 44_100, 2, seconds, 128_000, audio_hash)


def _activations(track: Planted, tags: Sequence[str]) -> np.ndarray:
    return np.array([track.activations.get(tag, 0.05) for tag in tags], "<f2")


def _descriptors(track: Planted) -> dict[str, object]:
    return {
        "tempo_bpm": track.tempo_bpm,
        "tempo_confidence": 1.0,
        "musical_key": track.musical_key,
        "key_confidence": 1.0,
        "loudness_lufs": None,
        "brightness_hz": track.brightness_hz,
    }


def _track(number: int, track: Planted, path: Path, recording: int) -> dict[str, object]:
    tags = Tags(
        title=track.title,
        artist=track.artist,
        artists=track.artists,
        album=track.album,
        album_artist=track.album_artist,
        genre=track.genre,
        year=track.year,
        **track.more_tags,
    )
    return {
        "id": number,
        "key": track.key or display_path(os.fsencode(path.name)),
        "key_given": False,
        "path": os.fsencode(path),
        "size": 0,
        "mtime_ns": 1,
        "recording_id": recording,
        "status": TrackStatus.PRESENT,
        "change": 1,
        "facets_change": 1,
        "added_at": 0.0,
        **asdict(tags),
    }
