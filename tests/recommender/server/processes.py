"""CPU time and children of a process."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and of its children, in seconds."""
    total = 0.0
    for one in [pid, *children(pid)]:
        with suppress(OSError):  # a child may end meanwhile
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def workers(pid: int) -> list[int]:
    """Processes that a process has started to open files in."""
    found = []
    for one in children(pid):
        with suppress(OSError):  # it may end meanwhile
            if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes():
                found.append(one)
    return found


def children(pid: int) -> list[int]:
    """Processes that a process has started."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):  # a thread may end meanwhile
            found.update(map(int, (task / "children").read_text().split()))
    return sorted(found)
