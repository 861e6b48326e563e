"""Catalogs and index files with a flipped bit or two pages swapped."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import numpy as np

from indexer.library import index_path
from robustness.command_line import Result, run
from tests.damage import flip_bit, swap_pages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def try_damage(
    catalog: Path, folder: Path, *, flips: int, swaps: int, seed: int
) -> Iterator[tuple[str, str, str]]:
    """Damage copies of a catalog and of its index; yields file, damage and outcome of each.

    Parameters
    ----------
    folder : Path
        An empty one for the copies.
    """
    rng = np.random.default_rng(seed)
    copy = folder / catalog.name
    _copy(catalog, folder)
    first, *_ = json.loads(run("similar", "1", "--catalog", copy, "--json").out)["neighbours"]
    questions = [
        ["status"],
        ["failures"],
        ["show", first["id"]],
        ["similar", first["id"]],
        ["find", "piano"],
        ["verify"],
    ]
    expected = [run(*question, "--catalog", copy, "--json") for question in questions]
    for name, target in (("catalog", copy), ("index", index_path(copy))):
        for kind, change, count in (("flip", flip_bit, flips), ("swap", swap_pages, swaps)):
            for _ in range(count):
                _copy(catalog, folder)
                content = np.frombuffer(target.read_bytes(), np.uint8).copy()
                change(content, rng)
                target.write_bytes(content.tobytes())
                found = [run(*question, "--catalog", copy, "--json") for question in questions]
                yield name, kind, _outcome(expected, found, run("rebuild", "--catalog", copy))


def _outcome(expected: list[Result], found: list[Result], written: Result) -> str:
    if any(result.status is None for result in (*found, written)):
        return "traceback"
    differ = [result for right, result in zip(expected, found, strict=True) if right != result]
    if not differ:
        return "same answers"
    if any(result.status == 0 and not result.err for result in differ):
        return "other answers, silently"
    return "an error" if any(result.status for result in differ) else "a warning"


def _copy(catalog: Path, folder: Path) -> None:
    for old in folder.iterdir():
        old.unlink()
    for file in catalog.parent.glob(f"{catalog.stem}.*"):
        if file.is_file():
            shutil.copy2(file, folder)
