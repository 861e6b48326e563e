"""Checks of arrays that callers hand over; errors name the argument and the rows at fault."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np
from scipy.sparse import csr_matrix, issparse

from indexer.errors import BadFactors, InvalidOption
from recommender.retrieval.lookup import whole_number

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

LARGEST, LONGEST, LONGEST_FACTOR = 1e9, 10, 1000
"""Largest number whose squares float32 can add up; longest embedding and longest factor, in median
lengths."""
SHOWN = 5
"""Rows or ids that a message lists at most."""


def list_some(values: Iterable[object]) -> str:
    """Up to five of them, and how many more there are."""
    every = list(values)
    more = f" and {len(every) - SHOWN} more" if len(every) > SHOWN else ""
    return ", ".join(str(value) for value in every[:SHOWN]) + more


def float_matrix(name: str, values: ArrayLike) -> NDArray[np.float32]:
    """Numbers as float32 (rows, columns), all finite.

    Raises
    ------
    BadFactors
    """
    array = _numbers(name, values)
    if array.ndim != 2:
        raise BadFactors(f"{name} must have rows and columns, not the shape {array.shape}")
    if array.shape[1] == 0:
        raise BadFactors(f"{name} has no columns")
    refuse_numbers(name, array)
    return array


def refuse_numbers(name: str, array: NDArray[Any]) -> None:
    """Refuse rows with NaN, infinity, or numbers whose squares and products are lost.

    Raises
    ------
    BadFactors
    """
    refuse_rows(name, "NaN or infinity", ~np.isfinite(array).all(axis=1))
    refuse_rows(name, f"a number beyond {LARGEST:g}", (np.abs(array) > LARGEST).any(axis=1))


def median_length(rows: NDArray[np.float32]) -> float:
    """Median length of the rows that are not all zeros; 0 where all are."""
    lengths = np.linalg.norm(rows, axis=1)
    return float(np.median(lengths[lengths > 0])) if lengths.any() else 0.0


def refuse_long(
    name: str, rows: NDArray[np.float32], times: float, median: float | None = None
) -> None:
    """Refuse rows many times longer than the median, which is that of the rows if not given.

    Raises
    ------
    BadFactors
    """
    median = median_length(rows) if median is None else median
    what = f"a length of more than {times:g} times the median {median:.3g}"
    refuse_rows(name, what, (np.linalg.norm(rows, axis=1) > times * median) & (median > 0))


def float_per_row(name: str, values: ArrayLike, rows: int) -> NDArray[np.float32]:
    """One finite number of at least 0 for each row, as float32 (rows,).

    Raises
    ------
    BadFactors
    """
    array = _numbers(name, values)
    if array.shape != (rows,):
        raise BadFactors(f"{name} must be one number for each of {rows} rows, not {array.shape}")
    refuse_rows(name, "NaN or infinity", ~np.isfinite(array))
    refuse_rows(name, "a number below 0", array < 0)
    return array


def refuse_rows(name: str, what: str, bad: NDArray[np.bool_] | np.bool_) -> None:
    """Name the rows that have something they must not have.

    Raises
    ------
    BadFactors
    """
    rows = np.flatnonzero(bad)
    if len(rows):
        plural = "row" if len(rows) == 1 else "rows"
        raise BadFactors(f"{name} has {what} in {plural} {list_some(rows)}")


def positive_count(name: str, value: SupportsIndex) -> int:
    """A whole number of at least 1.

    Raises
    ------
    InvalidOption
    """
    number = whole_number(value, name)
    if number < 1:
        raise InvalidOption(f"{name} is {number}: ask for at least one")
    return number


def known_embeddings(
    embeddings: ArrayLike, count: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Embeddings (count, dim) with zeros for rows that are all NaN, and which rows are not.

    Raises
    ------
    BadFactors
    """
    array = _numbers("embeddings", embeddings).copy()
    if array.ndim != 2 or len(array) != count:
        raise BadFactors(
            f"embeddings has the shape {array.shape}: {count} rows were expected, one for each "
            "item, NaN where an item has no embedding"
        )
    missing: NDArray[np.bool_] = np.asarray(np.isnan(array).all(axis=1))
    array[missing] = 0.0
    refuse_numbers("embeddings", array)
    return array, ~missing


def names_per_row(
    argument: str, values: Iterable[object] | None, count: int
) -> list[object | None]:
    """A name for each of so many rows; None where none is known: None, NaN, pandas' NA, or "".

    Raises
    ------
    BadFactors
    """
    if values is None:
        return [None] * count
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise BadFactors(f"{argument} must be a sequence of {count} names, not {values!r:.40}")
    every = list(values)
    if len(every) != count:
        raise BadFactors(f"{argument} names {len(every)} items of {count}: name each once")
    return [None if _is_unknown(name) else name for name in every]


def _is_unknown(name: Any) -> bool:
    if name is None or (isinstance(name, str) and not name.strip()):
        return True
    try:
        return bool(name != name)  # as NaN is
    except TypeError:
        # pandas' NA is neither equal nor unequal.
        return True


