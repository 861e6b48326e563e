"""Settings of a content route, chosen by cross-validation over items, whole artists held out.

The rule: of the settings tried, those with the highest nDCG@20 of held-out items, averaged over
users. Confidence and rank are chosen first, with linear features; then the penalties of each kind
of features; then the kind, and the weights of the three scores. The cosine alone and the ridge
alone are among the choices, so that the route does not fall below either where it is the best.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from indexer.vectors.unit_vectors import unit_rows
from recommender.cold_start.content_features import KERNEL, LINEAR, fit_features
from recommender.cold_start.content_route import (
    PENALTY,
    PlayRidge,
    RouteSettings,
    fit_factor_map,
)
from recommender.cold_start.least_squares import alternate, confidence_matrix
from recommender.cold_start.ranking_quality import ndcg
from recommender.cold_start.regression.folds import split_by_group

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from recommender.cold_start.regression.folds import Fold

    Array = NDArray[np.float32]

FOLDS, FEWEST_ITEMS = 3, 30
"""Folds over items; with fewer items than that nothing is chosen."""
USERS, ASKED = 20_000, 1000
"""Most users that are learned from, and most that are asked about, drawn at random."""
CONFIDENCES, RANKS = (5.0, 20.0, 60.0), (64, 128)
MAP_PENALTIES = {LINEAR: (10.0, 30.0, 100.0, 300.0), KERNEL: (10.0, 30.0, 100.0, 300.0)}
RIDGE_PENALTIES = (0.3, 1.0, 3.0, 10.0, 30.0)
WEIGHTS = (
    *((1.0, *rest) for rest in product((0.0, 0.25, 0.5, 1.0, 2.0), (0.0, 0.1, 0.25, 0.5, 1.0))),
    *((0.0, 1.0, cosine) for cosine in (0.0, 0.1, 0.25, 0.5, 1.0, 2.0)),
    (0.0, 0.0, 1.0),
)
COSINE_ALONE = WEIGHTS[-1]


@dataclass(frozen=True)
class RouteChoice:
    """The settings chosen, and what they were chosen by.

    Attributes
    ----------
    settings : RouteSettings
    quality : dict of str to float
        Mean nDCG@20 of held-out items: of the settings chosen ("chosen"), of the best map, of the
        best ridge, of the cosine, and of scores that are the same for every user ("anybody"); empty
        where there was too little to choose by.
    personal : bool
        Whether the scores chosen find more than another user's scores do, by more than two standard
        errors of the difference.
    """

    settings: RouteSettings
    quality: dict[str, float] = field(default_factory=dict)
    personal: bool = True


class _HeldOut:
    """Items left out, and scores that routes learned from the others give them."""

    def __init__(
        self, plays: csr_matrix, embeddings: Array, fold: Fold, rng: np.random.Generator, seed: int
    ) -> None:
        train, test = fold
        relevant = plays[:, test].tocsr()
        self.seed, self.embeddings = seed, embeddings[train]
        self.new = embeddings[test]
        self.plays = plays[:, train].tocsr()
        both = (np.diff(self.plays.indptr) > 0) & (np.diff(relevant.indptr) > 0)
        self.asked = np.sort(rng.permutation(np.flatnonzero(both))[:ASKED])
        self.relevant = relevant[self.asked]
        self._factors: dict[tuple[float, int], Array] = {}
        self._features: dict[str, tuple[Array, Array]] = {}

    def map_scores(self, settings: RouteSettings) -> Array:
        """Scores (asked, new items) by the map alone."""
        confidence = confidence_matrix(self.plays, settings.confidence)
        key = settings.confidence, settings.rank
        if key not in self._factors:
            rank = max(1, min(settings.rank, *self.plays.shape))
            self._factors[key] = alternate(confidence, rank, PENALTY, seed=self.seed)[0]
        known, new = self._both(settings.kind)
        mapping, users = fit_factor_map(known, self._factors[key], confidence, settings.map_penalty)
        return np.asarray(users[self.asked] @ (new @ mapping).T)

    def ridge_scores(self, kind: str) -> list[Array]:
        """Scores by the ridge alone, with each penalty."""
        known, new = self._both(kind)
        ridge = PlayRidge.of(known)
        profiles = self._levels() @ known
        return [profiles @ (ridge.inverse(one) @ new.T) for one in RIDGE_PENALTIES]

    def cosine_scores(self) -> Array:
        """Cosine to the mean embedding of the user's items."""
        return unit_rows(self._levels() @ unit_rows(self.embeddings)) @ unit_rows(self.new).T

    def _levels(self) -> csr_matrix:
        return confidence_matrix(self.plays, 1.0)[self.asked]

    def _both(self, kind: str) -> tuple[Array, Array]:
        if kind not in self._features:
            features = fit_features(kind, self.embeddings, seed=self.seed)
            self._features[kind] = features(self.embeddings), features(self.new)
        return self._features[kind]


