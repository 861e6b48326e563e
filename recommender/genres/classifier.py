"""A genre classifier on embeddings: standardised, multinomial logistic regression, calibrated.

Each dimension is brought to mean 0 and variance 1 over the tracks fitted to, then the genres are
separated by logistic regression with an L2 penalty, each genre with the same total weight. The
strength of the penalty, and the temperature that calibrates the probabilities (Guo et al., "On
Calibration of Modern Neural Networks", ICML 2017), are those with the least log loss on tracks of
artists held out, so that an artist's sound does not pass for the genre's (Flexer 2007).

    classifier = GenreClassifier().fit(vectors, genres, artists)
    classifier.predict_proba(vectors)        # (tracks, genres), in the order of classifier.classes_
    classifier.save("catalog.genres", model=recommender.model)
    GenreClassifier.load("catalog.genres", model=recommender.model)

The file is a safetensors file: numbers and JSON, no code.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from indexer.errors import BadLabels, BadVector, ModelMismatch, NoClassifier
from indexer.filesystem import atomic_write

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    from numpy.typing import ArrayLike, NDArray

    from indexer.catalog.records import StoredModel

Floats: TypeAlias = "NDArray[np.float64]"
Label: TypeAlias = str | Sequence[str]
"""The genre of a track, or its genres, the first one first."""

FORMAT = "soundalike genres 1"
STRENGTHS = (0.003, 0.01, 0.03)
"""Choices for the inverse strength of the penalty (C of scikit-learn)."""
TEMPERATURES = np.geomspace(0.1, 10.0, 81)
FOLDS = 5
SEARCH_TRACKS = 3_000
"""Most tracks that strength and temperature are chosen on, drawn evenly over the genres."""
_NOTES = "notes."
_SHAPES = {
    "mean": ("dim",),
    "scale": ("dim",),
    "weights": ("genres", "dim"),
    "bias": ("genres",),
}


class GenreClassifier:
    """Probabilities of genres from embeddings.

    Attributes
    ----------
    classes_ : tuple of str
        The genres, sorted.
    strength_, temperature_ : float
        Inverse strength of the penalty, and what logits are divided by.
    """

    def __init__(self, *, random_state: int = 0) -> None:
        self.random_state = random_state
        self.classes_: tuple[str, ...] = ()
        self.strength_ = STRENGTHS[len(STRENGTHS) // 2]
        self.temperature_ = 1.0
        self._arrays: dict[str, Floats] = {}

    def fit(
        self,
        vectors: ArrayLike,
        labels: Sequence[Label],
        groups: Sequence[str] | None = None,
    ) -> GenreClassifier:
        """Fit to the embeddings and genres of tracks.

        Parameters
        ----------
        vectors : array_like, shape (tracks, dim)
        labels : sequence of str, or of sequences of str
            Genre or genres of each track; of several, each counts as a part of the track.
        groups : sequence of str, optional
            Artist of each track; by default each track is its own group.

        Raises
        ------
        BadVector
            `vectors` is no matrix of finite numbers with a row for each label.
        BadLabels
            Fewer than two genres, or one with a single track.
        """
        x = float_rows(vectors, len(labels))
        self.classes_, targets = encode(labels)
        owners = (
            np.unique(groups, return_inverse=True)[1] if groups is not None else np.arange(len(x))
        )
        if len(self.classes_) < 2:
            raise BadLabels("a classifier needs at least 2 genres: label tracks of another one")
        members = (targets > 0).sum(axis=0)
        if members.min() < 2:
            genre = self.classes_[int(members.argmin())]
            raise BadLabels(
                f"the genre {genre} has one track: label more of its tracks, or leave it out"
            )
        some = sample_evenly(targets.argmax(axis=1), SEARCH_TRACKS, random_state=self.random_state)
        self._choose(x[some], targets[some], owners[some])
        self._arrays = _fit(x, targets, self.strength_)
        return self

    def logits(self, vectors: ArrayLike) -> Floats:
        """Logits (tracks, genres) before calibration."""
        if not self._arrays:
            raise NoClassifier("the classifier is not fitted: call fit or load")
        a = self._arrays
        x = float_rows(vectors)
        if x.shape[1] != len(a["mean"]):
            raise BadVector(
                f"got vectors of {x.shape[1]} numbers, the classifier was fitted to vectors of "
                f"{len(a['mean'])}"
            )
        return _logits(a, x)

    def predict_proba(self, vectors: ArrayLike) -> Floats:
        """Probability of each genre, (tracks, genres); rows sum to 1.

        Raises
        ------
        BadVector, NoClassifier
        """
        return softmax(self.logits(vectors) / self.temperature_)

    def predict(self, vectors: ArrayLike) -> list[str]:
        """The likeliest genre of each track."""
        return [self.classes_[column] for column in self.logits(vectors).argmax(axis=1)]

    def _choose(self, x: Floats, targets: Floats, owners: NDArray[np.int64]) -> None:
        """Choose strength and temperature by the log loss on artists held out."""
        best = np.inf
        folds = list(artist_folds(targets, owners, count=FOLDS, random_state=self.random_state))
        for strength in STRENGTHS:
            found = np.full(targets.shape, np.nan)
            for train, held_out in folds:
                # Genres without a track to train on are not measured.
                known = targets[train].sum(axis=0) > 0
                tested_rows = held_out[targets[held_out][:, known].sum(axis=1) > 0]
                found[tested_rows] = _logits(
                    _fit(x[train], targets[train], strength), x[tested_rows]
                )
            tested = np.isfinite(found).all(axis=1)
            if not tested.any():
                return
            losses = [log_loss(found[tested] / t, targets[tested]) for t in TEMPERATURES]
            if min(losses) < best:
                best = min(losses)
                self.strength_ = strength
                self.temperature_ = float(TEMPERATURES[int(np.argmin(losses))])

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        model: StoredModel,
        notes: Mapping[str, Any] | None = None,
        arrays: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        """Write the classifier to a file by an atomic write.

        Parameters
        ----------
        model : StoredModel
            The model whose embeddings it was fitted to (`Recommender.model`).
        notes, arrays : mappings, optional
            Plain values, and arrays by name, that `read_file` returns with it.

        Raises
        ------
        OSError
        """
        from safetensors.numpy import save

        head = {
            "format": FORMAT,
            "model": {"name": model.name, "fingerprint": model.fingerprint},
            "classes": self.classes_,
            "strength": self.strength_,
            "temperature": self.temperature_,
            "notes": dict(notes or {}),
        }
        tensors = dict(self._arrays)
        tensors |= {f"{_NOTES}{name}": array for name, array in (arrays or {}).items()}
        tensors = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
        with atomic_write(path) as file:
            file.write(save(tensors, {"soundalike": json.dumps(head)}))

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, model: StoredModel) -> GenreClassifier:
        """Read a classifier that was fitted to the embeddings of a model.

        Raises
        ------
        NoClassifier
            There is none, or its file is damaged.
        ModelMismatch
            It was fitted to the embeddings of another model.
        """
        return read_file(path, model=model)[0]


def read_file(
    path: str | os.PathLike[str], *, model: StoredModel
) -> tuple[GenreClassifier, dict[str, Any], dict[str, NDArray[Any]]]:
    """Read a classifier with the notes and arrays saved with it; raises as `load`."""
    from safetensors import SafetensorError

    file = Path(path)
    remedy = "`soundalike genres train` makes it"
    try:
        content = file.read_bytes()
    except FileNotFoundError as error:
        raise NoClassifier(f"there is no genre classifier {file}: {remedy}") from error
    except OSError as error:
        raise NoClassifier(f"{file} cannot be read: {error.strerror or error}") from error
    try:
        head, tensors = _parse(content)
        found = _restore(head, tensors)
        notes, trained_model = dict(head["notes"]), dict(head["model"])
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise NoClassifier(f"{file} is no genre classifier, or damaged: {remedy} again") from error
    if trained_model["fingerprint"] != model.fingerprint:
        raise ModelMismatch(
            f"{file} was trained on embeddings of the model {trained_model['name']}, the catalog's "
            f"are of {model.name}: {remedy} again"
        )
    arrays = {
        name.removeprefix(_NOTES): tensor
        for name, tensor in tensors.items()
        if name.startswith(_NOTES)
    }
    return found, notes, arrays


def encode(labels: Sequence[Label]) -> tuple[tuple[str, ...], Floats]:
    """Genres, sorted, and the share of each in each track (tracks, genres); rows sum to 1.

    Raises
    ------
    BadLabels
        A track has no genre.
    """
    of_tracks = [(label,) if isinstance(label, str) else tuple(label) for label in labels]
    if not all(of_tracks):
        raise BadLabels("a track has no genre: leave it out")
    classes = tuple(sorted({genre for genres in of_tracks for genre in genres}))
    column = {genre: index for index, genre in enumerate(classes)}
    targets = np.zeros((len(of_tracks), len(classes)))
    for row, genres in enumerate(of_tracks):
        for genre in set(genres):
            targets[row, column[genre]] = 1.0 / len(set(genres))
    return classes, targets


def artist_folds(
    targets: Floats, owners: NDArray[np.int64], *, count: int, random_state: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Rows to train and rows to test on, for each fold; no artist is in both, genres even.

    There are at most as many folds as the genre with the fewest artists has; none where every
    fold would leave fewer than two genres to learn from.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    main = targets.argmax(axis=1)
    artists = [len(np.unique(owners[main == genre])) for genre in np.unique(main)]
    count = min(count, max(2, min(artists)))
    with warnings.catch_warnings():
        # A genre with fewer tracks than folds is spread as far as it goes.
        warnings.simplefilter("ignore", UserWarning)
        split = StratifiedGroupKFold(count, shuffle=True, random_state=random_state)
        if len(np.unique(owners)) < count or max(np.bincount(main)) < count:
            return
        for train, held_out in split.split(main, main, owners):
            if len(held_out) and len(np.unique(main[train])) > 1:
                yield train, held_out


def sample_evenly(main: NDArray[np.int64], most: int, *, random_state: int) -> NDArray[np.int64]:
    """Rows of at most `most` tracks, ascending, drawn as evenly from all genres as can be.

    Parameters
    ----------
    main : int64 (tracks,)
        Number of each track's genre, of several that of one.
    """
    if len(main) <= most:
        return np.arange(len(main))
    shuffled = np.random.default_rng(random_state).permutation(len(main))
    turn = np.empty(len(main), dtype=np.int64)
    for genre in np.unique(main):
        own = shuffled[main[shuffled] == genre]
        turn[own] = np.arange(len(own))
    return np.sort(shuffled[np.argsort(turn[shuffled], kind="stable")[:most]])


def softmax(logits: Floats) -> Floats:
    """Probabilities (n, classes) of logits (n, classes)."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares


