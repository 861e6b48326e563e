"""Accuracy of genres predicted for tracks of artists held out of training.

Strength and temperature are chosen again for each fold without its tracks. As a control the same
is done with the embeddings shuffled among the tracks.
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
    encode,
    float_rows,
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
    """Accuracy of a classifier on tracks of artists held out of its training.

    Attributes
    ----------
    confusion : Confusion
        A track of several genres that is predicted as one of them is right; else its first counts.
    interval : tuple of float
        95 % of accuracies when artists are drawn again.
    calibration_error : float
        Expected calibration error of the likeliest genre's probability over 10 bins.
    uncalibrated_error : float
        The same at temperature 1.
    shuffled : float
        Accuracy of the same pipeline with the embeddings shuffled among the tracks.
    probabilities : float64 (tracks, genres)
        NaN in rows that are in no fold.
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
        """The figures as plain values."""
        confusion = self.confusion
        return {
            "tracks": int(confusion.table.sum()),
            "artists": self.artists,
            "folds": self.folds,
            "accuracy": round(confusion.accuracy, 4),
            "accuracy_interval": [round(bound, 4) for bound in self.interval],
            "balanced_accuracy": round(confusion.balanced_accuracy, 4),
            "macro_f1": round(confusion.macro_f1, 4),
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
    random_state: int = 0,
    report: Callable[[str], None] = lambda _line: None,
) -> HeldOut:
    """Accuracy and calibration of the classifier on artists held out, by cross-validation.

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
    x = float_rows(vectors, len(labels))
    classes, targets = encode(labels)
    _, owners = np.unique(artists, return_inverse=True)
    folds = list(artist_folds(targets, owners, count=FOLDS, random_state=random_state))
    if not folds:
        raise BadLabels("no folds can be made: each genre takes tracks of at least 2 artists")
    raw, calibrated = np.full((2, *targets.shape), np.nan)
    control = calibrated.copy()
    shuffled = x[np.random.default_rng(random_state).permutation(len(x))]
    for number, (train, test) in enumerate(folds, start=1):
        report(f"fold {number} of {len(folds)}: {len(test)} tracks of other artists")
        for of, filled in ((x, calibrated), (shuffled, control)):
            known = [labels[row] for row in train]
            owners_known = [artists[row] for row in train]
            classifier = GenreClassifier(random_state=random_state).fit(
                of[train], known, owners_known
            )
            columns = np.array([classes.index(genre) for genre in classifier.classes_])
            filled[test] = 0.0
            filled[np.ix_(test, columns)] = classifier.predict_proba(of[test])
            if filled is calibrated:
                raw[test] = 0.0
                raw[np.ix_(test, columns)] = softmax(classifier.logits(of[test]))
    tested = np.isfinite(calibrated).all(axis=1)
    actual, found = _outcomes(targets[tested], calibrated[tested])
    right = actual == found
    control_actual, control_found = _outcomes(targets[tested], control[tested])
    return HeldOut(
        confusion=Confusion.of(classes, actual, found),
        artists=len(np.unique(owners)),
        folds=len(folds),
        interval=_interval(right, owners[tested], random_state=random_state),
        calibration_error=calibration_error(calibrated[tested].max(axis=1), right),
        uncalibrated_error=calibration_error(
            raw[tested].max(axis=1), np.equal(*_outcomes(targets[tested], raw[tested]))
        ),
        shuffled=float((control_actual == control_found).mean()),
        probabilities=calibrated,
    )


def chance_warning(figures: Mapping[str, Any]) -> str | None:
    """A warning if the figures of `HeldOut.to_json` are not shown to be better than chance."""
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
    number = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    counts = np.bincount(number, minlength=_BINS)
    gap = np.abs(
        np.bincount(number, weights=confidence, minlength=_BINS)
        - np.bincount(number, weights=right.astype(float), minlength=_BINS)
    )
    return float(gap.sum() / max(1, counts.sum()))


def _outcomes(targets: Floats, found: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of the genre each track counts as, and of the one predicted for it."""
    predicted = found.argmax(axis=1)
    right = np.take_along_axis(targets, predicted[:, np.newaxis], axis=1)[:, 0] > 0
    return np.where(right, predicted, targets.argmax(axis=1)), predicted


def _interval(
    right: NDArray[np.bool_], owners: NDArray[np.int64], *, random_state: int
) -> tuple[float, float]:
    """95 % of accuracies when artists are drawn again with replacement."""
    _, owner = np.unique(owners, return_inverse=True)
    hits, tracks = np.bincount(owner, weights=right), np.bincount(owner)
    drawn = np.random.default_rng(random_state).integers(0, len(hits), (DRAWS, len(hits)))
    accuracies = hits[drawn].sum(axis=1) / tracks[drawn].sum(axis=1)
    low, high = np.quantile(accuracies, (0.025, 0.975))
    return float(low), float(high)