def _numbers(name: str, values: ArrayLike) -> NDArray[np.float32]:
    if hasattr(values, "detach"):
        # A tensor of torch, which may be a parameter, on a device, or bfloat16.
        values = values.detach().cpu().float()
    elif hasattr(values, "to_numpy"):
        # A matrix of implicit's GPU models, or a table of pandas.
        values = values.to_numpy()
    try:
        array: NDArray[Any] = np.asarray(values)
    except ValueError as error:
        raise BadFactors(f"{name} is no array of numbers: {error}") from error
    if array.dtype == object or not np.issubdtype(array.dtype, np.number):
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise BadFactors(f"{name} holds something that is no number: {error}") from error
    if np.iscomplexobj(array):
        raise BadFactors(f"{name} holds complex numbers")
    with np.errstate(over="ignore"):
        return np.asarray(array, dtype=np.float32)


def check_plays(
    user_items: Any, users: NDArray[np.float32], items: NDArray[np.float32]
) -> csr_matrix:
    """The plays that a model was fitted on, as CSR without zeros.

    Raises
    ------
    BadFactors
        No sparse matrix, not of the size of the model, complex, NaN, infinity or below 0, or no
        plays at all.
    """
    if not issparse(user_items):
        raise BadFactors(
            f"user_items must be a sparse matrix of plays, not {type(user_items).__name__}"
        )
    if np.iscomplexobj(user_items):
        raise BadFactors("user_items holds complex numbers")
    expected = (len(users), len(items))
    if user_items.shape != expected:
        raise BadFactors(
            f"user_items has the shape {user_items.shape}, the model {expected}: give the plays "
            "that it was fitted on; of a LightFM with features, hand over what from_lightfm returns"
        )
    _refuse_broken("user_items", user_items)
    plays = csr_matrix(user_items, dtype=np.float32, copy=True)
    _refuse_no_plays("user_items", plays)
    plays.sum_duplicates()
    plays.eliminate_zeros()
    if plays.nnz == 0:
        raise BadFactors("user_items holds no plays: fit the model on some")
    return plays


def check_item_users(item_users: Any, items: int, *, users: int) -> csr_matrix:
    """Plays of items (items, users), above 0.

    Raises
    ------
    InvalidOption
        No CSR matrix.
    BadFactors
        Of another shape, or with numbers that are no plays.
    """
    rows = _csr_rows("item_users", item_users, "it is needed to recalculate an item")
    if rows.shape != (items, users):
        raise BadFactors(
            f"item_users has the shape {rows.shape}: give ({items}, {users}), the users of the "
            "model who have played each item"
        )
    _refuse_no_plays("item_users", rows)
    rows.eliminate_zeros()
    return rows


def check_liked(user_items: Any, users: int, *, model_items: int, items: int) -> csr_matrix:
    """Plays of the users asked (users, items), over all items there are now.

    Parameters
    ----------
    user_items : csr (users, columns)
        As many columns as the model has items, or as many as there are with the new ones.

    Raises
    ------
    InvalidOption
        No CSR matrix.
    BadFactors
        Of another shape.
    """
    user_items = _csr_rows(
        "user_items",
        user_items,
        "it is needed to filter what a user has played, or to recalculate the user",
    )
    if user_items.shape[0] != users:
        raise BadFactors(
            f"user_items has {user_items.shape[0]} rows for {users} users: give one for "
            "each, as user_items[userid]"
        )
    if not model_items <= user_items.shape[1] <= items:
        raise BadFactors(
            f"user_items has {user_items.shape[1]} columns: there are {model_items} items in "
            f"the model and {items} with the new ones"
        )
    user_items.eliminate_zeros()
    return csr_matrix((user_items.data, user_items.indices, user_items.indptr), (users, items))


def _csr_rows(name: str, rows: Any, why: str) -> csr_matrix:
    """A copy of CSR rows; of SciPy's sparse arrays also one row without a second axis.

    Raises
    ------
    InvalidOption
    """
    if issparse(rows) and rows.ndim == 1:
        rows = rows.reshape(1, -1).tocsr()
    if not issparse(rows) or rows.format != "csr":
        raise InvalidOption(f"{name} must be a CSR matrix, not {type(rows).__name__}: {why}")
    _refuse_broken(name, rows)
    return csr_matrix(rows, copy=True)


def _refuse_no_plays(name: str, plays: csr_matrix) -> None:
    row = np.repeat(np.arange(plays.shape[0]), np.diff(plays.indptr))
    for what, wrong in (
        ("NaN or infinity", ~np.isfinite(plays.data)),
        ("a number below 0, which is no play,", plays.data < 0),
    ):
        bad = np.zeros(plays.shape[0], bool)
        bad[row[wrong]] = True
        refuse_rows(name, what, bad)


def _refuse_broken(name: str, matrix: Any) -> None:
    """Refuse indices that lead out of the matrix, which scipy does not look at by itself."""
    if not hasattr(matrix, "check_format"):
        return
    try:
        matrix.check_format(full_check=True)
    except ValueError as error:
        raise BadFactors(f"{name} is a broken sparse matrix: {error}") from error


def one_user_row(items: NDArray[np.int64], count: int) -> csr_matrix:
    """Plays (1, count) of one user who has played some items once each."""
    ones = np.ones(len(items), np.float32)
    return csr_matrix((ones, items, [0, len(items)]), shape=(1, count))
