"""Rows scaled to unit length, so that their inner products are cosines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def unit_rows(rows: NDArray[np.floating[Any]], *, shortest: float = 1e-12) -> NDArray[np.float32]:
    """Rows (n, dim) at unit length; rows shorter than `shortest` have no direction and become zero.

    Computed in float64 and rounded once to float32.
    """
    wide = rows.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    wide /= np.where(lengths < shortest, np.inf, lengths)
    return np.asarray(wide, dtype=np.float32, order="C")


def unit_mean(rows: NDArray[np.floating[Any]], *, shortest: float = 1e-12) -> NDArray[np.float32]:
    """Mean (dim,) of rows (n, dim) at unit length; zero where they cancel out."""
    mean = rows.mean(axis=0, keepdims=True, dtype=np.float64).astype(np.float32)
    unit: NDArray[np.float32] = unit_rows(mean, shortest=shortest)[0]
    return unit
