from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from training.ensemble import fit, write_constants

from indexer.models.ensemble import read_projection

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("parts", [("musicnn", "mn04", "fcn"), ("mn04", "fcn")])
def test_the_models_ensemble_is_the_one_that_was_fitted(
    parts: tuple[str, ...], tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    said = {
        name: (rng.standard_normal((40, size)) * rng.random(size) + rng.random(size)).astype("f4")
        for name, size in (("musicnn", 20), ("mn04", 30), ("fcn", 10))
    }
    write_constants(said, tmp_path / "constants.safetensors", dim=16)
    projection = read_projection(parts, tmp_path / "constants.safetensors")
    expected = fit(said, dim=16, weights=dict.fromkeys(parts, 1.0)).target(said)
    for row, vector in enumerate(expected):
        found = projection.project({part: said[part][row] for part in parts})
        assert found.shape == (16,)
        # The axes are kept in half precision.
        np.testing.assert_allclose(found, vector, atol=2e-3)
