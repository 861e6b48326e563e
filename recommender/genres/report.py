"""Report on a catalog's classifier: figures, mistakes with examples, a profile of each genre.

All figures are of tracks as they were predicted with their artists held out.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from recommender.genres.classifier import read_file
from recommender.genres.confusion import Confusion
from recommender.genres.tag_profile import GroupTag, characteristic_tags, library_tags, mean_tags
from recommender.retrieval.lookup import display_name

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    from recommender.engine import Recommender

EXAMPLES = 3
_CANDIDATES = 5 * EXAMPLES
"""Tracks looked at for examples: those of one name are one example."""
TAGS = 6


@dataclass(frozen=True)
class Example:
    """A track with its predicted genre.

    Attributes
    ----------
    probability : float
        Of its own genre.
    """

    id: int
    name: str
    predicted_as: str
    probability: float


@dataclass(frozen=True)
class GenreProfile:
    """A genre: recall and precision, its tags, its most and least typical tracks.

    Attributes
    ----------
    recall, precision : float or None
        Share of its tracks predicted as it, and of the tracks predicted as it that are of it; None
        where there are no such tracks.
    tags, moods : tuple of GroupTag
        Tags that are stronger in its tracks than in the library, most characteristic first.
    typical, atypical : tuple of Example
        Its tracks with the highest and lowest predicted probability of it.
    """

    genre: str
    tracks: int
    recall: float | None
    precision: float | None
    tags: tuple[GroupTag, ...]
    moods: tuple[GroupTag, ...]
    typical: tuple[Example, ...]
    atypical: tuple[Example, ...]


@dataclass(frozen=True)
class Mistake:
    """Tracks of a genre that were predicted as another, most confident mistakes first."""

    genre: str
    predicted_as: str
    tracks: int
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class GenreReport:
    """Figures of a classifier, with a profile of each genre and its mistakes.

    Attributes
    ----------
    source : str
        Origin of the labels, in words.
    evaluation : dict
        The figures of `HeldOut.to_json`.
    unknown_artists : int
        Tracks counted as artists of their own.
    left_out : list of dict
        Genres of too few tracks or artists.
    """

    source: str
    model: str
    evaluation: dict[str, Any]
    unknown_artists: int
    left_out: list[dict[str, Any]]
    genres: tuple[GenreProfile, ...]
    mistakes: tuple[Mistake, ...]

    @property
    def confusion(self) -> Confusion:
        """The confusion matrix."""
        stored = self.evaluation["confusion"]
        return Confusion(tuple(stored["genres"]), tuple(map(tuple, stored["counts"])))

    def to_json(self) -> dict[str, Any]:
        """The report as plain values."""
        return asdict(self)


def genre_report(recommender: Recommender, path: str | os.PathLike[str]) -> GenreReport:
    """Report on the classifier in a file; tracks that have left the catalog are not named.

    Raises
    ------
    NoClassifier, ModelMismatch
    """
    model = recommender.model
    classifier, notes, arrays = read_file(path, model=model)
    evaluation = notes["evaluation"]
    present = recommender.ids()
    kept = np.isin(arrays["ids"], present) & np.isfinite(arrays["probabilities"]).all(axis=1)
    ids = arrays["ids"][kept]
    probabilities = arrays["probabilities"][kept].astype(np.float64)
    targets = arrays["targets"][kept] > 0
    background = library_tags(recommender)
    confusion = Confusion(classifier.classes_, tuple(map(tuple, evaluation["confusion"]["counts"])))
    profiles, mistakes = [], []
    predicted = probabilities.argmax(axis=1)
    for number, genre in enumerate(classifier.classes_):
        own = np.flatnonzero(targets[:, number])
        order = own[np.argsort(-probabilities[own, number], kind="stable")]
        tags = characteristic_tags(mean_tags(recommender, ids[own]), background, model.tag_names)

        def examples(rows: NDArray[np.int64], of: int = number) -> tuple[Example, ...]:
            some = rows[:_CANDIDATES]
            by_name: dict[str, Example] = {}
            for row, track in zip(some, recommender.tracks(ids[some]), strict=True):
                probability = round(float(probabilities[row, of]), 4)
                predicted_as = classifier.classes_[predicted[row]]
                by_name.setdefault(
                    display_name(track),
                    Example(track.id, display_name(track), predicted_as, probability),
                )
            return tuple(by_name.values())[:EXAMPLES]

        profiles.append(
            GenreProfile(
                genre,
                len(own),
                _round_or_none(confusion.recall[number]),
                _round_or_none(confusion.precision[number]),
                tuple(tag for tag in tags if not tag.is_mood)[:TAGS],
                tuple(tag for tag in tags if tag.is_mood)[:TAGS],
                examples(order),
                examples(order[::-1]),
            )
        )
        for other, count in enumerate(confusion.table[number]):
            if other != number and count:
                lost = order[::-1][predicted[order[::-1]] == other]
                lost = lost[~targets[lost, other]]
                mistakes.append(
                    Mistake(genre, classifier.classes_[other], int(count), examples(lost))
                )
    return GenreReport(
        notes["source"],
        model.name,
        evaluation,
        notes["unknown_artists"],
        notes["left_out"],
        tuple(profiles),
        tuple(sorted(mistakes, key=lambda mistake: -mistake.tracks)),
    )


def _round_or_none(share: float) -> float | None:
    return None if np.isnan(share) else round(float(share), 4)
