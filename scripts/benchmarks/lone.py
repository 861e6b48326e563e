"""A process that analyses files as a worker does and prints what it cost.

    python -m benchmarks.lone WARM_UP FILE...

Loads the model, analyses WARM_UP, prints "ready", waits for a line on stdin, analyses the files and
prints JSON: `cpu_s`, `wall_s`, `peak_mb` (of the whole process) and `windows`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.own_memory import peak_mb

if TYPE_CHECKING:
    from collections.abc import Sequence


def analyse_files(warm_up: Path, *files: Path, processes: int = 1) -> list[dict[str, Any]]:
    """Have fresh processes analyse the same files at one time; returns what each has printed."""
    command = [sys.executable, "-m", "benchmarks.lone", str(warm_up), *map(str, files)]
    with ExitStack() as stack:
        running = [
            stack.enter_context(
                subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    env=child_environment(),
                )
            )
            for _ in range(processes)
        ]
        for process in running:
            if process.stdout is None or process.stdout.readline() != "ready\n":
                raise RuntimeError("a process that was to analyse files has ended; see above")
        for process in running:
            if process.stdin is not None:
                process.stdin.write("go\n")
                process.stdin.flush()
        return [json.loads(process.communicate()[0]) for process in running]


def child_environment() -> dict[str, str]:
    """The environment of this process, with `benchmarks` importable."""
    scripts = str(Path(__file__).parents[1])
    before = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{scripts}{os.pathsep}{before}" if before else scripts}


def _main(paths: Sequence[str]) -> None:
    import torch

    from indexer.analysis.track_analysis import analyse
    from indexer.models.registry import load_model

    torch.set_num_threads(1)
    model = load_model()
    warm_up, *files = [os.fsencode(path) for path in paths]
    analyse(warm_up, model)
    print("ready", flush=True)
    sys.stdin.readline()
    cpu, wall = time.process_time(), time.perf_counter()
    windows = sum(analyse(file, model).windows for file in files)
    cost = {
        "cpu_s": time.process_time() - cpu,
        "wall_s": time.perf_counter() - wall,
        "peak_mb": peak_mb(),
        "windows": windows,
    }
    print(json.dumps(cost))


if __name__ == "__main__":
    _main(sys.argv[1:])
