"""What comes before any work: imports and the command line."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.table import Cell, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.setting import Setting

_BARE_PYTHON = "[a] python -c pass"
_IMPORT = "import recommender"


class _Cost(NamedTuple):
    """Seconds by the clock, and CPU seconds of processes that were started."""

    wall: float
    children: float


def measure(setting: Setting) -> tuple[Table, ...]:
    """Seconds to start."""
    started = _medians(
        {
            _BARE_PYTHON: lambda: _run("-c", "pass"),
            _IMPORT: lambda: _run("-c", "import recommender"),
            "soundalike --help": lambda: _run("-m", "recommender", "--help"),
        },
        runs=setting.sizes.start_runs,
    )
    starts: list[tuple[Cell, ...]] = [
        (name, cost.wall, cost.wall / started[_BARE_PYTHON].wall, cost.children)
        for name, cost in started.items()
    ]
    return (
        Table(
            title="Start: wall-clock seconds of a fresh process",
            columns=("process", "s", "s / [a]", "CPU s"),
            rows=tuple(starts),
            notes=f"Medians, runs: {setting.sizes.start_runs}, after one that is not counted.",
        ),
    )


def _medians(actions: Mapping[str, Callable[[], object]], *, runs: int) -> dict[str, _Cost]:
    """What each action costs, all of them in turn; the first turn is not counted."""
    costs: dict[str, list[_Cost]] = {name: [] for name in actions}
    for _ in range(runs + 1):
        for name, act in actions.items():
            wall, cpu = time.perf_counter(), _children_cpu()
            act()
            costs[name].append(_Cost(time.perf_counter() - wall, _children_cpu() - cpu))
    return {
        name: _Cost(*(median(column) for column in zip(*counted[1:], strict=True)))
        for name, counted in costs.items()
    }


def _children_cpu() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _run(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
