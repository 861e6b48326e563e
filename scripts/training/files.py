"""JSON files, written whole or not at all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from indexer.filesystem import atomic_write

if TYPE_CHECKING:
    from pathlib import Path


def save_json(path: Path, content: Any) -> None:
    """Write plain values as JSON."""
    with atomic_write(path) as file:
        file.write(json.dumps(content, indent=1).encode())
