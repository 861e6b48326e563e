from __future__ import annotations

import os
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pytest
from sqlalchemy import insert, update

from indexer.catalog.schema import CatalogRow, EmbeddingRow, RecordingRow, TrackRow
from indexer.catalog.status import TrackStatus
from indexer.catalog.writer import record_model
from indexer.features.melspectrogram import FrontEnd
from indexer.library import Library
from indexer.models.checkpoint import ModelInfo, NetworkConfig
from recommender import Recommender

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray


class Plant(Protocol):
    """Opens a new catalog of tracks with ids from 1 on, made of vectors (n, dim) alone."""

    def __call__(
        self,
        vectors: NDArray[np.floating],
        *,
        artists: Sequence[str | None] | None = None,
        durations: Sequence[float] | None = None,
        recordings: Mapping[int, int] | None = None,
        titles: Mapping[int, str] | None = None,
        years: Sequence[int] | None = None,
    ) -> Recommender: ...


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    with ExitStack() as opened:

        def make(
            vectors: NDArray[np.floating],
            *,
            artists: Sequence[str | None] | None = None,
            durations: Sequence[float] | None = None,
            recordings: Mapping[int, int] | None = None,
            titles: Mapping[int, str] | None = None,
            years: Sequence[int] | None = None,
        ) -> Recommender:
            catalog = tmp_path / "catalog.db"
            rows = _rows(vectors, tmp_path / "music", artists, durations, recordings, titles, years)
            with closing(Library.open_for_writing(catalog, create=True)) as library:
                info = ModelInfo(
                    name="planted",
                    network=NetworkConfig("planted", {}),
                    front_end=FrontEnd(),
                    pooling="mean",
                    dim=vectors.shape[1],
                    tag_names=("loud",),
                    licence="MIT",
                    source="a test",
                    fingerprint="f" * 64,
                    path=catalog,
                )
                with library.catalog.writing() as connection:
                    record_model(connection, info, windows=12)
                library.refresh()
                with library.catalog.writing() as connection:
                    connection.execute(update(CatalogRow).values(change=1))
                    for table, values in rows.items():
                        connection.execute(insert(table), values)
                library.refresh()
            return opened.enter_context(Recommender.open(catalog))

        yield make


def _rows(
    vectors: NDArray[np.floating],
    music: Path,
    artists: Sequence[str | None] | None,
    durations: Sequence[float] | None,
    recordings: Mapping[int, int] | None,
    titles: Mapping[int, str] | None,
    years: Sequence[int] | None,
) -> dict[Any, list[dict[str, Any]]]:
    """Rows for the catalog's tables, written at once: storing one by one takes seconds."""
    numbers = range(1, len(vectors) + 1)
    recording = {number: (recordings or {}).get(number, number) for number in numbers}
    half = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype("<f2")
    heard = sorted(set(recording.values()))
    return {
        RecordingRow: [
            {
                "id": number,
                "audio_hash": number.to_bytes(32, "big"),
                # 20 s apart, so that only what is meant to be a copy is one.
                "duration_s": durations[number - 1] if durations else 20.0 * number,
                "container": "mp3",
                "codec": "mp3",
                "sample_rate": 44_100,
                "channels": 2,
                "bit_rate": None,
            }
            for number in heard
        ],
        EmbeddingRow: [
            {
                "recording_id": number,
                "model_id": 1,
                "vector": half[number - 1].tobytes(),
                "activations": np.array([0.5], "<f2").tobytes(),
                "windows": 12,
            }
            for number in heard
        ],
        TrackRow: [
            {
                "id": number,
                "key": f"{number:04}.mp3",
                "key_given": False,
                "path": os.fsencode(music / f"{number:04}.mp3"),
                "size": 1,
                "mtime_ns": 1,
                "recording_id": recording[number],
                "status": TrackStatus.PRESENT,
                "change": 1,
                "title": (titles or {}).get(number, f"Title {number}"),
                "artist": artists[number - 1] if artists else f"Artist {number}",
                "year": years[number - 1] if years else None,
                "added_at": 0.0,
            }
            for number in numbers
        ],
    }


def ring(count: int, *, dim: int = 8, noise: float = 0.05) -> NDArray[np.float64]:
    """Tracks evenly round a circle, a little off it; track i + 1 lies at the angle 2 pi i / n."""
    angles = np.arange(count) * 2 * np.pi / count
    vectors = noise * np.random.default_rng(0).normal(size=(count, dim))
    vectors[:, 0] += np.cos(angles)
    vectors[:, 1] += np.sin(angles)
    return vectors


def clusters(count: int, kinds: int, *, dim: int = 16, noise: float = 0.2) -> NDArray[np.float64]:
    """Tracks around as many points as there are kinds; track i + 1 is of kind i modulo kinds."""
    rng = np.random.default_rng(1)
    centres = np.linalg.qr(rng.normal(size=(dim, kinds)))[0].T
    return centres[np.arange(count) % kinds] + noise * rng.normal(size=(count, dim))
