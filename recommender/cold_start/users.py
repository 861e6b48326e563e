"""Factors of users: those that the model has learned, and of new users from the items they like."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix

from recommender.cold_start.regression.maps import fit_ridge
from recommender.cold_start.validation import refuse_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from recommender.cold_start.factors import CollaborativeModel

LEARNED_FROM = 20_000
"""Most users that the map for new users is learned from, drawn at random."""


class Users:
    """Users of a model, and a linear map from the mean factor of their items to their own factors.

    An item counts in the mean as often as it was played.

    Parameters
    ----------
    model : Collaborative
    plays : csr (users, items)
        The plays that the model was fitted on.
    factors : float32 (items, factors)
        The factors that items are ranked by.
    """

    def __init__(
        self, model: CollaborativeModel, plays: csr_matrix, factors: NDArray[np.float32]
    ) -> None:
        self._model = model
        self.have_plays: NDArray[np.bool_] = np.diff(plays.indptr) > 0
        some = np.random.default_rng(0).permutation(np.flatnonzero(self.have_plays))[:LEARNED_FROM]
        means = _mean_factors(plays[some], factors)
        weights = np.ones(len(some), np.float32)
        self._map = fit_ridge(means, model.users[some], weights, (1e-6,))[0]

    def factors_from_likes(
        self, liked: csr_matrix, factors: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Factors (users, factors) of users who like some items (users, items)."""
        found: NDArray[np.float32] = np.asarray(
            self._map(_mean_factors(liked, factors)), np.float32
        )
        if self._model.bias_column is not None:
            found[:, self._model.bias_column] = 1.0
        return found

    def user_factors(
        self,
        rows: NDArray[np.int64],
        liked: csr_matrix | None,
        factors: NDArray[np.float32],
        servable: NDArray[np.bool_],
        *,
        recalculate: bool,
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Factors of users by row (-1: unknown), and which of the users have any.

        Parameters
        ----------
        liked : csr (len(rows), items), optional
            What the users have played by now.
        telling : bool (items,)
            Items that have factors; plays of others are left out.
        recalculate : bool
            Compute factors from `liked` rather than take the model's.

        Raises
        ------
        BadFactors
            Plays to compute factors from are below 0, NaN or infinite.
        """
        known = (rows >= 0) & self.have_plays[rows]
        queries = self._model.users[np.where(known, rows, 0)]
        # A user without plays when the model was fitted may have some by now.
        fresh = np.full(len(rows), recalculate) | ((rows >= 0) & ~known)
        if liked is not None and fresh.any():
            kept_plays = _keep_items(liked, servable)
            fresh &= np.diff(kept_plays.indptr) > 0
            _refuse_dislikes(kept_plays, fresh)
            queries[fresh] = self.factors_from_likes(kept_plays[fresh], factors)
            known = fresh if recalculate else known | fresh
        return queries, known


def _keep_items(liked: csr_matrix, servable: NDArray[np.bool_]) -> csr_matrix:
    """Plays of some items only."""
    kept = servable[liked.indices]
    if kept.all():
        return liked
    before = np.concatenate([[0], np.cumsum(kept)])
    return csr_matrix((liked.data[kept], liked.indices[kept], before[liked.indptr]), liked.shape)


def _mean_factors(liked: csr_matrix, factors: NDArray[np.float32]) -> NDArray[np.float32]:
    # A model may have been fitted on dislikes, below 0: they do not count as plays.
    plays = np.maximum(liked.data.astype(np.float64), 0)
    user = np.repeat(np.arange(liked.shape[0]), np.diff(liked.indptr))
    totals = np.bincount(user, plays, minlength=liked.shape[0])
    shares = (plays / np.maximum(totals, 1e-300)[user]).astype(np.float32)
    shared = csr_matrix((shares, liked.indices, liked.indptr), liked.shape)
    return np.asarray(shared @ factors[: liked.shape[1]], np.float32)


def _refuse_dislikes(liked: csr_matrix, asked: NDArray[np.bool_]) -> None:
    user = np.repeat(np.arange(liked.shape[0]), np.diff(liked.indptr))
    for what, wrong in (
        ("NaN or infinity", ~np.isfinite(liked.data)),
        ("a number below 0, which is no play,", liked.data < 0),
    ):
        there = np.zeros(liked.shape[0], bool)
        there[user[wrong]] = True
        refuse_rows("user_items", what, there & asked)
