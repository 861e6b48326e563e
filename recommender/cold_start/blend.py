"""Weights of plays and content in one score, and how an item goes over from one to the other.

Vectors of users are [x, u]: the model's factors and the content route's. Those of items are

    new = [m, n b]     an item without plays: m is the mean item's, so that it starts as an average
                       item, and b the content vector;
    old = c / (c + k) [y, a b] + k / (c + k) new
                       an item with c plays: y are the model's factors;
    e old + (1 - e) step
                       an item of exposure e: `step` is the item step around `new`.

Content scores have a scale of their own. They are compared with the model's by their spread: how
far the top percentile of the items that a user has not played lies above the user's mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_matrix

from recommender.cold_start.artist_effects import SHRINKAGES, ArtistEffects
from recommender.cold_start.content_route import PENALTY, RouteSettings, fit_route
from recommender.cold_start.item_step import step_items
from recommender.cold_start.least_squares import alternate, confidence_matrix
from recommender.cold_start.ranking_quality import ndcg
from recommender.cold_start.regression.folds import split_by_group

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

TOP, SAMPLE = 0.99, 300
"""Quantile that a spread reaches to; most users that it is measured on."""
PLAY = 3.0
"""Score of a play, in spreads above the mean: implicit's least squares, whose plays count 1, has a
spread of a third on public plays."""
CONTENT_WEIGHTS = (0.0, 0.1, 0.25, 0.5, 1.0)
"""Choices of the spread of content, in spreads of the model, for items with plays."""
SHRINKAGE_CONSTANTS = (0.0, 1.0, 2.0, 5.0, 10.0)
"""Choices of k: the plays at which an item's own factors and the prediction weigh the same."""
STEP_PENALTIES = (30.0, 100.0, 300.0, 1000.0, 3000.0)
"""Choices of l of the item step, for users' vectors whose squared length is 1 on average."""
KEPT_PLAYS = (1, 2, 5, 10, 20)
"""Plays left to held-out items while the penalty is chosen."""
HIDDEN, RANK, USERS, ASKED, FEWEST = 0.2, 64, 20_000, 1000, 10
"""Share of plays hidden; factors of the model that stands in for the caller's; users learned from
and asked about at most; fewest held-out items."""


@dataclass(frozen=True)
class Blend:
    """How plays and content are weighed.

    Attributes
    ----------
    content_weight : float
        Spread of content scores in spreads of the model's, for items with plays.
    shrinkage : float
        k above.
    step_penalty, artist_shrinkage : float
        Of the item step, and of `artist_effects`.
    by_weight : dict of (float, float) to float
        nDCG@20 of hidden plays of old items, for each content weight and k.
    by_penalty : dict of float to (float, float)
        Mean nDCG@20 of held-out items with 1 to 20 plays, for each penalty and for content alone
        (infinity): among each other, and among all items.
    """

    content_weight: float = 1.0
    shrinkage: float = 0.0
    step_penalty: float = 300.0
    artist_shrinkage: float = float("inf")
    by_weight: dict[tuple[float, float], float] | None = None
    by_penalty: dict[float, tuple[float, float]] | None = None


@dataclass(frozen=True)
class Scales:
    """Factors that bring content vectors to the scale of a model's scores.

    Attributes
    ----------
    old, new : float
        Of the content vectors of items with and without plays.
    play : float
        Score of a play above the score of the mean item.
    """

    old: float
    new: float
    play: float

    @classmethod
    def of(
        cls,
        users: Array,
        items: Array,
        content_users: Array,
        content_items: Array,
        plays: csr_matrix,
        content_weight: float,
        *,
        personal: bool = True,
    ) -> Scales:
        """Scales for a model's factors and content vectors of the same users and items.

        New items are spread as old ones are, so that they come first as often; where content tells
        users apart no better than chance (`personal`), they all stay at the mean.
        """
        own, content = spread(users, items, plays), spread(content_users, content_items, plays)
        ratio = own / max(content, 1e-12)
        old = content_weight * ratio
        mixed = spread(
            np.hstack([users, content_users]), np.hstack([items, old * content_items]), plays
        )
        return cls(old, mixed / max(content, 1e-12) if personal else 0.0, PLAY * mixed)


def new_factors(mean: Array, scales: Scales, content: Array) -> Array:
    """[m, n b] for each content vector b (items, directions)."""
    return np.hstack([np.tile(mean, (len(content), 1)), np.float32(scales.new) * content])


def old_factors(
    items: Array,
    new: Array,
    scales: Scales,
    content: Array,
    counts: NDArray[np.int64],
    k: float,
) -> Array:
    """Factors of items that so many users (items,) have played; see above.

    Parameters
    ----------
    items : float32 (items, factors)
        The model's.
    new : float32 (items, factors and directions)
        As the items would start without plays.
    content : float32 (items, directions)
    """
    own = np.hstack([items, np.float32(scales.old) * content])
    share = (counts / np.maximum(counts + k, 1e-12)).astype(np.float32)[:, None]
    return np.asarray(share * own + (1 - share) * new, np.float32)


