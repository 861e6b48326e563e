"""Unit vectors stored as float16, and their inner products, computed in one canonical way.

A vector x is kept as h = float16(x / |x|) and read back as float32(h / |h|). Going round again
changes nothing as long as |h| is within 2^-12 of 1: scaling by so little moves no component over
half a float16 step. So vectors that were rounded to float16 and made unit length again before
they came here come back the same, bit by bit if `to_unit_float32` did it, else within a
float32 rounding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def to_half(vectors: NDArray[np.float32]) -> NDArray[np.float16]:
    """Return vectors (n, dim) of about unit length as they are stored, float16 (n, dim)."""
    return (vectors / _lengths(vectors).astype(np.float32)).astype(np.float16)


def to_unit_float32(half: NDArray[np.float16] | NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the float32 unit vectors (n, dim) of stored ones (n, dim)."""
    return (half / _lengths(half)).astype(np.float32)


def inner_products(vectors: NDArray[np.float32], query: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the inner products (n,) of unit vectors (n, dim) with one query (dim,).

    Summed row by row in float64, where products of two float32 numbers are exact, and rounded
    once at the end: a product depends on nothing but its vector and the query. A BLAS sums in an
    order that depends on how many vectors there are.
    """
    products = vectors.astype(np.float64) * query.astype(np.float64)
    rounded: NDArray[np.float32] = products.sum(axis=1).astype(np.float32)
    return rounded


def error_bound(dim: int) -> float:
    """Bound how far the float32 inner product of h with a query can lie from the score.

    2^-11 for the length of h (half a float16 step, relative), and dim + 8 roundings of float32.
    """
    return 1.01 * 2.0**-11 + (dim + 8) * 2.0**-23


def _lengths(rows: NDArray[np.float16] | NDArray[np.float32]) -> NDArray[np.float64]:
    wide = rows.astype(np.float64)
    lengths: NDArray[np.float64] = np.sqrt((wide * wide).sum(axis=1, keepdims=True))
    return lengths
