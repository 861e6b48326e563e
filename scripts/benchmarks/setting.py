"""How much is measured, and where."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Sizes:
    """How much each table measures.

    Attributes
    ----------
    clip_s, track_s : float
        Seconds of the two lengths analysed.
    composed_s : float
        Seconds of music that are composed; more is had by repeating them.
    runs : int
        Runs of which the median is shown.
    worker_files, worker_rounds : int
        Tracks of one index run, 2 or more; runs with each number of workers.
    machine_files : int
        Tracks of one index run by the machines of a cluster.
    ordinary_s, long_s : float
        Seconds of the two files whose peak memory is compared.
    long_formats : tuple of str
        Formats of the long file.
    memory_runs : int
    rescans : int
        Runs of a rescan of a million files.
    index_counts, catalog_counts : tuple of int
        Vectors in an index searched directly; tracks in a catalog asked.
    million_counts : tuple of two int
        Tracks of the two catalogs whose figures stand beside each other.
    pgvector_count : int
        Vectors in a file and on a server.
    sized_tracks : int
        Tracks of the catalog whose bytes are counted.
    queries : int
        Questions of which p50 and p99 are taken.
    start_runs : int
    served_tracks, served_requests, served_files : int
        Tracks of a catalog that is served; requests of one round; files that an index run adds
        meanwhile.
    """

    clip_s: float = 30.0
    track_s: float = 240.0
    composed_s: float = 210.0
    runs: int = 5
    worker_files: int = 40
    worker_rounds: int = 3
    machine_files: int = 120
    ordinary_s: float = 300.0
    long_s: float = 3 * 3600.0
    long_formats: tuple[str, ...] = ("mp3", "m4a", "opus")
    memory_runs: int = 3
    index_counts: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    catalog_counts: tuple[int, ...] = (10_000, 100_000)
    million_counts: tuple[int, int] = (100_000, 1_000_000)
    pgvector_count: int = 100_000
    sized_tracks: int = 100_000
    queries: int = 500
    rescans: int = 3
    start_runs: int = 7
    served_tracks: int = 100_000
    served_requests: int = 4_000
    served_files: int = 200


FULL = Sizes()
QUICK = replace(
    FULL,
    composed_s=60.0,
    runs=3,
    worker_files=20,
    worker_rounds=1,
    machine_files=80,
    long_formats=("mp3",),
    memory_runs=1,
    index_counts=(10_000, 100_000),
    catalog_counts=(10_000,),
    million_counts=(5_000, 20_000),
    rescans=1,
    pgvector_count=20_000,
    sized_tracks=20_000,
    queries=200,
    start_runs=3,
    served_tracks=20_000,
    served_requests=2_000,
    served_files=100,
)


@dataclass(frozen=True)
class Setting:
    """What a table is given.

    Attributes
    ----------
    sizes : Sizes
    seed : int
        Of all music, vectors and choices.
    folder : Path
        For files, removed after the last table; tables use folders of their own in it.
    keep : Path or None
        Where the table `million` keeps its catalogs, for the next time.
    against : Path or None
        Another checkout of this project, whose figures it shows too.
    music : Path
        The music, as `sounds.compose` has stored it; the file is there only for tables that
        analyse files.
    """

    sizes: Sizes
    seed: int
    folder: Path
    keep: Path | None = None
    against: Path | None = None

    @property
    def music(self) -> Path:
        """Where the music lies."""
        return self.folder / "music.npy"
