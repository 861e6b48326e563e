"""Tasks for worker processes, which can only do what they can import."""

from __future__ import annotations

import time


def hang(_worker: object, _path: bytes) -> None:
    """Never come back."""
    while True:
        time.sleep(60)
