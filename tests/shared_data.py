"""Real music and published checkpoints, where they lie beside a checkout."""

from __future__ import annotations

from pathlib import Path

_SHARED = Path(__file__).parents[2] / "shared"
CLIPS = _SHARED / "music" / "clips"
TEACHERS = _SHARED / "teachers"
