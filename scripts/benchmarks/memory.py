"""What a very long file costs beside ordinary ones: CPU and peak memory of the process."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks import lone, sounds
from benchmarks.table import Cell, Table

if TYPE_CHECKING:
    from benchmarks.setting import Setting


def measure(setting: Setting) -> tuple[Table, ...]:
    """CPU and peak memory of a fresh process for a track, an ordinary and a very long file."""
    sizes = setting.sizes
    folder = setting.folder / "memory"
    folder.mkdir()
    warm_up = sounds.encode(
        folder / "clip.flac",
        sounds.load(setting.music, sizes.clip_s),
        sounds.BY_SUFFIX["flac"],
    )
    rows: list[tuple[Cell, ...]] = []
    for suffix in sizes.long_formats:
        track = sounds.load(setting.music, sizes.track_s)
        lengths = (sizes.track_s, sizes.ordinary_s, sizes.long_s)
        files = sounds.repeated_to(folder, suffix, track, lengths)
        runs: dict[float, list[dict[str, Any]]] = {seconds: [] for seconds in files}
        for _ in range(sizes.memory_runs):
            for seconds, path in files.items():
                runs[seconds] += lone.analyse_files(warm_up, path)
        cpu = {seconds: median(run["cpu_s"] for run in costs) for seconds, costs in runs.items()}
        peak = {seconds: median(run["peak_mb"] for run in costs) for seconds, costs in runs.items()}
        rows += [
            (
                sounds.BY_SUFFIX[suffix].label,
                sounds.length(seconds),
                path.stat().st_size / 1e6,
                cpu[seconds],
                cpu[seconds] / cpu[sizes.track_s],
                peak[seconds],
                peak[seconds] - peak[sizes.ordinary_s],
            )
            for seconds, path in files.items()
        ]
        for path in files.values():
            path.unlink()
    table = Table(
        title="Long files: CPU seconds of the analysis, peak memory (RSS) of the process",
        columns=(
            "format",
            "length",
            "file MB",
            "CPU s",
            f"CPU / {sounds.length(sizes.track_s)}",
            "peak MB",
            f"MB above {sounds.length(sizes.ordinary_s)}",
        ),
        rows=tuple(rows),
        notes=f"Medians, runs: {sizes.memory_runs}, each in a fresh process that has loaded the "
        "model and analysed a clip before.\n"
        f"Longer files are the packets of {sounds.length(sizes.track_s)} again and again.",
    )
    return (table,)
