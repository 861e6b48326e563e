from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from indexer.musicnn import REQUIREMENT

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def musicnn_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published wheel as a file, as a user without a network would bring it along."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "download", REQUIREMENT, "--no-deps", "--quiet"]
    subprocess.run([*command, "--only-binary", ":all:", "--dest", str(folder)], check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel
