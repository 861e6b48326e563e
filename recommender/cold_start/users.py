"""Factors of listeners: those of the model, and of new ones from what they like."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix

from recommender.cold_start.maps import fit_ridge
from recommender.cold_start.validation import refuse_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from recommender.cold_start.factors import Collaborative

LEARNED_FROM = 20_000
"""Listeners at most that the map for new ones is learned from, drawn at random."""


class Users:
    """The listeners of a model, and a linear map from the mean factor of what is liked.

    An item counts as often in the mean as it was played.

    Parameters
    ----------
    model : Collaborative
    plays : csr (listeners, items)
        That the model was fitted on.
    factors : float32 (items, factors)
        That items are ranked by.
    """

    def __init__(
        self, model: Collaborative, plays: csr_matrix, factors: NDArray[np.float32]
    ) -> None:
        self._model = model
        self.have_plays: NDArray[np.bool_] = np.diff(plays.indptr) > 0
        some = np.random.default_rng(0).permutation(np.flatnonzero(self.have_plays))[:LEARNED_FROM]
        means = _means(plays[some], factors)
        weights = np.ones(len(some), np.float32)
        self._map = fit_ridge(means, model.users[some], weights, (1e-6,))[0]

    def who_like(self, liked: csr_matrix, factors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Factors of listeners who like some items (listeners, items)."""
        found: NDArray[np.float32] = np.asarray(self._map(_means(liked, factors)), np.float32)
        if self._model.bias_column is not None:
            found[:, self._model.bias_column] = 1.0
        return found

    def asked(
        self,
        rows: NDArray[np.int64],
        liked: csr_matrix | None,
        factors: NDArray[np.float32],
        telling: NDArray[np.bool_],
        *,
        recalculate: bool,
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Factors of listeners by row (-1: unknown), and of which of them anything is known.

        Parameters
        ----------
        liked : csr (len(rows), items), optional
            What they have played by now.
        telling : bool (items,)
            Items that have factors: the others say nothing of who has played them.
        recalculate : bool
            Take them for that rather than for what the model has learned.

        Raises
        ------
        BadFactors
            A listener is to be known by plays that are below 0 or no numbers.
        """
        known = (rows >= 0) & self.have_plays[rows]
        queries = self._model.users[np.where(known, rows, 0)]
        # Who had played nothing when the model was fitted may have by now.
        fresh = np.full(len(rows), recalculate) | ((rows >= 0) & ~known)
        if liked is not None and fresh.any():
            told = _only(liked, telling)
            fresh &= np.diff(told.indptr) > 0
            _refuse_dislikes(told, fresh)
            queries[fresh] = self.who_like(told[fresh], factors)
            known = fresh if recalculate else known | fresh
        return queries, known


def _only(liked: csr_matrix, telling: NDArray[np.bool_]) -> csr_matrix:
    """Without the plays of other items."""
    kept = telling[liked.indices]
    if kept.all():
        return liked
    before = np.concatenate([[0], np.cumsum(kept)])
    return csr_matrix((liked.data[kept], liked.indices[kept], before[liked.indptr]), liked.shape)


def _means(liked: csr_matrix, factors: NDArray[np.float32]) -> NDArray[np.float32]:
    # A model may have been fitted on dislikes, below 0: they say little of what is liked.
    plays = np.maximum(liked.data.astype(np.float64), 0)
    listener = np.repeat(np.arange(liked.shape[0]), np.diff(liked.indptr))
    totals = np.bincount(listener, plays, minlength=liked.shape[0])
    shares = (plays / np.maximum(totals, 1e-300)[listener]).astype(np.float32)
    shared = csr_matrix((shares, liked.indices, liked.indptr), liked.shape)
    return np.asarray(shared @ factors[: liked.shape[1]], np.float32)


def _refuse_dislikes(liked: csr_matrix, asked: NDArray[np.bool_]) -> None:
    listener = np.repeat(np.arange(liked.shape[0]), np.diff(liked.indptr))
    for what, wrong in (
        ("NaN or infinity", ~np.isfinite(liked.data)),
        ("a number below 0, which says nothing of what is liked,", liked.data < 0),
    ):
        there = np.zeros(liked.shape[0], bool)
        there[listener[wrong]] = True
        refuse_rows("user_items", what, there & asked)
