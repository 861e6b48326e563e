"""Arrays on disk, written whole or not at all, so that a killed run resumes where it was."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.filesystem import atomic_write

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray


def save_array(path: Path, array: NDArray[Any]) -> None:
    """Write one array as .npy."""
    with atomic_write(path) as file:
        np.save(file, array)


def save_chunk(folder: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays that belong together as a folder of .npy files."""
    unfinished = folder.with_name(f".{folder.name}")
    unfinished.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        np.save(unfinished / f"{name}.npy", array)
    unfinished.replace(folder)


def open_chunk(folder: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a chunk, mapped from disk."""
    return {path.stem: np.load(path, mmap_mode="r") for path in sorted(folder.glob("*.npy"))}


def save_json(path: Path, content: Any) -> None:
    """Write plain values as JSON."""
    with atomic_write(path) as file:
        file.write(json.dumps(content, indent=1).encode())


def read_json(path: Path) -> Any:
    """Read what `save_json` wrote."""
    return json.loads(path.read_text(encoding="utf-8"))
