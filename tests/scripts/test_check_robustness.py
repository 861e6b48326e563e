from __future__ import annotations

from typing import TYPE_CHECKING

import check_robustness
import pytest
from click.testing import CliRunner

from tests.catalogs import Planted, plant
from tests.shared_data import INPUTS

if TYPE_CHECKING:
    from pathlib import Path


def test_damage_is_counted_by_outcome(tmp_path: Path) -> None:
    songs = [Planted(f"Song {n}", {"loud": n / 9}) for n in range(9)]
    catalog = plant(tmp_path, ("loud", "soft"), songs)
    options = ["damage", str(catalog), "--flips", "4", "--swaps", "2"]
    done = CliRunner().invoke(check_robustness.main, options)
    assert done.exit_code == 0, done.output
    counts = [int(line.rsplit(maxsplit=1)[1]) for line in done.output.splitlines()]
    assert sum(counts) == 2 * (4 + 2)
    assert "an error" in done.output


@pytest.mark.slow
def test_inputs_that_once_failed_have_their_right_values() -> None:
    if not INPUTS.is_dir():
        pytest.skip(f"the inputs are not in {INPUTS}")
    done = CliRunner().invoke(check_robustness.main, ["inputs", str(INPUTS)])
    assert done.exit_code == 0, done.output
