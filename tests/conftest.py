from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

from indexer.analysis.pools import AnalysisPool
from indexer.catalog.storing import Stored
from indexer.indexing.pipeline import index_paths
from indexer.library import Library
from indexer.models.registry import DEFAULT_MODEL, model_info
from recommender import Recommender
from tests import sounds
from tests.postgres import PostgresServer, binaries_or_skip, running_server

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    Report = pytest.CollectReport | pytest.TestReport


# What hypothesis makes up is the same in every run and on every machine, however slow.
settings.register_profile(
    "suite",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("suite")
if hasattr(providers, "_get_local_constants"):
    # It mixes in constants of all modules that happen to be loaded, by whichever tests ran before
    # in the same process; nothing public switches that off.
    providers._get_local_constants = providers.Constants

OPENMP = "libgomp.so.1"
"""The library that the wheels of implicit and Cornac link and do not bring."""


def _has_openmp() -> bool:
    try:
        ctypes.CDLL(OPENMP)
    except OSError:
        return False
    return True


if not _has_openmp():

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report() -> Generator[None, Report, Report]:
        return _skip_without_openmp((yield))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport() -> Generator[None, Report, Report]:
        return _skip_without_openmp((yield))


def _skip_without_openmp(report: Report) -> Report:
    """Turn a failure for want of the library into a skip that names its package."""
    if report.failed and OPENMP in report.longreprtext:
        report.outcome = "skipped"
        reason = f"Skipped: {OPENMP} is missing (Debian: apt-get install libgomp1)"
        report.longrepr = (report.nodeid, 0, reason)
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files of most slow tests: the last ones begun should be short.

    A file's tests stay in one process (`--dist loadfile`), which makes its fixtures once.
    """
    slow = Counter(item.path for item in items if item.get_closest_marker("slow") is not None)
    items.sort(key=lambda item: -slow[item.path])


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that the first process of a run to ask for it makes for all; not to be changed."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            made = factory.mktemp(name)
            make(made)
            made.rename(folder)
    return folder


@pytest.fixture(scope="session")
def demo_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `library`, two pieces of each style, `upload.mp3` and `truth.csv`."""
    script = Path(__file__).parents[1] / "scripts" / "make_demo_library.py"

    def make(folder: Path) -> None:
        command = [sys.executable, script, folder / "library", "--jobs", "2"]
        command += ["--pieces-per-style", "2", "--upload", folder / "upload.mp3"]
        command += ["--truth", folder / "truth.csv"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr

    return made_once(tmp_path_factory, "demo", make)


@pytest.fixture(scope="session")
def pool() -> Iterator[AnalysisPool]:
    """One warm worker for all tests that index: starting one takes seconds."""
    running = AnalysisPool(DEFAULT_MODEL, model_info().fingerprint)
    yield running
    running.close(at_once=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server of this process of the tests."""
    with running_server(binaries_or_skip()) as server:
        yield server


@pytest.fixture
def postgres_database(postgres_server: PostgresServer) -> Iterator[str]:
    """The name of an empty database."""
    name = postgres_server.create_database()
    yield name
    postgres_server.drop_database(name)


@pytest.fixture(scope="session")
def original_songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve songs in two folders, six formats in turn; not to be changed.

    They sound much alike, so that only their lengths, 4 s and then 1.1 s more each, keep them from
    being taken for one recording.
    """
    suffixes = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a")

    def make(folder: Path) -> None:
        for number in range(12):
            place = folder / f"album {number // 6}"
            place.mkdir(exist_ok=True)
            sounds.write_audio(
                place / f"{number:02}{suffixes[number % 6]}",
                sounds.music(4 + 1.1 * number, seed=number),
                tags={"title": f"Song {number}", "artist": f"Band {number // 4}"},
            )

    return made_once(tmp_path_factory, "songs", make)


@pytest.fixture(scope="session")
def original_catalog(
    tmp_path_factory: pytest.TempPathFactory, original_songs: Path, pool: AnalysisPool
) -> Path:
    """The catalog of the twelve songs; not to be changed."""

    def make(folder: Path) -> None:
        with closing(Library.open_for_writing(folder / "catalog.db", create=True)) as library:
            summary = index_paths(library, [original_songs], pool=pool)
        assert summary.stored[Stored.NEW] == 12

    made = made_once(tmp_path_factory, "catalog", make)
    # SQLite makes files beside a catalog that is read: each process has them for itself.
    own = tmp_path_factory.mktemp("catalog")
    return shutil.copytree(made, own, dirs_exist_ok=True) / "catalog.db"


@pytest.fixture(scope="session")
def song_recommender(original_catalog: Path) -> Iterator[Recommender]:
    """A recommender of the twelve songs, whose worker for other files is started once."""
    with Recommender.open(original_catalog) as opened:
        yield opened


@pytest.fixture
def songs(tmp_path: Path, original_songs: Path) -> Path:
    """The twelve songs, to be changed at will."""
    return shutil.copytree(original_songs, tmp_path / "songs")


@pytest.fixture
def catalog_path(tmp_path: Path, original_catalog: Path) -> Path:
    """A catalog of the twelve songs, with its index, to be changed at will."""
    for file in original_catalog.parent.iterdir():
        shutil.copy2(file, tmp_path / file.name)
    return tmp_path / original_catalog.name
