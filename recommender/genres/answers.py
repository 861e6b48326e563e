"""What a trained classifier, or a model whose tags are genres, says of tracks and files.

Nothing is written: the genres that the owner gave stay as they are, and guesses are made when asked
for.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.filesystem import display_path
from recommender.retrieval.genre_names import split_genres
from recommender.retrieval.lookup import display_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from indexer.catalog.reader import Track
    from recommender.engine import Recommender
    from recommender.genres.classifier import GenreClassifier


@dataclass(frozen=True)
class GenrePrediction:
    """A genre with its probability."""

    genre: str
    probability: float


@dataclass(frozen=True)
class PredictedGenres:
    """What a track or file sounds like.

    Attributes
    ----------
    id : int or None
        None for a file that is not in the catalog.
    name : str
        Artist - title, or the file's name.
    own_genre : str or None
        What the file says of itself.
    guesses : tuple of GenreGuess
        Likeliest first.
    """

    id: int | None
    name: str
    own_genre: str | None
    guesses: tuple[GenrePrediction, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def classifier_path(catalog: str | os.PathLike[str]) -> Path:
    """Where a catalog's classifier lies: `catalog.db` -> `catalog.genres`."""
    place = Path(catalog)
    return place.with_suffix(".genres") if place.suffix == ".db" else Path(f"{place}.genres")


def genres_of(recommender: Recommender, classifier: GenreClassifier, query: str) -> PredictedGenres:
    """The genres of a track of the catalog, or of any file from its sound alone.

    Raises
    ------
    UnknownTrack, AmbiguousTrack
    AnalysisError
        The file has no usable sound.
    """
    found = recommender.resolve(query)
    if isinstance(found, bytes):
        heard = recommender.analyse(found)
        guesses = _guesses(classifier, heard.embedding[np.newaxis])[0]
        return PredictedGenres(
            None, display_path(os.path.basename(os.fsencode(query))), None, guesses
        )
    return _of_tracks(recommender, classifier, [found])[0]


def missing_genres(
    recommender: Recommender, classifier: GenreClassifier, *, at_least: float = 0.0
) -> list[PredictedGenres]:
    """Guesses for the tracks that name no genre, surest first.

    Parameters
    ----------
    at_least : float
        Probability that the likeliest genre must have.
    """
    tracks = recommender.tracks(recommender.ids())
    silent = [track for track in tracks if not split_genres(track.genre)]
    found = _of_tracks(recommender, classifier, silent)
    sure = [one for one in found if one.guesses[0].probability >= at_least]
    return sorted(sure, key=lambda one: -one.guesses[0].probability)


def genres_by_model(path: str | os.PathLike[str], model: str) -> PredictedGenres:
    """The tags of a model for a file, likeliest first: its genres where those are its tags.

    Each tag is asked for alone, so that the probabilities do not sum to 1.

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
        heard = pool.run(analyse_file, os.path.abspath(os.fsencode(path)))
    guesses = _sorted(info.tag_names, heard.activations)
    return PredictedGenres(None, display_path(os.path.basename(os.fsencode(path))), None, guesses)


def _of_tracks(
    recommender: Recommender, classifier: GenreClassifier, tracks: list[Track]
) -> list[PredictedGenres]:
    if not tracks:
        return []
    guesses = _guesses(classifier, recommender.vectors([track.id for track in tracks]))
    return [
        PredictedGenres(track.id, display_name(track), track.genre, guess)
        for track, guess in zip(tracks, guesses, strict=True)
    ]


def _guesses(
    classifier: GenreClassifier, vectors: NDArray[np.floating]
) -> list[tuple[GenrePrediction, ...]]:
    return [_sorted(classifier.classes_, row) for row in classifier.predict_proba(vectors)]


def _sorted(
    names: Iterable[str], probabilities: NDArray[np.floating]
) -> tuple[GenrePrediction, ...]:
    pairs = zip(names, probabilities.tolist(), strict=True)
    return tuple(
        GenrePrediction(genre, round(probability, 4))
        for genre, probability in sorted(pairs, key=lambda pair: -pair[1])
    )
