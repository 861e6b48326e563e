"""Waiting for what has to come about, however slow the machine is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

LIMIT_S = 120.0


def wait_until(condition: Callable[[], object], limit_s: float = LIMIT_S) -> None:
    """Return as soon as a condition holds."""
    until = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.005)


def wait_for_file(process: subprocess.Popen[str], folder: Path, pattern: str) -> None:
    """Return as soon as a process, which has to go on, has made such a file in a folder."""

    def made() -> bool:
        assert process.poll() is None, "it has ended"
        return any(folder.glob(pattern))

    wait_until(made)
