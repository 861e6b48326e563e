"""Genres of tracks and files, predicted by a trained classifier or by a model of genre tags.

Nothing is written: genre tags stay as they are.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.filesystem import absolute_path, display_path
from recommender.retrieval.lookup import display_name
from recommender.retrieval.names import split_genres

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from indexer.analysis.track_analysis import TrackAnalysis
    from indexer.catalog.records import Track
    from recommender.engine import Recommender
    from recommender.genres.classifier import GenreClassifier

_BLOCK = 5_000


@dataclass(frozen=True)
class GenrePrediction:
    """A genre with its probability."""

    genre: str
    probability: float


@dataclass(frozen=True)
class PredictedGenres:
    """Predicted genres of a track or file.

    Attributes
    ----------
    id : int or None
        None for a file that is not in the catalog.
    name : str
        Artist - title, or the file's name.
    own_genre : str or None
        The genre tag of the file.
    predictions : tuple of GenrePrediction
        Likeliest first.
    """

    id: int | None
    name: str
    own_genre: str | None
    predictions: tuple[GenrePrediction, ...]

    def to_json(self) -> dict[str, Any]:
        """The prediction as plain values."""
        return asdict(self)


def classifier_path(catalog: str | os.PathLike[str]) -> Path:
    """Path of a catalog's classifier: `catalog.db` -> `catalog.genres`."""
    path = Path(catalog)
    return path.with_suffix(".genres") if path.suffix == ".db" else Path(f"{path}.genres")


def predict_genres(
    recommender: Recommender, classifier: GenreClassifier, query: str
) -> PredictedGenres:
    """Predicted genres of a track of the catalog, or of any file by its sound.

    Raises
    ------
    UnknownTrack, AmbiguousTrack
    AnalysisError
        The file has no usable sound.
    """
    found = recommender.resolve(query)
    if isinstance(found, bytes):
        name = display_path(os.path.basename(os.fsencode(query)))
        return predict_genres_of_analysis(classifier, recommender.analyse(found), name=name)
    return _predict_tracks(recommender, classifier, [found])[0]


def predict_genres_of_analysis(
    classifier: GenreClassifier, analysis: TrackAnalysis, *, name: str
) -> PredictedGenres:
    """Predicted genres of a file that was analysed with the catalog's model."""
    predictions = _predictions(classifier, analysis.embedding[np.newaxis])[0]
    return PredictedGenres(None, name, None, predictions)


def predict_missing_genres(
    recommender: Recommender, classifier: GenreClassifier, *, at_least: float = 0.0
) -> list[PredictedGenres]:
    """Predicted genres of the tracks without a genre tag, most probable first.

    Parameters
    ----------
    at_least : float
        Least probability of the likeliest genre.
    """
    ids = recommender.ids()
    sure: list[PredictedGenres] = []
    for start in range(0, len(ids), _BLOCK):
        tracks = recommender.tracks(ids[start : start + _BLOCK])
        untagged = [track for track in tracks if not split_genres(track.genre)]
        found = _predict_tracks(recommender, classifier, untagged)
        sure += [one for one in found if one.predictions[0].probability >= at_least]
    return sorted(sure, key=lambda one: -one.predictions[0].probability)


def predict_genres_by_model(path: str | os.PathLike[str], model: str) -> PredictedGenres:
    """Tags that a model, such as one of genres, gives a file, likeliest first.

    Each tag has a probability of its own; they do not sum to 1.

    Raises
    ------
    AnalysisError
        The file has no usable sound.
    ModelMissing, ModelCorrupt
    """
    from indexer.analysis.pools import AnalysisPool, analyse_file
    from indexer.models.registry import verify_model

    info = verify_model(model)
    with AnalysisPool(model, info.fingerprint) as pool:
        analysis = pool.run(analyse_file, absolute_path(path))
    predictions = _likeliest_first(info.tag_names, analysis.activations)
    return PredictedGenres(
        None, display_path(os.path.basename(os.fsencode(path))), None, predictions
    )


def _predict_tracks(
    recommender: Recommender, classifier: GenreClassifier, tracks: list[Track]
) -> list[PredictedGenres]:
    if not tracks:
        return []
    predictions = _predictions(classifier, recommender.vectors([track.id for track in tracks]))
    return [
        PredictedGenres(track.id, display_name(track), track.genre, prediction)
        for track, prediction in zip(tracks, predictions, strict=True)
    ]


def _predictions(
    classifier: GenreClassifier, vectors: NDArray[np.floating]
) -> list[tuple[GenrePrediction, ...]]:
    return [_likeliest_first(classifier.classes_, row) for row in classifier.predict_proba(vectors)]


def _likeliest_first(
    names: Iterable[str], probabilities: NDArray[np.floating]
) -> tuple[GenrePrediction, ...]:
    pairs = zip(names, probabilities.tolist(), strict=True)
    return tuple(
        GenrePrediction(genre, round(probability, 4))
        for genre, probability in sorted(pairs, key=lambda pair: -pair[1])
    )
