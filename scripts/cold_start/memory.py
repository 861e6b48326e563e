"""How much memory an export takes: under a limit, in the kernel's own count."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

from recommender.collection.export import export
from recommender.engine import Recommender

if TYPE_CHECKING:
    from pathlib import Path

MB = 1 << 20


def export_within(catalog: Path, out: Path, *, limit_mb: int) -> tuple[int, int]:
    """Export all tracks with so many MB of address space at most.

    Returns
    -------
    tracks : int
    peak : int
        Largest resident memory of this process, in MB.

    Raises
    ------
    MemoryError
        It does not do with that.
    """
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (limit_mb * MB, hard))
    with Recommender.open(catalog) as sound:
        count = export(sound, out, replace=True)
    return count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
