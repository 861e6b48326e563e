"""Makes the scripts importable, as Python does for a script that is run."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from benchmarks.setting import Setting

SCRIPTS = Path(__file__).parents[2] / "scripts"
if str(SCRIPTS) not in sys.path:
    sys.path.insert(0, str(SCRIPTS))


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    """Tiny sizes and their music, for tables of the benchmark."""
    from benchmarks import sounds
    from benchmarks.setting import Setting

    from tests.scripts.tiny_benchmark import TINY

    made = Setting(TINY, 0, tmp_path_factory.mktemp("benchmark"))
    sounds.compose(made.music, 8, composed=TINY.composed_s, seed=0)
    return made


@pytest.fixture
def empty_temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path
