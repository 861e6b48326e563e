"""A few kills of a writer beside a reader; `check_robustness.py kills` makes hundreds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from robustness.kills import kill_writers

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_answers_stay_right_when_a_writer_is_killed(tmp_path: Path) -> None:
    result = kill_writers(tmp_path, tracks=400, kills=3, seed=0, say=lambda _text: None)
    assert result.faults == []
    assert result.answers > 0
    assert result.recall == 1.0
    assert sum(count for name, count in result.tried.items() if "swap" in name) == 3
    assert result.tried["then verify ends with 0"] == 1