def choose_route(
    plays: csr_matrix, embeddings: Array, labels: NDArray[np.int64], *, seed: int
) -> RouteChoice:
    """Choose the settings of a content route.

    Parameters
    ----------
    plays : csr (users, items)
        Every item has plays and an embedding.
    embeddings : float32 (items, dim)
    labels : int64 (items,)
        Items of one label, an artist, are held out together.
    """
    folds = split_by_group(labels, FOLDS, seed) if len(embeddings) >= FEWEST_ITEMS else []
    rng = np.random.default_rng(seed)
    people = np.flatnonzero(np.diff(plays.indptr))
    some = plays[np.sort(rng.permutation(people)[:USERS])]
    held = [_HeldOut(some, embeddings, fold, rng, seed) for fold in folds]
    held = [one for one in held if len(one.asked)]
    if not held:
        return RouteChoice(RouteSettings(LINEAR, map_penalty=100.0, ridge_penalty=10.0))
    settings = RouteSettings(LINEAR, map_penalty=MAP_PENALTIES[LINEAR][1])

    def best(tried: list[RouteSettings]) -> RouteSettings:
        return max(tried, key=lambda one: _mean([h.map_scores(one) for h in held], held))

    settings = best([replace(settings, confidence=confidence) for confidence in CONFIDENCES])
    settings = best([replace(settings, rank=rank) for rank in RANKS])
    found = [_choose_weights(kind, settings, held) for kind in (LINEAR, KERNEL)]
    chosen, quality, scores = max(found, key=lambda one: one[1]["chosen"])
    quality["cosine"] = _mean([one.cosine_scores() for one in held], held)
    gain = np.concatenate(
        [
            ndcg(own, one.relevant) - ndcg(np.roll(own, 1, axis=0), one.relevant)
            for own, one in zip(scores, held, strict=True)
        ]
    )
    quality["anybody"] = quality["chosen"] - float(gain.mean())
    personal = bool(gain.mean() > 2 * gain.std() / len(gain) ** 0.5)
    return RouteChoice(chosen, quality, personal)


def _choose_weights(
    kind: str, settings: RouteSettings, held: list[_HeldOut]
) -> tuple[RouteSettings, dict[str, float], list[Array]]:
    """Settings with features of one kind, their quality, and their scores."""
    by_map = {
        penalty: [one.map_scores(replace(settings, kind=kind, map_penalty=penalty)) for one in held]
        for penalty in MAP_PENALTIES[kind]
    }
    quality = {f"map {penalty:g}": _mean(scores, held) for penalty, scores in by_map.items()}
    map_penalty = max(by_map, key=lambda penalty: quality[f"map {penalty:g}"])
    by_ridge = dict(
        zip(
            RIDGE_PENALTIES,
            zip(*(one.ridge_scores(kind) for one in held), strict=True),
            strict=True,
        )
    )
    ridges = {penalty: _mean(scores, held) for penalty, scores in by_ridge.items()}
    ridge_penalty = max(ridges, key=ridges.__getitem__)
    parts = [
        [part / max(float(part.std()), 1e-12) for part in own]
        for own in zip(
            by_map[map_penalty],
            by_ridge[ridge_penalty],
            (one.cosine_scores() for one in held),
            strict=True,
        )
    ]

    def mixed(weights: tuple[float, float, float]) -> list[Array]:
        return [
            np.asarray(sum(np.float32(w) * part for w, part in zip(weights, own, strict=True) if w))
            for own in parts
        ]

    qualities = {weights: _mean(mixed(weights), held) for weights in WEIGHTS}
    weights = max(qualities, key=qualities.__getitem__)
    chosen = replace(
        settings,
        kind=kind,
        map_penalty=map_penalty,
        ridge_penalty=ridge_penalty,
        weights=weights,
    )
    best = {
        "chosen": qualities[weights],
        "map": quality[f"map {map_penalty:g}"],
        "ridge": ridges[ridge_penalty],
    }
    return chosen, best, mixed(weights)


def _mean(scores: Sequence[Array], held: list[_HeldOut]) -> float:
    """Mean nDCG over the users of all folds."""
    return float(
        np.concatenate(
            [ndcg(own, one.relevant) for own, one in zip(scores, held, strict=True)]
        ).mean()
    )
