"""Track ids as callers give them, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from indexer.errors import InvalidOption, UnknownTrack

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from indexer.vectors.base import VectorIndex


def as_ids(ids: Iterable[int] | NDArray[np.integer]) -> NDArray[np.int64]:
    """Ids as one array.

    Raises
    ------
    InvalidOption
        They are not one row of integers.
    """
    array = np.asarray(ids if isinstance(ids, np.ndarray) else list(ids))
    if array.size == 0:
        return np.empty(0, dtype=np.int64)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise InvalidOption(f"ids must be one row of integers, not {array.dtype} {array.shape}")
    return array.astype(np.int64)


def indexed_ids(index: VectorIndex, ids: Iterable[int] | NDArray[np.integer]) -> NDArray[np.int64]:
    """Ids as one array, each of which has a vector in an index.

    Raises
    ------
    InvalidOption, UnknownTrack
    """
    wanted = as_ids(ids)
    refuse_unknown(wanted[~index.holds(wanted)])
    return wanted


def refuse_unknown(unknown: NDArray[np.int64]) -> None:
    """Raise `UnknownTrack`, which lists up to five ids, if there are any."""
    if len(unknown):
        some = ", ".join(str(track_id) for track_id in unknown[:5])
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        raise UnknownTrack(f"no present track has the id {some}{more}")
