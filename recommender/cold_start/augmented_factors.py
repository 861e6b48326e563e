"""Factors of a collaborative-filtering model with content vectors beside them; see `blend`."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.errors import BadFactors
from recommender.cold_start.artist_effects import ArtistEffects
from recommender.cold_start.blend import (
    Blend,
    Scales,
    balance,
    choose_blend,
    new_factors,
    old_factors,
)
from recommender.cold_start.content_route import ContentRoute, RouteSettings, fit_route
from recommender.cold_start.item_step import step_items
from recommender.cold_start.least_squares import confidence_matrix
from recommender.cold_start.regression.folds import group_numbers
from recommender.cold_start.route_choice import RouteChoice, choose_route
from recommender.cold_start.top_n import Route, route_codes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from recommender.cold_start.factors import CollaborativeModel

    Array = NDArray[np.float32]


@dataclass(frozen=True)
class AugmentedFactors:
    """What a model and the content of its items were found to say together.

    Attributes
    ----------
    model : CollaborativeModel
        Factors of users with their content vectors, and of items with theirs.
    sources : int8 (items,)
        Where the factors of each item come from; indices in `top_n.ROUTES`, -1 for nothing.
    content : ContentRoute
    choice : RouteChoice
    blend : Blend
    scales : Scales
    mean : float32 (factors,)
        The model's mean item, which an item without plays starts from.
    artists : ArtistEffects
    """

    model: CollaborativeModel
    sources: NDArray[np.int8]
    content: ContentRoute
    choice: RouteChoice
    blend: Blend
    scales: Scales
    mean: Array
    artists: ArtistEffects

    def new_items(
        self, embeddings: Array, artists: Sequence[str | None] | None = None
    ) -> tuple[Array, NDArray[np.int8]]:
        """Factors (n, factors) of items without plays, and where they come from.

        Parameters
        ----------
        embeddings : float32 (n, dim)
        artists : names, optional
            As `artist_keys` gives them.
        """
        vectors = self.content.item_vectors(embeddings)
        return _new_items(self.mean, self.scales, self.artists, vectors, artists)

    def with_plays(self, items: Array, plays: csr_matrix) -> Array:
        """Factors (n, factors) of items, moved by the item step.

        Parameters
        ----------
        items : float32 (n, factors)
            Their factors before.
        plays : csr (n, users)
        """
        return _step(
            items,
            confidence_matrix(plays, self.choice.settings.confidence),
            self.model.users,
            self.mean,
            self.scales,
            self.blend,
        )


def artist_keys(names: Sequence[Any]) -> list[str | None]:
    """Names of artists without what they may be spelt differently by; None where not known."""
    return [None if name is None else str(name).strip().casefold() for name in names]


def augment(
    model: CollaborativeModel,
    plays: csr_matrix,
    embeddings: Array,
    known: NDArray[np.bool_],
    artists: Sequence[str | None],
    exposure: Array,
    *,
    route: RouteSettings | None,
    content_weight: float | None,
    seed: int,
) -> AugmentedFactors:
    """Learn a content route beside a model, and give all of the model's items their factors.

    Parameters
    ----------
    model : CollaborativeModel
    plays : csr (users, items)
    embeddings : float32 (items, dim)
    known : bool (items,)
        Which items have an embedding.
    artists : names (items,)
        As `artist_keys` gives them.
    exposure : float32 (items,)
        From 0 to 1; see `HybridRecommender`.
    route, content_weight : optional
        Fixed rather than chosen.

    Raises
    ------
    BadFactors
        No item has both plays and an embedding.
    """
    counts = np.bincount(plays.indices, minlength=len(known))
    learned = known & (counts > 0)
    if not learned.any():
        raise BadFactors("no item has both plays in user_items and a row in embeddings")
    labels = group_numbers(artists, len(known))
    inside, some = plays[:, learned].tocsr(), embeddings[learned]
    choice = RouteChoice(route) if route else choose_route(inside, some, labels[learned], seed=seed)
    if not choice.personal:
        warnings.warn(
            "embeddings do not tell what a user plays from what others play, so new items rank as "
            "average items: are their rows in the order of the columns of user_items?",
            RuntimeWarning,
            stacklevel=4,
        )
    blend = choose_blend(choice.settings, inside, some, labels[learned], seed=seed)
    if content_weight is not None:
        blend = replace(blend, content_weight=content_weight, shrinkage=0.0)
    content, users = fit_route(choice.settings, inside, some, seed=seed)
    users *= balance(model.users, users)
    vectors = content.item_vectors(embeddings)
    scales = Scales.of(
        model.users,
        model.items[learned],
        users,
        vectors[learned],
        inside,
        blend.content_weight,
        personal=choice.personal,
    )
    effects = ArtistEffects.of(
        [name if use else None for name, use in zip(artists, learned, strict=True)],
        model.items,
        counts,
        blend.artist_shrinkage,
    )
    mean = model.items[counts > 0].mean(0)
    both = replace(model, users=np.hstack([model.users, users]))
    found = AugmentedFactors(
        both, np.full(len(known), -1, np.int8), content, choice, blend, scales, mean, effects
    )
    return _with_items(found, model.items, plays, vectors, known, artists, exposure, seed=seed)


def _with_items(
    learned: AugmentedFactors,
    own: Array,
    plays: csr_matrix,
    vectors: Array,
    known: NDArray[np.bool_],
    artists: Sequence[str | None],
    exposure: Array,
    *,
    seed: int,
) -> AugmentedFactors:
    """The same with factors of the model's items, and where they come from.

    Parameters
    ----------
    own : float32 (items, factors)
        The model's.
    vectors : float32 (items, directions)
        Content vectors.
    """
    model, scales, blend = learned.model, learned.scales, learned.blend
    counts = np.bincount(plays.indices, minlength=len(known))
    items = np.hstack([own, np.zeros_like(vectors)])
    played, unplayed = known & (counts > 0), known & (counts == 0)
    alone = new_factors(learned.mean, scales, vectors[played])
    items[played] = old_factors(
        own[played], alone, scales, vectors[played], counts[played], blend.shrinkage
    )
    recent = played & (exposure < 1)
    predicted, sources = _new_items(
        learned.mean,
        scales,
        learned.artists,
        vectors[unplayed | recent],
        [artists[row] for row in np.flatnonzero(unplayed | recent).tolist()],
    )
    new = np.zeros_like(items)
    new[unplayed | recent] = predicted
    items[unplayed] = new[unplayed]
    if recent.any():
        stepped = _step(
            new[recent],
            confidence_matrix(plays, learned.choice.settings.confidence)[:, recent].T.tocsr(),
            model.users,
            learned.mean,
            scales,
            blend,
            seed=seed,
        )
        share = exposure[recent, None]
        items[recent] = share * items[recent] + (1 - share) * stepped
    codes = learned.sources.copy()
    codes[unplayed | recent] = sources
    codes[counts > 0] = route_codes([Route.PLAYS])[0]
    codes[played] = route_codes([Route.BLEND])[0]
    return replace(learned, model=replace(model, items=items), sources=codes)


def _new_items(
    mean: Array,
    scales: Scales,
    effects: ArtistEffects,
    vectors: Array,
    artists: Sequence[str | None] | None,
) -> tuple[Array, NDArray[np.int8]]:
    """[m, n b] for each content vector b, moved towards the artist's other items."""
    alone = new_factors(mean, scales, vectors)
    names = [None] * len(vectors) if artists is None else artists
    found, moved = effects.apply(alone, np.float32(scales.old) * vectors, names)
    codes = route_codes([Route.SOUND, Route.ARTIST])
    return found, codes[moved.astype(np.int64)]


def _step(
    items: Array,
    by_item: csr_matrix,
    users: Array,
    mean: Array,
    scales: Scales,
    blend: Blend,
    *,
    seed: int = 0,
) -> Array:
    own = users[:, : len(mean)]
    return step_items(
        items,
        by_item,
        users,
        own @ mean + np.float32(scales.play),
        blend.step_penalty * float((own**2).sum(1).mean()),
        seed=seed,
    )
