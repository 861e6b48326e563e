from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from indexer.analysis.pools import AnalysisPool, analyse_file, read_file_tags, tags_pool
from indexer.analysis.sandbox import Limits, Sandbox
from indexer.audio.tags import Tags
from indexer.errors import ModelMismatch, OutOfMemory, TimedOut, TooShort, WorkerDied, WorkersFailed
from indexer.models.registry import DEFAULT_MODEL, model_info
from tests import sounds
from tests.workers import hang, spin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def make_pool() -> Iterator[object]:
    made: list[AnalysisPool] = []

    def make(**limits: float) -> AnalysisPool:
        fingerprint = model_info("musicnn").fingerprint
        pool = AnalysisPool("musicnn", fingerprint, limits=Limits(**limits))
        made.append(pool)
        return pool

    yield make
    for pool in made:
        pool.close(at_once=True)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("short") / "short.wav"
    return os.fsencode(sounds.write_audio(path, sounds.music(4)))


def outcome(
    pool: Sandbox[Any], path: bytes, work: Callable[[Any, bytes], object] = analyse_file
) -> object:
    return pool.result(pool.submit(work, path))


def test_a_file_that_takes_too_long_costs_only_itself(short: bytes) -> None:
    with tags_pool(limits=Limits(wall_s=2.0)) as pool:
        late = outcome(pool, b"endless", hang)
        assert isinstance(late, TimedOut)
        # Not every command that decodes files has such an option.
        assert "--timeout" not in str(late)
        assert isinstance(outcome(pool, short, read_file_tags), Tags)


def test_a_worker_that_is_killed_costs_one_file(tmp_path: Path, short: bytes) -> None:
    process = tmp_path / "process"
    process.touch()
    with tags_pool() as pool:
        job = pool.submit(spin, os.fsencode(process))
        # One that is killed earlier may hold pebble's locks, which it takes to say that it begins.
        while not (job.future.running() and process.read_text()):
            time.sleep(0.01)
        os.kill(int(process.read_text()), signal.SIGKILL)
        died = pool.result(job)
        assert isinstance(died, WorkerDied)
        assert "SIGKILL" in str(died)
        assert isinstance(outcome(pool, short, read_file_tags), Tags)


def test_a_worker_killed_between_two_files_costs_none(short: bytes) -> None:
    before = {child.pid for child in multiprocessing.active_children()}
    with tags_pool() as pool:
        assert isinstance(outcome(pool, short, read_file_tags), Tags)
        (worker,) = {child.pid for child in multiprocessing.active_children()} - before
        os.kill(worker, signal.SIGKILL)
        assert isinstance(outcome(pool, short, read_file_tags), Tags)


def test_a_file_that_takes_too_much_cpu_ends_its_worker(tmp_path: Path) -> None:
    with tags_pool(limits=Limits(cpu_s=1)) as pool:
        died = outcome(pool, os.fsencode(tmp_path / "process"), spin)
    assert isinstance(died, WorkerDied)
    assert "SIGXCPU" in str(died)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds the address space")
def test_a_file_that_asks_for_too_much_memory_is_told_so(make_pool: object, tmp_path: Path) -> None:
    pool = make_pool(memory_bytes=4 << 20)
    path = sounds.write_audio(
        tmp_path / "wide.flac", sounds.music(6, sample_rate=192_000), sample_rate=192_000
    )
    assert isinstance(outcome(pool, os.fsencode(path)), OutOfMemory)


def test_what_is_wrong_with_a_file_comes_back_as_data(make_pool: object, tmp_path: Path) -> None:
    path = sounds.write_audio(tmp_path / "blip.wav", sounds.music(0.3))
    error = outcome(make_pool(), os.fsencode(path))
    assert isinstance(error, TooShort)
    assert (error.reason, "blip.wav" in str(error)) == ("too short", True)


@pytest.mark.slow
def test_workers_that_never_start_are_no_files_fault(short: bytes) -> None:
    with (
        Sandbox(partial(os._exit, 1)) as pool,
        pytest.raises(WorkersFailed, match="no worker process starts"),
    ):
        pool.run(analyse_file, short)


def test_a_pool_refuses_a_model_that_is_not_the_catalogs() -> None:
    with pytest.raises(ModelMismatch, match="soundalike index --model"):
        AnalysisPool(DEFAULT_MODEL, "0" * 64)


@pytest.mark.slow
def test_a_script_without_a_main_guard_can_hear_files(tmp_path: Path, short: bytes) -> None:
    """Spawned workers import the parent's script unless told otherwise, and would start again."""
    script = tmp_path / "five_lines.py"
    script.write_text(
        "from indexer.models.registry import model_info\n"
        "from indexer.analysis.pools import AnalysisPool, analyse_file\n"
        "with AnalysisPool('musicnn', model_info('musicnn').fingerprint) as pool:\n"
        f"    print(pool.run(analyse_file, {short!r}).windows)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    assert done.stdout == "1\n", done.stderr


@pytest.mark.slow
def test_workers_leave_when_their_parent_is_killed(short: bytes) -> None:
    code = (
        "import multiprocessing, sys, time\n"
        "from indexer.models.registry import model_info\n"
        "from indexer.analysis.pools import AnalysisPool, analyse_file\n"
        "pool = AnalysisPool('musicnn', model_info('musicnn').fingerprint)\n"
        f"pool.run(analyse_file, {short!r})\n"
        "print(multiprocessing.active_children()[0].pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        process.kill()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    os.kill(worker, signal.SIGKILL)
    pytest.fail("the worker outlived its parent")
