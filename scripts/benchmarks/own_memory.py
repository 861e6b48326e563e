"""Memory of this process."""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def memory_mb() -> dict[str, float]:
    """Memory of this process in MB: `rss`, `pss`, and of `rss` what is `private` and `shared`."""
    found = dict.fromkeys(("rss", "pss", "private", "shared"), 0.0)
    for line in Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]:
        name, value = line.split()[:2]
        for start, key in (
            ("Rss:", "rss"),
            ("Pss:", "pss"),
            ("Private_", "private"),
            ("Shared_", "shared"),
        ):
            if name.startswith(start) and "huge" not in name:
                found[key] += int(value) / 1e3 * 1.024
    return found


def peak_mb() -> float:
    """The most resident memory that this process has had, in MB."""
    status = Path("/proc/self/status")
    if status.exists():
        # `ru_maxrss` also counts what the parent held before it started us.
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (peak if sys.platform == "darwin" else peak * 1024) / 1e6
