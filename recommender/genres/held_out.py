"""How well genres are heard in tracks of artists that were left out of the learning.

Inside each fold, strength and temperature are chosen again without it, so that nothing of it has
been seen. Beside it stands the same pipeline with the embeddings dealt out among the tracks anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.errors import BadLabels
from recommender.genres.classifier import (
    FOLDS,
    GenreClassifier,
    artist_folds,
    as_rows,
    encode,
    softmax,
)
from recommender.genres.confusion import Confusion

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from recommender.genres.classifier import Floats, Label

DRAWS = 1000
_BINS = 10


@dataclass(frozen=True)
class HeldOut:
    """What a classifier says of tracks whose artists it has not heard.

    Attributes
    ----------
    confusion : Confusion
        A track of several genres that is heard as one of them is right; else its first counts.
    interval : tuple of float
        95 % of accuracies when artists are drawn again.
    calibration_error : float
        Expected calibration error of the likeliest genre's probability over 10 bins.
    uncalibrated_error : float
        The same at temperature 1.
    shuffled : float
        Accuracy of the same pipeline when every track has another's embedding: what is left
        without the sound.
    probabilities : float64 (tracks, genres)
        NaN in rows that no fold has left out.
    """

    confusion: Confusion
    artists: int
    folds: int
    interval: tuple[float, float]
    calibration_error: float
    uncalibrated_error: float
    shuffled: float
    probabilities: Floats

    def to_json(self) -> dict[str, Any]:
        """Figures as plain values."""
        confusion = self.confusion
        return {
            "tracks": int(confusion.table.sum()),
            "artists": self.artists,
            "folds": self.folds,
            "accuracy": round(confusion.accuracy, 4),
            "accuracy_interval": [round(bound, 4) for bound in self.interval],
            "balanced_accuracy": round(confusion.balanced_accuracy, 4),
            "commonest_genre": round(confusion.commonest, 4),
            "shuffled_embeddings": round(self.shuffled, 4),
            "calibration_error": round(self.calibration_error, 4),
            "uncalibrated_error": round(self.uncalibrated_error, 4),
            "confusion": confusion.to_json(),
        }


def cross_validate(
    vectors: ArrayLike,
    labels: Sequence[Label],
    artists: Sequence[str],
    *,
    seed: int = 0,
    report: Callable[[str], None] = lambda _line: None,
) -> HeldOut:
    """Measure the classifier on artists left out.

    Parameters
    ----------
    vectors, labels, artists
        As `GenreClassifier.fit` takes them.

    Raises
    ------
    BadLabels
        No fold can be made: each genre takes tracks of at least two artists.
    BadVector
    """
    x = as_rows(vectors, len(labels))
    classes, targets = encode(labels)
    _, owners = np.unique(artists, return_inverse=True)
    folds = list(artist_folds(targets, owners, count=FOLDS, seed=seed))
    if not folds:
        raise BadLabels("no folds can be made: each genre takes tracks of at least 2 artists")
    raw, calibrated = np.full((2, *targets.shape), np.nan)
    control = calibrated.copy()
    shuffled = x[np.random.default_rng(seed).permutation(len(x))]
    for number, (learned, left_out) in enumerate(folds, start=1):
        report(f"fold {number} of {len(folds)}: {len(left_out)} tracks of other artists")
        for of, filled in ((x, calibrated), (shuffled, control)):
            known = [labels[place] for place in learned]
            owners_known = [artists[place] for place in learned]
            classifier = GenreClassifier(seed=seed).fit(of[learned], known, owners_known)
            columns = np.array([classes.index(genre) for genre in classifier.classes_])
            filled[left_out] = 0.0
            filled[np.ix_(left_out, columns)] = classifier.predict_proba(of[left_out])
            if filled is calibrated:
                raw[left_out] = 0.0
                raw[np.ix_(left_out, columns)] = softmax(classifier.logits(of[left_out]))
    heard = np.isfinite(calibrated).all(axis=1)
    actual, found = _outcomes(targets[heard], calibrated[heard])
    right = actual == found
    guessed, guess = _outcomes(targets[heard], control[heard])
    return HeldOut(
        confusion=Confusion.of(classes, actual, found),
        artists=len(np.unique(owners)),
        folds=len(folds),
        interval=_interval(right, owners[heard], seed=seed),
        calibration_error=calibration_error(calibrated[heard].max(axis=1), right),
        uncalibrated_error=calibration_error(
            raw[heard].max(axis=1), np.equal(*_outcomes(targets[heard], raw[heard]))
        ),
        shuffled=float((guessed == guess).mean()),
        probabilities=calibrated,
    )


def doubt(figures: Mapping[str, Any]) -> str | None:
    """Say so if the figures of `HeldOut.to_json` may be those of one who does not listen."""
    low, chance = figures["accuracy_interval"][0], figures["commonest_genre"]
    if low > chance:
        return None
    return (
        f"this classifier is not shown to be better than chance: its accuracy may be {low:.3f}, "
        f"and always naming the commonest genre has {chance:.3f}"
    )


def calibration_error(confidence: Floats, right: NDArray[np.bool_]) -> float:
    """Expected calibration error: mean distance of confidence and accuracy over bins.

    Ten bins of equal width, each weighted by its tracks (Naeini et al., AAAI 2015).
    """
    place = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    counts = np.bincount(place, minlength=_BINS)
    gap = np.abs(
        np.bincount(place, weights=confidence, minlength=_BINS)
        - np.bincount(place, weights=right.astype(float), minlength=_BINS)
    )
    return float(gap.sum() / max(1, counts.sum()))


def _outcomes(targets: Floats, found: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The genre each track counts as, and the one it was heard as."""
    heard = found.argmax(axis=1)
    right = np.take_along_axis(targets, heard[:, np.newaxis], axis=1)[:, 0] > 0
    return np.where(right, heard, targets.argmax(axis=1)), heard


def _interval(
    right: NDArray[np.bool_], owners: NDArray[np.int64], *, seed: int
) -> tuple[float, float]:
    """95 % of accuracies when artists are drawn again with replacement."""
    _, owner = np.unique(owners, return_inverse=True)
    hits, tracks = np.bincount(owner, weights=right), np.bincount(owner)
    drawn = np.random.default_rng(seed).integers(0, len(hits), (DRAWS, len(hits)))
    accuracies = hits[drawn].sum(axis=1) / tracks[drawn].sum(axis=1)
    low, high = np.quantile(accuracies, (0.025, 0.975))
    return float(low), float(high)
