"""Rows of an array that grows at its end, while others read what was there before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)

FEWEST, SHARE = 1024, 8
"""Room for this many new rows at least, and for an eighth of those there are."""


class GrowingRows(Generic[Scalar]):
    """Rows that grow: an array of the same rows stays as it was, and is copied rarely.

    Attributes
    ----------
    rows : array
        All rows there are; to be read only.
    """

    def __init__(self, rows: NDArray[Scalar]) -> None:
        self._room: NDArray[Any] = rows
        self.rows = rows

    def append(self, rows: NDArray[Scalar]) -> None:
        """Add rows at the end; in constant time per row, on average."""
        count = len(self.rows)
        stop = count + len(rows)
        if stop > len(self._room):
            room = np.empty((stop + max(FEWEST, stop // SHARE), *rows.shape[1:]), rows.dtype)
            room[:count] = self.rows
            self._room = room
        self._room[count:stop] = rows
        self.rows = self._room[:stop]
