"""What reading the windows of a file costs beside decoding all of it, by format and length."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING

import av

from benchmarks import sounds
from benchmarks.table import Cell, Table
from indexer.audio.reading import open_track, read_facts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.setting import Setting

WINDOWS = 12


def measure(setting: Setting) -> tuple[Table, ...]:
    """CPU seconds of opening, of windows and of decoding all, for each format and length."""
    sizes = setting.sizes
    folder = setting.folder / "decoding"
    folder.mkdir()
    files: list[tuple[str, float, Path]] = []
    for seconds in (sizes.clip_s, sizes.track_s):
        sound = sounds.load(setting.music, seconds)
        for form in (*sounds.FORMATS, *sounds.RARER_FORMATS):
            path = sounds.encode(folder / f"{seconds:g}.{form.suffix}", sound, form)
            files.append((form.label, seconds, path))
    track = sounds.load(setting.music, sizes.track_s)
    for suffix in sizes.long_formats:
        lengths = sounds.repeated_to(folder, suffix, track, (sizes.long_s,))
        files.append((sounds.BY_SUFFIX[suffix].label, sizes.long_s, lengths[sizes.long_s]))
    _costs(files[0][2])  # The first file of a process also pays for buffers and caches.
    runs: list[list[tuple[float, float, float]]] = [[] for _ in files]
    # Runs of one file lie apart, so that a disturbance meets one run of each.
    for _ in range(sizes.runs):
        for costs, (_, _, path) in zip(runs, files, strict=True):
            costs.append(_costs(path))
    rows: list[tuple[Cell, ...]] = []
    for costs, (label, seconds, _) in zip(runs, files, strict=True):
        middle = [median(column) for column in zip(*costs, strict=True)]
        ratio = median(windows / everything for _, windows, everything in costs)
        rows.append((label, sounds.length(seconds), *middle, ratio))
    return (_table(rows, runs=sizes.runs),)


def _table(rows: list[tuple[Cell, ...]], *, runs: int) -> Table:
    return Table(
        title=f"Windows of one file: CPU seconds (user + system) for {WINDOWS} of 3 s at 16 kHz",
        columns=("format", "length", "open", "open + windows", "[a] decode all", "windows / [a]"),
        rows=tuple(rows),
        notes=f"Medians, runs: {runs}. Open: facts, hash and packet positions. Windows: decoded, "
        "mixed and resampled.\n[a]: PyAV decodes the whole file in one thread, nothing else.",
    )


def _costs(path: Path) -> tuple[float, float, float]:
    return _cpu(read_facts, path), _cpu(_read_windows, path), _cpu(_decode_all, path)


def _cpu(function: Callable[[Path], object], path: Path) -> float:
    began = time.process_time()
    function(path)
    return time.process_time() - began


def _read_windows(path: Path) -> None:
    with open_track(path) as track:
        track.windows(WINDOWS)


def _decode_all(path: Path) -> None:
    with av.open(path) as container:
        stream = container.streams.audio[0]
        stream.codec_context.thread_count = 1
        stream.codec_context.thread_type = "NONE"
        for _ in container.decode(stream):
            pass
