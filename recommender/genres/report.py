"""What a catalog's classifier has learned: figures, mistakes with examples, each genre's portrait.

All of it is about tracks as the classifier heard them while their artists were left out.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from recommender.genres.classifier import read_file
from recommender.genres.confusion import Confusion
from recommender.genres.tag_profile import GroupTag, library_tags, telling_tags
from recommender.retrieval.lookup import display_name

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    from recommender.engine import Recommender

EXAMPLES = 3
_LOOKED_AT = 5 * EXAMPLES
"""Tracks of one name, a piece in several versions, are one example."""
TAGS = 6


@dataclass(frozen=True)
class Example:
    """A track with what it was heard as.

    Attributes
    ----------
    probability : float
        Of its own genre.
    """

    id: int
    name: str
    heard_as: str
    probability: float


@dataclass(frozen=True)
class Portrait:
    """A genre.

    Attributes
    ----------
    recall, precision : float or None
        Share of its tracks heard as it, and of the tracks heard as it that are; None of none.
    tags, moods : tuple of GroupTag
        What sets its tracks apart from the library, most telling first.
    typical, atypical : tuple of Example
        Its tracks that sounded most and least like it.
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
    """Tracks of a genre that were heard as another one, surest mistakes first."""

    genre: str
    heard_as: str
    tracks: int
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class GenreReport:
    """All there is to tell of a classifier.

    Attributes
    ----------
    source : str
        Where the labels came from.
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
    genres: tuple[Portrait, ...]
    mistakes: tuple[Mistake, ...]

    @property
    def confusion(self) -> Confusion:
        """The confusion matrix."""
        stored = self.evaluation["confusion"]
        return Confusion(tuple(stored["genres"]), tuple(map(tuple, stored["counts"])))

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def genre_report(recommender: Recommender, path: str | os.PathLike[str]) -> GenreReport:
    """Tell of the classifier in a file; tracks that have left the catalog are not named.

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
    portraits, mistakes = [], []
    heard = probabilities.argmax(axis=1)
    for number, genre in enumerate(classifier.classes_):
        own = np.flatnonzero(targets[:, number])
        order = own[np.argsort(-probabilities[own, number], kind="stable")]
        tags = telling_tags(recommender.activations(ids[own]), background, model.tag_names)

        def examples(places: NDArray[np.int64], of: int = number) -> tuple[Example, ...]:
            some = places[:_LOOKED_AT]
            by_name: dict[str, Example] = {}
            for place, track in zip(some, recommender.tracks(ids[some]), strict=True):
                probability = round(float(probabilities[place, of]), 4)
                heard_as = classifier.classes_[heard[place]]
                by_name.setdefault(
                    display_name(track),
                    Example(track.id, display_name(track), heard_as, probability),
                )
            return tuple(by_name.values())[:EXAMPLES]

        portraits.append(
            Portrait(
                genre,
                len(own),
                _rounded(confusion.recall[number]),
                _rounded(confusion.precision[number]),
                tuple(tag for tag in tags if not tag.is_mood)[:TAGS],
                tuple(tag for tag in tags if tag.is_mood)[:TAGS],
                examples(order),
                examples(order[::-1]),
            )
        )
        for other, count in enumerate(confusion.table[number]):
            if other != number and count:
                lost = order[::-1][heard[order[::-1]] == other]
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
        tuple(portraits),
        tuple(sorted(mistakes, key=lambda mistake: -mistake.tracks)),
    )


def _rounded(share: float) -> float | None:
    return None if np.isnan(share) else round(float(share), 4)