def spread(users: Array, items: Array, plays: csr_matrix) -> float:
    """Mean distance of the top percentile of a user's unplayed items from the user's mean score."""
    people = np.flatnonzero(np.diff(plays.indptr))
    people = np.random.default_rng(0).permutation(people)[:SAMPLE]
    scores = users[people] @ items.T
    unplayed = plays[people].toarray() == 0
    found = [
        float(np.quantile(own[open_], TOP) - own[open_].mean())
        for own, open_ in zip(scores, unplayed, strict=True)
        if open_.any()
    ]
    return float(np.mean(found)) if found else 0.0


def balance(users: Array, content_users: Array) -> np.float32:
    """Factor that gives content vectors of users the length of the model's factors."""
    return np.float32(_length(users) / max(_length(content_users), 1e-12))


def choose_blend(
    settings: RouteSettings,
    plays: csr_matrix,
    embeddings: Array,
    labels: NDArray[np.int64],
    *,
    seed: int,
) -> Blend:
    """Choose the content weight and the item step's penalty.

    A third of the items is held out, and a fifth of the plays of the others hidden; a model by
    alternating least squares and a content route learn from the rest. The content weight and k are
    those that rank the hidden plays best. The penalty is the one that ranks held-out items with 1
    to 20 plays best among each other, of those that at no number of plays rank them lower among all
    items than content alone does. The shrinkage of artists is the one that ranks single held-out
    items best whose artists have others.

    Parameters
    ----------
    settings : RouteSettings
        Of the route.
    plays, embeddings, labels
        As in `route_choice.choose_route`.
    """
    folds = split_by_group(labels, 3, seed)
    if not folds or len(folds[0][1]) < FEWEST:
        return Blend()
    of_artists = _choose_artist_shrinkage(settings, plays, embeddings, labels, seed)
    rng = np.random.default_rng(seed)
    people = np.sort(rng.permutation(np.flatnonzero(np.diff(plays.indptr)))[:USERS])
    trial = _Trial(settings, plays[people], embeddings, folds[0], rng, seed)
    by_weight = {
        (weight, k): trial.quality_of_old(weight, k)
        for weight, k in product(CONTENT_WEIGHTS, SHRINKAGE_CONSTANTS)
        if weight or not k
    }
    if not np.isfinite(list(by_weight.values())).all():
        return Blend()
    weight, k = max(by_weight, key=by_weight.__getitem__)
    old = trial.old_scores(weight, k)
    content = trial.quality_of_thinned(weight, old, float("inf"))
    found = {one: trial.quality_of_thinned(weight, old, one) for one in STEP_PENALTIES}
    if not len(content):
        return Blend(weight, k, artist_shrinkage=of_artists, by_weight=by_weight)
    safe = [one for one in STEP_PENALTIES if (found[one][:, 1] >= content[:, 1]).all()]
    best = max(safe or STEP_PENALTIES[-1:], key=lambda one: found[one][:, 0].mean())
    found[float("inf")] = content
    means = {one: (float(q[:, 0].mean()), float(q[:, 1].mean())) for one, q in found.items()}
    return Blend(weight, k, best, of_artists, by_weight, means)


def _choose_artist_shrinkage(
    settings: RouteSettings,
    plays: csr_matrix,
    embeddings: Array,
    labels: NDArray[np.int64],
    seed: int,
) -> float:
    sizes = np.bincount(labels)[labels]
    if (sizes > 1).sum() < 3 * FEWEST:
        return float("inf")
    rng = np.random.default_rng(seed)
    people = np.sort(rng.permutation(np.flatnonzero(np.diff(plays.indptr)))[:USERS])
    fold = split_by_group(np.arange(len(labels)), 3, seed)[0]
    trial = _Trial(settings, plays[people], embeddings, fold, rng, seed)
    quality = {one: trial.quality_of_artists(labels, one) for one in SHRINKAGES}
    return max(quality, key=quality.__getitem__) if np.isfinite(quality[SHRINKAGES[0]]) else np.inf


