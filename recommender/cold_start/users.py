"""Factors of users: those that the model has learned, and of new users from the items they like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix

from recommender.cold_start.regression.maps import fit_ridge
from recommender.cold_start.validation import refuse_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from recommender.cold_start.factors import CollaborativeModel
    from recommender.cold_start.regression.maps import Linear

LEARNED_FROM = 20_000
"""Most users that the map for new users is learned from, drawn at random."""


@dataclass(frozen=True)
class Users:
    """Users of a model, and a linear map from the mean factor of their items to their own factors.

    An item counts in the mean as often as it was played.

    Attributes
    ----------
    factors : float32 (users, factors)
    bias_column : int or None
        The column that is 1 for every user.
    have_plays : bool (users,)
    from_likes : Linear
    """

    factors: NDArray[np.float32]
    bias_column: int | None
    have_plays: NDArray[np.bool_]
    from_likes: Linear

    @classmethod
    def of(
        cls, model: CollaborativeModel, plays: csr_matrix, factors: NDArray[np.float32]
    ) -> Users:
        """Users of a model by the plays (users, items) that it was fitted on.

        Parameters
        ----------
        factors : float32 (items, factors)
            The factors that items are ranked by.
        """
        have_plays = np.diff(plays.indptr) > 0
        some = np.random.default_rng(0).permutation(np.flatnonzero(have_plays))[:LEARNED_FROM]
        means = _mean_factors(plays[some], factors)
        weights = np.ones(len(some), np.float32)
        found = fit_ridge(means, model.users[some], weights, (1e-6,))[0]
        return cls(model.users, model.bias_column, have_plays, found)

    def factors_from_likes(
        self, liked: csr_matrix, factors: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Factors (users, factors) of users who like some items (users, items)."""
        found: NDArray[np.float32] = np.asarray(
            self.from_likes(_mean_factors(liked, factors)), np.float32
        )
        if self.bias_column is not None:
            found[:, self.bias_column] = 1.0
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
        servable : bool (items,)
            Items that have factors; plays of others are left out.
        recalculate : bool
            Compute factors from `liked` rather than take the model's.

        Raises
        ------
        BadFactors
            Plays to compute factors from are below 0, NaN or infinite.
        """
        known = (rows >= 0) & self.have_plays[rows]
        queries = self.factors[np.where(known, rows, 0)]
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
