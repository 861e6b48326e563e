from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from indexer.models.musicnn_weights import REQUIREMENT
from tests.shared_data import TEACHERS


@pytest.fixture(scope="session")
def musicnn_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published wheel as a file, as a user without a network would bring it along."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "download", REQUIREMENT, "--no-deps", "--quiet"]
    subprocess.run([*command, "--only-binary", ":all:", "--dest", str(folder)], check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def teachers() -> Path:
    """The folder with the published checkpoints and independent loaders for them."""
    if not (TEACHERS / "mn04_as_mAP_432.pt").exists():
        pytest.skip(f"the published checkpoints are not in {TEACHERS}")
    return TEACHERS
