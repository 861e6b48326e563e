"""The benchmark on sizes that take seconds."""

from __future__ import annotations

from benchmarks.setting import Sizes

TINY = Sizes(
    clip_s=4,
    track_s=6,
    composed_s=2,
    runs=1,
    worker_files=3,
    worker_rounds=1,
    ordinary_s=8,
    long_s=20,
    long_formats=("mp3",),
    memory_runs=1,
    index_counts=(300,),
    catalog_counts=(300,),
    million_counts=(300, 600),
    pgvector_count=600,
    sized_tracks=300,
    rescans=1,
    queries=10,
    start_runs=1,
)
