from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sqlalchemy import insert, update

from indexer.catalog.schema import CatalogRow, EmbeddingRow, RecordingRow, TrackRow
from indexer.catalog.status import TrackStatus
from indexer.library import Library
from recommender import Ranking, Recommender
from recommender.plots.comparison import compare
from recommender.retrieval.snapshot import PERCENTILE_TRACKS

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def add_planted(catalog: Path, vectors: NDArray[np.float64]) -> None:
    """Add a recording and a track for each vector, with ids from 1001 on."""
    numbers = range(1001, 1001 + len(vectors))
    with closing(Library.open_for_writing(catalog)) as library:
        model = library.catalog.active_model()
        assert model is not None
        half = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype("<f2")
        silent = np.zeros(len(model.tag_names), "<f2").tobytes()
        recordings = [
            {
                "id": number,
                "audio_hash": number.to_bytes(32, "big"),
                "duration_s": 20.0 * number,
                "container": "mp3",
                "codec": "mp3",
                "sample_rate": 44_100,
                "channels": 2,
            }
            for number in numbers
        ]
        embeddings = [
            {
                "recording_id": number,
                "model_id": model.id,
                "vector": row.tobytes(),
                "activations": silent,
                "windows": 12,
            }
            for number, row in zip(numbers, half, strict=True)
        ]
        tracks = [
            {
                "id": number,
                "key": f"{number}.mp3",
                "key_given": False,
                "path": f"/music/{number}.mp3".encode(),
                "size": 1,
                "mtime_ns": 1,
                "recording_id": number,
                "status": TrackStatus.PRESENT,
                "change": 1000,
                "facets_change": 1000,
                "added_at": 0.0,
            }
            for number in numbers
        ]
        with library.catalog.writing() as connection:
            connection.execute(update(CatalogRow).values(change=1000, facets_change=1000))
            connection.execute(insert(RecordingRow), recordings)
            connection.execute(insert(EmbeddingRow), embeddings)
            connection.execute(insert(TrackRow), tracks)


def test_a_pair_has_one_score_in_a_library_of_which_a_sample_is_measured(
    catalog_path: Path,
) -> None:
    with Recommender.open(catalog_path) as recommender:
        dim = recommender.model.dim
    rng = np.random.default_rng(5)
    add_planted(catalog_path, 1.0 + rng.normal(size=(PERCENTILE_TRACKS + 1000, dim)))
    with Recommender.open(catalog_path) as recommender:
        ids = recommender.ids()
        assert len(ids) == PERCENTILE_TRACKS + 1012
        answer = recommender.similar_to_track(1, len(ids), ranking=Ranking(collapse=False))
        (same_pair,) = (one for one in answer if one.id == 2)
        compared = compare(recommender, 1, 2)
        assert (compared.cosine, compared.score) == (same_pair.cosine, same_pair.score)
        vectors = recommender.vectors(ids)
        exact = (vectors @ vectors.T)[np.triu_indices(len(ids), 1)]
        for one in answer[:: len(answer) // 20]:
            assert one.score == pytest.approx(np.mean(exact < one.cosine), abs=0.02)
    with Recommender.open(catalog_path) as recommender:
        assert recommender.scores([same_pair.cosine]).tolist() == [same_pair.score]
