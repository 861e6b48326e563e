"""A server as a process of its own, for as long as something is measured."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHROMIUM = "/usr/bin/chromium"
"""The browser that opens its page."""


@contextmanager
def served(catalog: Path) -> Iterator[str]:
    """The address of `soundalike serve` over a catalog, with a slash at the end."""
    command = [sys.executable, "-m", "recommender", "serve", "--catalog", str(catalog)]
    process = subprocess.Popen(
        [*command, "--port", "0", "--rate", "0"], stderr=subprocess.PIPE, text=True
    )
    try:
        found = (re.search(r"(http://\S+/) serves ", line) for line in process.stderr or ())
        yield next(match[1] for match in found if match)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