def log_loss(logits: Floats, targets: Floats) -> float:
    """Mean cross-entropy, with targets smoothed by 1/(tracks + 2) as Platt (1999) does.

    Without smoothing, tracks that are all classified right would make every probability 1.
    """
    smoothing = 1.0 / (len(targets) + 2)
    wanted = (1 - smoothing) * targets + smoothing / targets.shape[1]
    highest = logits.max(axis=1, keepdims=True)
    logs = logits - highest - np.log(np.exp(logits - highest).sum(axis=1, keepdims=True))
    return float(-(wanted * logs).sum(axis=1).mean())


def float_rows(vectors: ArrayLike, count: int | None = None) -> Floats:
    """Vectors as a float64 matrix.

    Raises
    ------
    BadVector
        They are none, are not finite, or are not `count`.
    """
    try:
        x = np.asarray(vectors, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BadVector(f"the vectors are not rows of numbers ({error})") from error
    if x.ndim != 2 or not x.size or not np.isfinite(x).all():
        raise BadVector(
            f"got vectors of shape {x.shape}, expected rows of finite numbers, one a track"
        )
    if count is not None and len(x) != count:
        raise BadVector(f"got {len(x)} vectors for {count} labels: give one for each")
    return x


def _fit(x: Floats, targets: Floats, strength: float) -> dict[str, Floats]:
    from sklearn.linear_model import LogisticRegression

    mean = x.mean(axis=0)
    # One scale for all dimensions: those of an embedding have a common unit, and on principal axes
    # a scale of each would make the last ones, which are mostly noise, as large as the first.
    scale = np.full(x.shape[1], float(np.sqrt(np.square(x - mean).mean())) or 1.0)
    tracks, genres = np.nonzero(targets)
    mass = targets.sum(axis=0)
    present = mass > 0
    # Rare genres count as much as frequent ones.
    weight = targets[tracks, genres] * len(x) / (present.sum() * mass[genres])
    with warnings.catch_warnings():
        # The exact minimum does not matter: held-out tracks decide, not the loss.
        warnings.filterwarnings("ignore", module="sklearn", message=".*converge")
        found = LogisticRegression(C=strength, max_iter=300).fit(
            ((x - mean) / scale)[tracks], genres, sample_weight=weight
        )
    weights, bias = found.coef_, found.intercept_
    if len(found.classes_) == 2:
        # scikit-learn gives the log odds of the second genre alone.
        weights, bias = np.vstack((-weights, weights)) / 2, np.concatenate((-bias, bias)) / 2
    return {
        "mean": mean,
        "scale": scale,
        "weights": _pad_to_genres(weights, present),
        # A genre without tracks to train on gets the lowest probability.
        "bias": _pad_to_genres(bias, present, absent=-20.0),
    }


def _pad_to_genres(values: Floats, present: NDArray[np.bool_], *, absent: float = 0.0) -> Floats:
    rows = np.full((len(present), *values.shape[1:]), absent)
    rows[present] = values
    return rows


def _logits(arrays: Mapping[str, Floats], x: Floats) -> Floats:
    found: Floats = (x - arrays["mean"]) / arrays["scale"] @ arrays["weights"].T + arrays["bias"]
    return found


def _parse(content: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Header and arrays of a classifier's file; a file of another format raises many things."""
    from safetensors.numpy import load

    size = int.from_bytes(content[:8], "little")
    head = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["soundalike"])
    if head["format"] != FORMAT:
        raise ValueError(f"the format is {head['format']}")
    return head, load(content)


def _restore(head: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> GenreClassifier:
    found = GenreClassifier()
    found.classes_ = tuple(map(str, head["classes"]))
    found.strength_, found.temperature_ = float(head["strength"]), float(head["temperature"])
    sizes = {"genres": len(found.classes_), "dim": len(tensors["mean"])}
    for name, axes in _SHAPES.items():
        if tensors[name].shape != tuple(sizes[axis] for axis in axes):
            raise ValueError(f"{name} has the shape {tensors[name].shape}")
    found._arrays = {name: tensors[name] for name in _SHAPES}  # noqa: SLF001 - a constructor of it
    return found