class _Trial:
    """A model and a content route that know nothing of some items and of some plays."""

    def __init__(
        self,
        settings: RouteSettings,
        plays: csr_matrix,
        embeddings: Array,
        fold: tuple[NDArray[np.int64], NDArray[np.int64]],
        rng: np.random.Generator,
        seed: int,
    ) -> None:
        train, test = fold
        inside = plays[:, train].tocoo()
        hidden = rng.random(inside.nnz) < HIDDEN
        known, self.hidden = (_part(inside, which) for which in (~hidden, hidden))
        kept = np.flatnonzero(np.bincount(known.indices, minlength=len(train)))
        self.known, self.hidden = known[:, kept].tocsr(), self.hidden[:, kept].tocsr()
        confidence = confidence_matrix(self.known, settings.confidence)
        rank = max(1, min(RANK, *confidence.shape))
        self.users, self.items = alternate(confidence, rank, PENALTY, seed=seed)
        rows = train[kept]
        self.rows, self.test = rows, test
        self.route, self.content_users = fit_route(
            settings, self.known, embeddings[rows], seed=seed
        )
        self.content_users *= balance(self.users, self.content_users)
        self.old = self.route.item_vectors(embeddings[rows])
        self.new = self.route.item_vectors(embeddings[test])
        people = np.flatnonzero(np.diff(self.known.indptr))
        self.asked = np.sort(rng.permutation(people)[:ASKED])
        self.cold = confidence_matrix(plays[:, test].tocsr(), settings.confidence)
        self.rng = rng
        self._scales: dict[float, Scales] = {}  # by weight: they take longer than what asks them

    def scales(self, weight: float) -> Scales:
        """Scales of content with this weight."""
        if weight not in self._scales:
            self._scales[weight] = Scales.of(
                self.users, self.items, self.content_users, self.old, self.known, weight
            )
        return self._scales[weight]

    def old_scores(self, weight: float, k: float) -> Array:
        """Scores of old items for the users asked; minus infinity for what they have played."""
        scales = self.scales(weight)
        new = new_factors(self.items.mean(0), scales, self.old)
        counts = np.bincount(self.known.indices, minlength=len(self.items))
        items = old_factors(self.items, new, scales, self.old, counts, k)
        scores = np.hstack([self.users, self.content_users])[self.asked] @ items.T
        scores[self.known[self.asked].nonzero()] = -np.inf
        return np.asarray(scores, np.float32)

    def quality_of_old(self, weight: float, k: float) -> float:
        """Mean nDCG@20 of hidden plays."""
        quality = ndcg(self.old_scores(weight, k), self.hidden[self.asked])
        return float(np.nanmean(quality)) if np.isfinite(quality).any() else float("nan")

    def quality_of_artists(self, labels: NDArray[np.int64], shrinkage: float) -> float:
        """Mean nDCG@20 of held-out items whose artists have others, among each other."""
        inside = np.flatnonzero(np.isin(labels[self.test], labels[self.rows]))
        if len(inside) < FEWEST:
            return float("nan")
        counts = np.bincount(self.known.indices, minlength=len(self.rows))
        names = labels[self.rows].tolist()
        effects = ArtistEffects.of(names, self.items, counts, shrinkage)
        scales, content = self.scales(1.0), self.new[inside]
        new = new_factors(self.items.mean(0), scales, content)
        old = np.float32(scales.old) * content
        found, _ = effects.apply(new, old, labels[self.test][inside].tolist())
        users = np.hstack([self.users, self.content_users])[self.asked]
        relevant = self.cold[self.asked][:, inside].tocsr()
        return float(np.nanmean(ndcg(users @ found.T, relevant)))

    def quality_of_thinned(self, weight: float, old: Array, penalty: float) -> NDArray[Any]:
        """Mean nDCG@20 (numbers of plays, 2) of held-out items, among each other and among all."""
        scales = self.scales(weight)
        mean = self.items.mean(0)
        both = np.hstack([self.users, self.content_users])
        by_item = self.cold.T.tocsr()
        rng = np.random.default_rng(0)
        found = []
        for kept in KEPT_PLAYS:
            rows = np.flatnonzero(np.diff(by_item.indptr) >= 2 * kept)
            if len(rows) < FEWEST:
                break
            few, others = _first_plays(by_item[rows], kept, rng)
            predicted = new_factors(mean, scales, self.new[rows])
            if np.isfinite(penalty):
                predicted = step_items(
                    predicted,
                    few,
                    both,
                    self.users @ mean + np.float32(scales.play),
                    penalty * _length(self.users) ** 2,
                )
            scores = np.asarray(both[self.asked] @ predicted.T, np.float32)
            scores[few.T.tocsr()[self.asked].nonzero()] = -np.inf
            relevant = others.T.tocsr()[self.asked]
            alone = np.nanmean(ndcg(scores, relevant))
            found.append((alone, np.nanmean(ndcg(np.hstack([scores, old]), relevant))))
        return np.array(found)


def _first_plays(
    by_item: csr_matrix, kept: int, rng: np.random.Generator
) -> tuple[csr_matrix, csr_matrix]:
    """So many plays of each item, drawn at random, and the others."""
    pairs = by_item.tocoo()
    order = np.lexsort((rng.random(pairs.nnz), pairs.row))
    number = np.empty(pairs.nnz, np.int64)
    number[order] = np.arange(pairs.nnz) - np.repeat(by_item.indptr[:-1], np.diff(by_item.indptr))
    return _part(pairs, number < kept), _part(pairs, number >= kept)


def _part(pairs: Any, which: NDArray[np.bool_]) -> csr_matrix:
    return csr_matrix((pairs.data[which], (pairs.row[which], pairs.col[which])), pairs.shape)


def _length(vectors: Array) -> float:
    return float(np.sqrt((vectors.astype(np.float64) ** 2).sum(1).mean()))
