"""Real music, published checkpoints and failing inputs, where they lie beside a checkout."""

from __future__ import annotations

from pathlib import Path

_SHARED = Path(__file__).parents[2] / "shared"
CLIPS = _SHARED / "music" / "clips"
TEACHERS = _SHARED / "teachers"
INPUTS = _SHARED / "bug_inputs"
