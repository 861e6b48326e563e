from __future__ import annotations

import numpy as np

from indexer.vectors.unit_vectors import unit_mean, unit_rows


def test_rows_keep_their_direction_and_those_without_one_become_zero() -> None:
    rows = np.array([[3, 4], [0, 0], [1e-7, 0], [1e30, -1e30]], np.float32)
    half = np.float32(np.sqrt(0.5))
    assert unit_rows(rows, shortest=1e-6).tolist() == [
        [np.float32(0.6), np.float32(0.8)],
        [0, 0],
        [0, 0],
        [half, -half],
    ]
    assert unit_rows(rows)[2].tolist() == [1, 0]


def test_a_mean_that_cancels_out_is_zero() -> None:
    assert unit_mean(np.array([[1, 0], [0, 1]], np.float32)).tolist() == [np.float32(0.5**0.5)] * 2
    assert unit_mean(np.array([[1, 0], [-1, 0]], np.float32)).tolist() == [0, 0]
