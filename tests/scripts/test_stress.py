"""The reader under a writer: what is judged wrong, and a short run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from benchmarks.made_up import made_up
from benchmarks.stressing import Load, Truth, judge, measure

if TYPE_CHECKING:
    from pathlib import Path

DIM = 192


def test_an_answer_of_another_time_is_judged_wrong() -> None:
    vectors = made_up(100, dim=DIM, seed=3).vectors
    truth = Truth.of(vectors[:90], vectors[90:])
    truth.since[90:] = 5
    truth.until[:10] = 7
    unit = vectors.astype(np.float32)
    cosines = unit[20] @ unit.T

    def best(rows: np.ndarray) -> np.ndarray:
        return rows[np.argsort(-cosines[rows], kind="stable")][:10] + 1

    before, between, after = (best(np.arange(*ends)) for ends in ((90,), (100,), (10, 100)))
    worse = best(np.setdiff1d(np.arange(100), between[1:3] - 1))
    cut = np.where(np.arange(10) < 9, between, -1)
    dead = np.where(np.arange(10) < 9, after, 1)
    answers = np.array([before, between, after, worse, cut, dead])
    judged = judge(truth, np.full(6, 21), np.array([4, 5, 7, 6, 6, 7]), answers)
    assert judged.recalls[:5] == pytest.approx([1, 1, 1, 0.8, 0.9])
    assert [line.partition(",")[0] for line in judged.wrong] == ["at change 6", "at change 7"]


@pytest.mark.slow
def test_a_reader_answers_rightly_while_tracks_come_and_go(tmp_path: Path) -> None:
    load = Load(add=200, remove=100, batch=20, alone_s=1.0, seconds=3.0, settle_s=1.0)
    outcome = measure(tmp_path / "stress", made_up(1_000, dim=DIM, seed=0), load, seed=0)
    assert outcome.wrong == ()
    assert outcome.recall == 1.0
    phases = {row[0]: row[1:] for row in outcome.table.rows}
    assert {"before the writer begins", "while it writes"} <= phases.keys()
    for asked, p50, p99, worst in phases.values():
        assert asked > 0
        assert 0 < p50 <= p99 <= worst
