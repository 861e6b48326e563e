"""Made-up catalogs: vectors in clusters, tracks without sound."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import insert, update

from indexer.analysis.track_analysis import DEFAULT_WINDOWS
from indexer.catalog.schema import CatalogRow, EmbeddingRow, RecordingRow, TrackRow
from indexer.catalog.status import TrackStatus
from indexer.catalog.writer import add_root, record_model
from indexer.library import Library
from indexer.models.registry import model_info
from indexer.vectors.half_precision import to_half
from indexer.vectors.unit_vectors import unit_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from indexer.catalog.file_queries import SeenFile

_STYLES = 40
_TRACKS_PER_ARTIST = 20
_ARTIST_WEIGHT, _TRACK_WEIGHT = 0.7, 0.7
_BLOCK = 50_000


def clustered(count: int, *, dim: int, seed: int) -> NDArray[np.float32]:
    """Unit vectors (count, dim) of tracks around artists around 40 styles, in random order.

    Cosines are about 0.75 between tracks of an artist and 0.5 between artists of a style.
    """
    rng = np.random.default_rng(seed)
    styles = rng.standard_normal((_STYLES, dim), np.float32)
    artists = styles[rng.integers(0, _STYLES, max(1, count // _TRACKS_PER_ARTIST))]
    artists += _ARTIST_WEIGHT * rng.standard_normal(artists.shape, np.float32)
    vectors = np.empty((count, dim), np.float32)
    for start in range(0, count, _BLOCK):
        block = vectors[start : start + _BLOCK]
        rng.standard_normal(out=block, dtype=np.float32)
        block *= _TRACK_WEIGHT
        block += artists[rng.integers(0, len(artists), len(block))]
        block[:] = unit_rows(block)
    return vectors


def make_catalog(path: Path, files: Sequence[SeenFile], vectors: NDArray[np.float32]) -> None:
    """Write a catalog and its index: one present track for each file, with ids from 1 on."""
    half = to_half(vectors).astype("<f2")
    rng = np.random.default_rng(0)
    seconds = rng.uniform(120.0, 300.0, len(files)).tolist()
    with closing(Library.open_for_writing(path, create=True)) as library:
        with library.catalog.writing() as connection:
            model = record_model(connection, model_info(), windows=DEFAULT_WINDOWS)
            for root in sorted({file.root for file in files}):
                add_root(connection, root)
        # Begins an index while there is nothing to put in; later it would be reported missing.
        library.refresh()
        with library.catalog.writing() as connection:
            connection.execute(update(CatalogRow).values(change=1, facets_change=1))
            silence = np.zeros(len(model.tag_names), "<f2").tobytes()
            for start in range(0, len(files), _BLOCK):
                ids = range(start + 1, min(start + _BLOCK, len(files)) + 1)
                connection.execute(
                    insert(RecordingRow),
                    [_recording(number, seconds[number - 1]) for number in ids],
                )
                connection.execute(
                    insert(EmbeddingRow),
                    [
                        {
                            "recording_id": number,
                            "model_id": model.id,
                            "vector": half[number - 1].tobytes(),
                            "activations": silence,
                            "windows": DEFAULT_WINDOWS,
                        }
                        for number in ids
                    ],
                )
                connection.execute(
                    insert(TrackRow), [_track(number, files[number - 1]) for number in ids]
                )
        library.refresh()


def _recording(number: int, seconds: float) -> dict[str, object]:
    return {
        "id": number,
        "audio_hash": number.to_bytes(8, "little") * 4,
        "duration_s": seconds,
        "container": "mp3",
        "codec": "mp3",
        "sample_rate": 44_100,
        "channels": 2,
        "bit_rate": 192_000,
    }


def _track(number: int, file: SeenFile) -> dict[str, object]:
    below = file.path.removeprefix(file.root + b"/").decode()
    return {
        "id": number,
        "key": below,
        "key_given": False,
        "path": file.path,
        "size": file.size,
        "mtime_ns": file.mtime_ns,
        "recording_id": number,
        "status": TrackStatus.PRESENT,
        "change": 1,
        "facets_change": 1,
        "title": f"Title {number}",
        "artist": f"Artist {number // _TRACKS_PER_ARTIST}",
        "album": f"Album {number // 10}",
        "album_artist": None,
        "genre": "Music",
        # So that a range of years keeps any part of the tracks, to a thousandth.
        "year": number % 1000,
        "track_number": number % 10 + 1,
        "added_at": 0.0,
    }
