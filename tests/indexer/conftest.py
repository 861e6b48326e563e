from __future__ import annotations

from pathlib import Path

import pytest

from tests.shared_data import TEACHERS


@pytest.fixture(scope="session")
def teachers() -> Path:
    """The folder with the published checkpoints and independent loaders for them."""
    if not (TEACHERS / "mn04_as_mAP_432.pt").exists():
        pytest.skip(f"the published checkpoints are not in {TEACHERS}")
    return TEACHERS
