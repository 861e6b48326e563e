"""Commands with a fault at points of their way, in a process that `tests.faults` is loaded into."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from indexer.errors import SoundalikeError
from indexer.models import checkpoint
from indexer.models.registry import load_model
from robustness.command_line import Result, run
from tests import sounds
from tests.catalogs import Planted, group_vectors_from, plant
from tests.faults import CRASHED, walk

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

OPERATIONS = (
    *("create", "index", "add", "remove", "rebuild", "model", "train"),
    *("base", "next base"),
)
_GROUPED = 300
"""Tracks of a catalog whose vectors are grouped into lists, which otherwise 25,000 would be."""


_OF_PLANTED: dict[str, tuple[str, ...]] = {
    "remove": ("remove", "1", "2"),
    "rebuild": ("rebuild",),
    "train": ("genres", "train"),
    "base": ("rebuild",),
    # So many that the file of vectors is due to be written again.
    "next base": ("remove", *map(str, range(1, _GROUPED // 4))),
}
"""Commands on catalogs without sound."""


@dataclass
class Walk:
    """What became of one command: points, outcomes, and what the next commands said.

    Attributes
    ----------
    outcomes : Counter of (fault, outcome)
    verified : Counter of str
        The line of `soundalike verify` right after the fault.
    faults : list of str
        Points after which something was wrong.
    """

    points: int = 0
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    verified: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def walk_command(name: str, folder: Path, *, step: int) -> Walk:
    """Run one of `OPERATIONS` with an EIO, an ENOSPC and a SIGKILL at every `step`-th point.

    After each, `verify` is asked, the command is run again without a fault, and the catalog must
    then be sound, hold what it holds without any fault, and have no draft beside it.
    """
    command = _begin(name, folder)
    start, copy = folder / "start", folder / "catalog.db"

    def prepare() -> None:
        for old in folder.glob("catalog.*"):
            old.unlink()
        for file in start.glob("catalog.*"):
            shutil.copy(file, folder)

    operation = partial(_run, [*command, "--catalog", copy])
    prepare()
    operation()  # imports what each of the forked processes would import again
    expected = _state(copy)
    result = Walk()
    for point in walk(operation, prepare, step=step):
        result.points += 1
        result.outcomes[point.fault, point.outcome] += 1
        verified = run("verify", "--catalog", copy)
        lost = point.outcome == "done" and _state(copy)[1:] != expected[1:]
        result.verified[_line(verified, folder)] += 1
        again = run(*command, "--catalog", copy)
        wrong = [
            text
            for text, holds in (
                ("a traceback", point.outcome == CRASHED),
                ("said to be done", lost),
                ("a traceback of verify", verified.status is None),
                (f"again: {again.err.strip()}", again.status != 0),
                ("another state", _state(copy) != expected),
                ("drafts are left", bool(list(folder.glob("*.draft")))),
            )
            if holds
        ]
        result.faults += [f"{point.fault} at {point.number}: {text}" for text in wrong]
    return result


def _run(command: Sequence[object]) -> None:
    result = run(*command)
    if result.status:
        raise SoundalikeError(result.err)
    if result.status is None:
        raise RuntimeError(result.err)


def _state(catalog: Path) -> tuple[object, ...]:
    verified = run("verify", "--catalog", catalog)
    status = run("status", "--catalog", catalog, "--json")
    counts = json.loads(status.out) if status.status == 0 else {}
    kept = ("present", "missing", "removed", "failed", "model", "vectors")
    classifier = catalog.with_suffix(".genres")
    trained = classifier.read_bytes() if classifier.exists() else b""
    return (verified.status, trained, *(counts.get(key) for key in kept))


def _line(result: Result, folder: Path) -> str:
    lines = (result.out + result.err).strip().splitlines() or [""]
    return lines[0].replace(str(folder), "").replace("soundalike: ", "")[:100]


def _begin(name: str, folder: Path) -> list[object]:
    """Make the catalog that the command begins with; returns the command."""
    start, music = folder / "start", folder / "music"
    start.mkdir()
    music.mkdir()
    if name in _OF_PLANTED:
        if name in ("base", "next base"):
            group_vectors_from(_GROUPED // 2)
        count = _GROUPED if name in ("base", "next base") else 12
        plant(start, ("loud", "soft"), [_planted(number) for number in range(count)])
        return list(_OF_PLANTED[name])
    if name == "create":
        return ["index", music]
    for number in range(3):
        sounds.write_audio(music / f"{number}.flac", sounds.music(3 + number, seed=number))
    if name == "index":
        return ["index", music, "--workers", 1]
    _run(["index", music, "--workers", 1, "--catalog", start / "catalog.db"])
    if name == "add":
        return ["add", sounds.write_audio(folder / "new.flac", sounds.music(7, seed=7))]
    models = folder / "models"
    models.mkdir()
    info, tensors = checkpoint.read(load_model().info.path)
    changed = {key: tensor.copy() for key, tensor in tensors.items()}
    changed["embedding.bias"] += np.linspace(-0.1, 0.1, info.dim, dtype=np.float16)
    checkpoint.write(models / "other.safetensors", changed, replace(info.card, name="other"))
    os.environ["SOUNDALIKE_MODELS"] = str(models)
    return ["index", "--model", "other", "--workers", 1]


def _planted(number: int) -> Planted:
    return Planted(
        f"Song {number}",
        {"loud": number / 12},
        genre=f"Genre {number % 2}",
        artist=f"Band {number % 6}",
    )
