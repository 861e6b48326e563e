"""Operations on a catalog with a fault at each point; prints one line of JSON.

`count_points` runs it in a process that the library of `tests.faults` is loaded into.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import pytest

from indexer.analysis.track_analysis import TrackAnalysis
from indexer.audio.container import AudioFacts
from indexer.audio.tags import Tags
from indexer.catalog import writer
from indexer.catalog.file_queries import SeenFile
from indexer.catalog.reader import Catalog
from indexer.catalog.status import TrackStatus
from indexer.errors import CatalogMissing, TooShort
from indexer.features.descriptors import Descriptors
from indexer.library import Library
from tests import faults
from tests.catalogs import Planted, group_vectors_from, plant
from tests.faults import CRASHED, walk

if TYPE_CHECKING:
    from collections.abc import Callable

TAGS = ("loud", "soft")
GROUPED = 120
"""Tracks of a catalog whose vectors are grouped into lists."""


def create(path: Path) -> None:
    Catalog.open_for_writing(path, create=True).close()


def remove(path: Path) -> None:
    with closing(Library.open_for_writing(path)) as library:
        with library.catalog.writing() as connection:
            writer.set_status(connection, [1, 2], TrackStatus.REMOVED)
        library.refresh()


def remove_many(path: Path) -> None:
    with closing(Library.open_for_writing(path)) as library:
        with library.catalog.writing() as connection:
            writer.set_status(connection, range(1, GROUPED // 4), TrackStatus.REMOVED)
        library.refresh()


def fail(path: Path) -> None:
    with closing(Library.open_for_writing(path)) as library:
        file = SeenFile(bytes(path.parent / "music" / "0001.mp3"), bytes(path.parent), 1, 1)
        with library.catalog.writing() as connection:
            writer.store_failures(connection, [(file, TooShort("0.1 s", stage="decode"))])
        library.refresh()


def add(path: Path) -> None:
    with closing(Library.open_for_writing(path)) as library:
        model = library.catalog.active_model()
        assert model is not None
        root = bytes(path.parent)
        for number in (50, 51):
            analysis = TrackAnalysis(
                AudioFacts("mp3", "mp3", 44_100, 2, 9.5, None, bytes([number]) * 32),
                Tags(artist="Ann; Bob", artists=("Ann", "Bob")),
                np.eye(model.dim, dtype=np.float16)[number % model.dim],
                np.full(len(TAGS), 0.5, np.float16),
                12,
                Descriptors(90.0, 0.9, None, 0.0, -12.0, 1800.0),
            )
            file = SeenFile(root + b"/%d.mp3" % number, root, 1, 1)
            with library.catalog.writing() as connection:
                writer.store(connection, model, [(file, analysis)])
        library.refresh()


def rebuild(path: Path) -> None:
    with closing(Library.open_for_writing(path)) as library:
        library.rebuild()


def state(path: Path) -> tuple[int, ...]:
    """Present, failed and removed tracks, and vectors, of a catalog that is sound."""
    with closing(Library.open_for_writing(path)) as library:
        counts = library.catalog.counts()
        vectors = 0 if library.index is None else len(library.index)
    with closing(Library.open(path)) as library:
        report = library.verify()
        assert report.sound, report
    return counts["present"], counts["failed"], counts["removed"], vectors


def walk_creation(folder: Path) -> int:
    """Faults at every point while a catalog is made: afterwards there is none, or a whole one."""
    path = folder / "catalog.db"

    def prepare() -> None:
        for file in folder.glob("catalog.*"):
            file.unlink()

    points = 0
    create(path)  # imports in this process what each of the others would import again
    for point in walk(partial(create, path), prepare):
        assert point.outcome != CRASHED, point
        with suppress(CatalogMissing):
            Catalog.open_for_reading(path).close()
        create(path)
        assert state(path) == (0, 0, 0, 0), point
        assert not list(folder.glob("*.draft")), point
        points += 1
    return points


def walk_change(
    folder: Path, change: Callable[[Path], None], *, tracks: int = 8, step: int = 7
) -> int:
    """Faults at every `step`-th point of a change: it is as before, after, or in between."""
    plant(folder, TAGS, [Planted(f"Song {n}", {"loud": n / tracks}) for n in range(tracks)])
    path = folder / "copy.db"

    def prepare() -> None:
        for file in folder.glob("copy.*"):
            file.unlink()
        for file in folder.glob("catalog.*"):
            shutil.copy(file, file.with_name(file.name.replace("catalog", "copy", 1)))

    prepare()
    before = state(path)
    change(path)
    after = state(path)
    with closing(Library.open(path)) as library:
        assert (library.index.facts().kind == "lists") == (tracks > GROUPED // 2)
    points = 0
    for point in walk(partial(change, path), prepare, step=step):
        assert point.outcome != CRASHED, point
        found = state(path)
        assert all(
            min(limits) <= count <= max(limits)
            for count, *limits in zip(found, before, after, strict=True)
        ), point
        assert not list(folder.glob("*.draft")), point
        points += 1
    return points


WALKS = {
    "create": walk_creation,
    "remove": partial(walk_change, change=remove),
    "fail": partial(walk_change, change=fail),
    "add": partial(walk_change, change=add),
    "rebuild": partial(walk_change, change=rebuild),
    # Vectors that are grouped into lists, written from the catalog and from the lists before.
    "base": partial(walk_change, change=rebuild, tracks=GROUPED, step=19),
    "next base": partial(walk_change, change=remove_many, tracks=GROUPED, step=19),
}


def count_points(*names: str, folder: Path) -> dict[str, int]:
    """Run some walks, each of which asserts what is there after a fault; returns their points."""
    library = faults.compile_library(folder)
    if library is None:
        pytest.skip("there is no C compiler to build the fault injection with")
    # A disk in memory, where there is one: each of some hundred changes is forced to disk.
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else folder) as place:
        done = subprocess.run(
            [sys.executable, "-m", "tests.indexer.catalog.fault_run", place, *names],
            env=os.environ | {"LD_PRELOAD": str(library), faults.LIBRARY: str(library)},
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    points: dict[str, int] = json.loads(done.stdout)
    return points


def main() -> None:
    logging.disable(logging.WARNING)
    folder = Path(sys.argv[1])
    points = {}
    group_vectors_from(GROUPED // 2)
    for name in sys.argv[2:]:
        (folder / name).mkdir()
        points[name] = WALKS[name](folder / name)
    sys.stdout.write(json.dumps(points))


if __name__ == "__main__":
    main()
