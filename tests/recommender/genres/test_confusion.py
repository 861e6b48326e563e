from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from recommender.genres.confusion import Confusion
from recommender.plots.confusion import draw_confusion

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def confusion() -> Confusion:
    actual, heard = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 0])
    return Confusion.of(["jazz", "rock", "$oul"], actual, heard)


def test_rows_are_what_is_columns_what_was_heard(confusion: Confusion) -> None:
    assert confusion.counts == ((2, 1, 0), (1, 1, 0), (0, 0, 0))
    assert confusion.accuracy == pytest.approx(3 / 5)
    assert confusion.balanced_accuracy == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert confusion.macro_f1 == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert confusion.commonest == pytest.approx(3 / 5)
    np.testing.assert_allclose(confusion.recall, [2 / 3, 1 / 2, np.nan])
    np.testing.assert_allclose(confusion.precision, [2 / 3, 1 / 2, np.nan])
    assert confusion.pairs() == [("jazz", "rock", 1), ("rock", "jazz", 1)]
    assert confusion.rows()[0] == ["jazz", 2, 1, ".", "0.67"]


def test_it_is_drawn(confusion: Confusion, tmp_path: Path) -> None:
    draw_confusion(confusion, tmp_path / "c.png", title="Of $ and genres")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
