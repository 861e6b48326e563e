"""Two index runs into one catalog on a server, one of them killed again and again, beside readers.

In the end the catalog must hold each file once and answer as one in a file that a single run made.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from indexer.catalog.reader import Catalog
from indexer.indexing.pipeline import index_paths
from indexer.library import Library
from recommender import Ranking, Recommender
from tests import sounds

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FOLDERS = ("one", "two")
_READER = """
import json, select, sys, time
from recommender import Recommender
asked, wrong = 0, []
with Recommender.open(sys.argv[1]) as recommender:
    while not select.select([sys.stdin], [], [], 0.05)[0]:
        if not len(recommender):
            continue
        for track in recommender.ids()[:20].tolist():
            answer = recommender.similar_to_track(track, n=5)
            ids = [one.id for one in answer.neighbours]
            scores = [one.cosine for one in answer.neighbours]
            asked += 1
            if track in ids or len(set(ids)) < len(ids) or scores != sorted(scores, reverse=True):
                wrong.append([track, ids, scores])
print(json.dumps([asked, wrong]))
"""


@dataclass
class Writing:
    """What came of it.

    Attributes
    ----------
    kills : int
        How often a run was killed.
    answers : int
        Answers that readers looked at meanwhile.
    tracks : int
        Tracks in the end.
    faults : list of str
        What was not as it should be.
    """

    kills: int = 0
    answers: int = 0
    tracks: int = 0
    faults: list[str] = field(default_factory=list)


def write_at_once(
    scratch: Path,
    address: str,
    *,
    files: int,
    kills: int,
    readers: int,
    seed: int,
    say: Callable[[str], None],
) -> Writing:
    """Run two writers and some readers on an empty database of a server.

    Parameters
    ----------
    files : int
        In each of two folders.
    """
    rng = np.random.default_rng(seed)
    result = Writing()
    for number, name in enumerate(FOLDERS):
        (scratch / name).mkdir()
        for row in range(files):
            sound = sounds.music(3 + 0.25 * row, seed=1000 * number + row)
            sounds.write_audio(scratch / name / f"{row:03}.wav", sound)
    os.environ["SOUNDALIKE_CACHE"] = str(scratch / "cache")
    Library.open_for_writing(address, create=True).close()
    asking = [_start(["-c", _READER, address], answers=True) for _ in range(readers)]
    other = _index(address, scratch / "two")
    while result.kills < kills:
        run = _index(address, scratch / "one")
        time.sleep(float(rng.uniform(2, 9)))
        if run.poll() is None:
            run.send_signal(signal.SIGKILL)
            result.kills += 1
        run.wait()
        say(f"killed {result.kills} times, {_present(address)} tracks")
        if _present(address) >= 2 * files:
            break
    for run in (_index(address, scratch / "one"), other):
        if run.wait():
            result.faults.append(f"a run ended with {run.returncode}")
    for process in asking:
        said, _ = process.communicate("end\n", timeout=60)
        if process.returncode:
            result.faults.append(f"a reader ended with {process.returncode}")
            continue
        answers, wrong = json.loads(said)
        result.answers += answers
        result.faults += [f"a reader was told {one}" for one in wrong]
    _compare(scratch, address, result)
    return result


def _compare(scratch: Path, address: str, result: Writing) -> None:
    """Compare the catalog with one in a file that a single run makes."""
    with closing(Library.open_for_writing(scratch / "single.db", create=True)) as library:
        index_paths(library, [scratch / name for name in FOLDERS])
    with closing(Library.open(address)) as library:
        report = library.verify()
        if not report.sound:
            result.faults.append(f"verify: {report}")
    with Recommender.open(address) as on_server, Recommender.open(scratch / "single.db") as single:
        result.tracks = len(on_server)
        found, expected = _answers(on_server), _answers(single)
    result.faults += [
        f"{os.fsdecode(path)}: {found.get(path)} instead of {expected.get(path)}"
        for path in found.keys() | expected.keys()
        if found.get(path) != expected.get(path)
    ]


def _answers(recommender: Recommender) -> dict[bytes, list[tuple[float, bytes]]]:
    """All tracks by path, each with the cosines to all others; tracks have other ids elsewhere."""
    tracks = recommender.tracks(recommender.ids())
    paths = {track.id: track.path for track in tracks}
    found = {}
    for track in tracks:
        answer = recommender.similar_to_track(
            track.id, n=len(tracks), ranking=Ranking(collapse=False)
        )
        found[track.path] = sorted(
            (round(one.cosine, 4), paths[one.id]) for one in answer.neighbours
        )
    return found


def _present(address: str) -> int:
    with closing(Catalog.open_for_reading(address)) as catalog:
        return catalog.counts()["present"]


def _index(address: str, folder: Path) -> subprocess.Popen[str]:
    command = ["-m", "recommender", "index", str(folder), "--catalog", address]
    return _start([*command, "--workers", "1"])


def _start(arguments: list[str], *, answers: bool = False) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE if answers else subprocess.DEVNULL
    said = None if answers else subprocess.DEVNULL
    return subprocess.Popen(
        [sys.executable, *arguments], stdin=pipe, stdout=pipe, stderr=said, text=True
    )
