"""The example programs of docs/many-machines.md, on the engines that are installed here."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from indexer.indexing.importing import import_analyses
from indexer.library import Library
from tests import sounds

if TYPE_CHECKING:
    from indexer.indexing.importing import Imported

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "many-machines.md"


def example(engine: str, songs: Path, folder: Path, *, workers: int = 1) -> str:
    """The program of a section, for the songs and fewer workers."""
    section = PAGE.read_text(encoding="utf-8").partition(f"\n### {engine}\n")[2]
    code = re.findall(r"```python\n(.*?)```", section, re.S)[0]
    files = sorted(map(str, songs.rglob("*.*")))
    (folder / "paths.txt").write_text("\n".join(files) + "\n", encoding="utf-8")
    code = code.replace('"/music"', repr(str(songs)))
    return re.sub(r"workers=\d+", f"workers={workers}", code)


def run(code: str, folder: Path) -> None:
    """Run a program in a folder, and end all that it has started if it takes too long."""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
    )
    try:
        out, _ = process.communicate(timeout=240)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert process.returncode == 0, out


def imported(folder: Path) -> Imported:
    with closing(Library.open_for_writing(folder / "catalog.db", create=True)) as library:
        found = import_analyses(library, sorted(folder.glob("a*.parquet")))
        assert library.verify().sound
    return found


def check(code: str, folder: Path) -> None:
    run(code, folder)
    found = imported(folder)
    assert (found.counts()["new"], found.failed, found.done) == (12, 1, 13)


@pytest.fixture
def folder(tmp_path: Path, songs: Path) -> Path:
    sounds.text_file(songs / "album 0" / "bad.mp3")
    return tmp_path


@pytest.mark.slow
def test_spark(folder: Path, songs: Path) -> None:
    pytest.importorskip("pyspark", reason="pyspark (500 MB) is no part of the extra `test`")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java (Debian: apt-get install default-jre-headless)")
    code = example("Spark", songs, folder)
    code = code.replace('"spark.task.cpus", 4', '"spark.master", "local[2]"')
    check(code.replace("repartition(100)", "repartition(2)"), folder)


@pytest.mark.slow
def test_ray(folder: Path, songs: Path) -> None:
    pytest.importorskip("ray", reason="ray is no part of the extra `test`")
    code = example("Ray", songs, folder).replace("repartition(100)", "repartition(2)")
    check(code.replace("concurrency=8, num_cpus=4", "concurrency=1, num_cpus=1"), folder)


@pytest.mark.slow
def test_beam(folder: Path, songs: Path) -> None:
    pytest.importorskip("apache_beam", reason="apache-beam is no part of the extra `test`")
    check(example("Beam", songs, folder), folder)


@pytest.mark.slow
def test_processes(folder: Path, songs: Path) -> None:
    check(example("Python's own processes", songs, folder), folder)
