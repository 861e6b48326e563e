"""Whoever writes the files beside a catalog killed again and again, beside a reader that goes on.

Tracks go and come back, so many at a time that the files are due to be written again. What they go
and come back under is committed before anything is killed, so that each change number stands for
one of two states, and every answer can be compared with an exact scan of its state.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from benchmarks.asked import HERE, Asked, environment
from benchmarks.catalogs import write_catalog
from benchmarks.made_up import made_up
from benchmarks.stressing import Truth, children, judge

from indexer.library import index_path
from indexer.mapped_arrays import draft_path
from indexer.models.registry import model_info
from indexer.vectors.policy import DEFAULT_POLICY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


BACKGROUND = "indexer.write_caches"
LEAVING = 0.08
"""Share of the tracks that go and come back: more than leaves an index as it is."""
_ANOTHER_LOOK = 10
"""Kills after which the catalog is opened anew and verified."""
_AFTERWARDS_S = 0.3
"""How long readers are asked after a kill."""
_SETTLED_S = 120.0
_IN_BACKGROUND = 2


@dataclass
class Kills:
    """What became of it.

    Attributes
    ----------
    tried : Counter of str
        What was killed, and whether the file had been replaced by then.
    answers : int
        Answers compared with exact scans.
    recall : float
        Their mean recall.
    faults : list of str
    """

    tried: Counter[str] = field(default_factory=Counter)
    answers: int = 0
    recall: float = 1.0
    faults: list[str] = field(default_factory=list)


class _Scene:
    """A catalog, its two states, and which one each change number stands for."""

    def __init__(self, catalog: Path, *, tracks: int, seed: int) -> None:
        library = made_up(tracks, dim=model_info().dim, seed=seed)
        write_catalog(catalog, library, seed=seed)
        rng = np.random.default_rng([seed, 7])
        leaving = np.sort(rng.permutation(tracks)[: round(LEAVING * tracks)]) + 1
        staying = np.setdiff1d(np.arange(1, tracks + 1), leaving)
        self.catalog = catalog
        self.leaving: list[int] = leaving.tolist()
        self.seeds: list[int] = rng.permutation(staying)[:50].tolist()
        self.truth = {
            whole: Truth.of(np.asarray(library.vectors), library.vectors[:0])
            for whole in (True, False)
        }
        self.truth[False].until[leaving - 1] = 0
        self.whole = True
        """Whether all tracks are there."""
        self.state_of: dict[int, bool] = {}
        self.result = Kills()

    def writer(self, *, closing: bool = True) -> Asked:
        """A writer that has let tracks go, or come back, and is told to close."""
        writer = Asked("benchmarks.asking", self.catalog)
        writer.ask("hold")
        done = writer.ask("fewer" if self.whole else "back", ids=self.leaving)
        self.whole = not self.whole
        self.state_of[done["change"]] = self.whole
        if closing:
            writer.send("release")
        return writer

    def finish(self) -> float:
        """Let a writer finish; returns the seconds that it took to close, its children included."""
        with self.writer() as writer:
            began = time.monotonic()
            writer.receive()
            while children(writer.pid):
                if time.monotonic() > began + _SETTLED_S:
                    raise RuntimeError(f"a writer's children go on for over {_SETTLED_S:.0f} s")
                time.sleep(0.01)
            return time.monotonic() - began

    def kill_writer(self, moment: float, reader: Asked, *, with_others: bool) -> None:
        """Kill a writer that has been closing for `moment` seconds while a reader is asked.

        With others: with the processes that it, or the reader, has started.
        """
        before = self._inodes()
        with self.writer() as writer:
            reader.send("samples", seconds=moment + _AFTERWARDS_S, ids=self.seeds)
            time.sleep(moment)
            replaced = self._inodes() != before
            others = [*children(writer.pid), *children(reader.pid)] if with_others else []
            for process in [writer.pid, *others]:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
        self._count("a closing writer" + (" and others" if with_others else ""), replaced=replaced)
        self.judge(reader.receive(), f"at a kill after {moment:.2f} s")

    def kill_background(self, moment: float, reader: Asked) -> None:
        """Kill the process that writes the vectors while readers ask, `moment` seconds old."""
        before = self._inodes()
        with self._background() as process:
            reader.send("samples", seconds=moment + _AFTERWARDS_S, ids=self.seeds)
            time.sleep(moment)
            replaced = self._inodes() != before
            process.kill()
        self._count("the process in the background", replaced=replaced)
        self.judge(reader.receive(), f"at a kill in the background after {moment:.2f} s")

    def finish_background(self) -> float:
        """Let the process that writes the vectors finish; returns the seconds that it took."""
        with self._background() as process:
            began = time.monotonic()
            if process.wait(_SETTLED_S):
                raise RuntimeError(f"{BACKGROUND} ends with {process.returncode}")
        return time.monotonic() - began

    def _background(self) -> subprocess.Popen[bytes]:
        with self.writer(closing=False):
            pass  # It is killed before it writes them itself.
        policy = json.dumps(asdict(DEFAULT_POLICY))
        command = [sys.executable, "-m", BACKGROUND, policy]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment(HERE))
        assert process.stdin is not None  # noqa: S101 - it was asked for
        with process.stdin:
            process.stdin.write(f"{self.catalog}\n".encode())
        return process

    def _count(self, killed: str, *, replaced: bool) -> None:
        self.result.tried[f"{killed}, {'after' if replaced else 'before'} a swap"] += 1

    def look_anew(self, when: str) -> None:
        """Ask a reader that opens the catalog now, and verify it."""
        with Asked("benchmarks.asking", self.catalog) as reader:
            reader.ask("open")
            self.judge(reader.ask("samples", seconds=_AFTERWARDS_S, ids=self.seeds), when)
        command = [sys.executable, "-m", "recommender", "verify", "--catalog", str(self.catalog)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment(HERE)
        )
        said = (done.stdout + done.stderr).strip()
        self.result.tried[f"then verify ends with {done.returncode}"] += 1
        if "Traceback" in said:
            self.result.faults.append(f"verify {when}: {said[-200:]}")

    def judge(self, answer: dict[str, Any], when: str) -> None:
        """Compare the samples of a reader with exact scans of the states that it knew."""
        rows = np.array(answer["samples"], np.int64).reshape(len(answer["samples"]), -1)
        unknown = set(rows[:, 1].tolist()) - set(self.state_of)
        faults = [f"an answer knows the change {change}" for change in unknown]
        result, recalls = self.result, 0.0
        for whole, truth in self.truth.items():
            changes = [change for change, state in self.state_of.items() if state == whole]
            those = rows[np.isin(rows[:, 1], changes)]
            if len(those):
                judged = judge(truth, those[:, 0], np.zeros(len(those), np.int64), those[:, 2:])
                faults += judged.wrong
                recalls += judged.recalls.sum()
        result.faults += [f"{when}: {fault}" for fault in faults]
        both = result.answers + len(rows)
        result.recall = (result.recall * result.answers + recalls) / max(1, both)
        result.answers = both

    def _inodes(self) -> dict[str, int]:
        own = {self.catalog.name + end for end in ("", "-wal", "-shm", ".lock")}
        found = {}
        for path in self.catalog.parent.iterdir():
            with suppress(OSError):
                if path.name not in own and path.suffix != ".lock" and "draft" not in path.name:
                    found[path.name] = path.stat().st_ino
        return found


def kill_writers(
    folder: Path, *, tracks: int, kills: int, seed: int, say: Callable[[str], object] = print
) -> Kills:
    """Kill who writes the files of `tracks` tracks, at `kills` moments of the writing.

    In turn it is the closing writer, the writer and all processes that it and the reader have
    started, and the process that writes the vectors in the background. After every tenth the
    catalog is opened anew and verified, and in the end by a writer that is left to finish.
    """
    scene = _Scene(folder / "catalog.db", tracks=tracks, seed=seed)
    with Asked("benchmarks.asking", scene.catalog) as reader:
        reader.ask("load")
        reader.ask("open")
        scene.state_of[reader.ask("change")["change"]] = True
        writer_s, background_s = scene.finish(), scene.finish_background()
        say(f"left alone, a writer closes in {writer_s:.1f} s, the process in {background_s:.1f} s")
        # A fifth longer, because the machine may be slower than it was.
        parts = np.random.default_rng(seed).permutation(np.linspace(0.0, 1.2, kills))
        for number, part in enumerate(parts.tolist()):
            if number % 3 == _IN_BACKGROUND:
                scene.kill_background(part * background_s, reader)
            else:
                scene.kill_writer(part * writer_s, reader, with_others=bool(number % 3))
            if number % _ANOTHER_LOOK == _ANOTHER_LOOK - 1:
                scene.look_anew(f"anew after kill {number}")
        scene.finish()
        samples = reader.ask("samples", seconds=_AFTERWARDS_S, ids=scene.seeds)
        scene.judge(samples, "in the end")
    scene.look_anew("in the end, anew")
    for path in folder.glob("*.draft*"):
        if path == draft_path(index_path(scene.catalog)):
            scene.result.faults.append(f"in the end, {path.name} is left")
        else:
            scene.result.tried["drafts that are left for a while"] += 1
    return scene.result
