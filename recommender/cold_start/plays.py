"""Sparse matrices of who has played what, refused where they do not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_matrix, issparse

from indexer.errors import BadFactors, InvalidOption
from recommender.cold_start.arguments import refuse_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray


def checked_plays(
    user_items: Any, users: NDArray[np.float32], items: NDArray[np.float32]
) -> csr_matrix:
    """The plays that a model was fitted on, as CSR without zeros.

    Raises
    ------
    BadFactors
        No sparse matrix, not of the size of the model, NaN or infinity, or no plays at all.
    """
    if not issparse(user_items):
        raise BadFactors(
            f"user_items must be a sparse matrix of plays, not {type(user_items).__name__}"
        )
    expected = (len(users), len(items))
    if user_items.shape != expected:
        raise BadFactors(
            f"user_items has the shape {user_items.shape}, the model {expected}: give the plays "
            "that it was fitted on"
        )
    _refuse_broken(user_items)
    plays = csr_matrix(user_items, dtype=np.float32, copy=True)
    listener = np.repeat(np.arange(plays.shape[0]), np.diff(plays.indptr))
    bad = np.zeros(plays.shape[0], bool)
    bad[listener[~np.isfinite(plays.data)]] = True
    refuse_rows("user_items", "NaN or infinity", bad)
    plays.sum_duplicates()
    plays.eliminate_zeros()
    if plays.nnz == 0:
        raise BadFactors("user_items holds no plays: there is nothing to learn from")
    return plays


def liked_rows(user_items: Any, listeners: int, *, model_items: int, items: int) -> csr_matrix:
    """What listeners who are asked for have played, over all items there are now.

    Parameters
    ----------
    user_items : csr (listeners, columns)
        As many columns as the model has items, or as many as there are with the new ones.

    Raises
    ------
    InvalidOption
        No CSR matrix.
    BadFactors
        Of another shape.
    """
    if not issparse(user_items) or user_items.format != "csr":
        raise InvalidOption(
            f"user_items must be a CSR matrix, not {type(user_items).__name__}: it is needed "
            "to filter what a listener has played, or to recalculate the listener"
        )
    if user_items.shape[0] != listeners:
        raise BadFactors(
            f"user_items has {user_items.shape[0]} rows for {listeners} listeners: give one for "
            "each, as user_items[userid]"
        )
    if not model_items <= user_items.shape[1] <= items:
        raise BadFactors(
            f"user_items has {user_items.shape[1]} columns: there are {model_items} items in "
            f"the model and {items} with the new ones"
        )
    _refuse_broken(user_items)
    matrix = csr_matrix(user_items)
    if (matrix.data == 0).any():
        matrix = matrix.copy()
        matrix.eliminate_zeros()
    return csr_matrix((matrix.data, matrix.indices, matrix.indptr), (listeners, items))


def _refuse_broken(matrix: Any) -> None:
    """Refuse indices that lead out of the matrix, which scipy does not look at by itself."""
    if not hasattr(matrix, "check_format"):
        return
    try:
        matrix.check_format(full_check=True)
    except ValueError as error:
        raise BadFactors(f"user_items is a broken sparse matrix: {error}") from error


def row_of(items: NDArray[np.int64], count: int) -> csr_matrix:
    """One listener who has played these items of so many."""
    ones = np.ones(len(items), np.float32)
    return csr_matrix((ones, items, [0, len(items)]), shape=(1, count))
