"""What the analysis of one file costs, stage by stage, beside decoding all of it."""

from __future__ import annotations

import gc
import os
import time
from contextlib import contextmanager
from statistics import median
from typing import TYPE_CHECKING

import av
import numpy as np
import soxr

from benchmarks import sounds
from benchmarks.stages import DECODE, DEMUX, RESAMPLE, STAGES, timed_stages
from benchmarks.table import Cell, Table
from indexer.analysis.track_analysis import DEFAULT_WINDOWS, analyse
from indexer.audio.downmix import downmix
from indexer.models.registry import load_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.setting import Setting
    from benchmarks.sounds import Format
    from indexer.models.registry import Model

TOTAL, WHOLE, WHOLE_RESAMPLED = "total", "decode all", "decode + resample all"
INPUT = (DEMUX, DECODE, RESAMPLE)


def measure(setting: Setting) -> tuple[Table, ...]:
    """CPU seconds of one analysis, for each format and two lengths."""
    sizes = setting.sizes
    folder = setting.folder / "analysis"
    folder.mkdir()
    files: dict[tuple[str, Format], Path] = {}
    for length, seconds in (("clip", sizes.clip_s), ("track", sizes.track_s)):
        sound = sounds.load(setting.music, seconds)
        for form in sounds.FORMATS:
            files[length, form] = sounds.encode(folder / f"{length}.{form.suffix}", sound, form)
    with _one_thread():
        model = load_model()
        # The first analysis of a process also pays for buffers, kernels and caches.
        windows = {key: _count_windows(path, model) for key, path in files.items()}
        runs = {key: [] for key in files}  # type: dict[tuple[str, Format], list[dict[str, float]]]
        # Runs of one file lie apart, so that a disturbance meets one run of each.
        for _ in range(sizes.runs):
            for key, path in files.items():
                runs[key].append(_costs(path, model))
    rows: list[tuple[Cell, ...]] = []
    for (length, form), costs in runs.items():
        middle = {name: median(cost[name] for cost in costs) for name in costs[0]}
        fetched = median(sum(cost[stage] for stage in INPUT) for cost in costs)
        rows.append(
            (
                form.label,
                f"{getattr(sizes, f'{length}_s'):g} s",
                windows[length, form],
                *(middle[stage] for stage in STAGES),
                middle[TOTAL],
                fetched,
                middle[WHOLE],
                middle[WHOLE_RESAMPLED],
                median(sum(cost[stage] for stage in INPUT) / cost[WHOLE] for cost in costs),
                median(cost[TOTAL] / cost[WHOLE] for cost in costs),
            )
        )
    return (_table(rows, runs=sizes.runs),)


def _table(rows: list[tuple[Cell, ...]], *, runs: int) -> Table:
    return Table(
        title="Analysis of one file: CPU seconds (user + system, one thread)",
        columns=(
            "format",
            "length",
            "windows",
            *STAGES,
            TOTAL,
            "input",
            "[a] decode all",
            "decode + resample all",
            "input / [a]",
            "total / [a]",
        ),
        rows=tuple(rows),
        notes=f"Medians, runs: {runs}. {DEFAULT_WINDOWS} windows of 3 s are asked for, of which "
        "fewer fit into a short file.\n"
        "Stages: `analyse` as a worker calls it, with timers around open_file "
        "(demux + hash), TrackReader.windows (decode), soxr.resample, power_spectrogram and "
        "mel_scaled (mel), NetworkModel.embed_spectra (CNN), each less what runs inside it.\n"
        "Total: all of analyse. Input: demux + hash + decode + resample.\n"
        "[a]: PyAV decodes the whole file, nothing else. Beside it with the mean of the channels "
        "and soxr to 16 kHz of all of it.",
    )


def _count_windows(path: Path, model: Model) -> int:
    _decode_all(path, resampled=True)
    return analyse(os.fsencode(path), model).windows


def _costs(path: Path, model: Model) -> dict[str, float]:
    # To collect all garbage of a large process takes longer than an analysis, in no stage of it.
    gc.collect()
    gc.disable()
    try:
        with timed_stages() as clock:
            began = time.process_time()
            analyse(os.fsencode(path), model)
            total = time.process_time() - began
    finally:
        gc.enable()
    costs = {stage: clock.seconds[stage] for stage in STAGES} | {TOTAL: total}
    for name, resampled in ((WHOLE, False), (WHOLE_RESAMPLED, True)):
        began = time.process_time()
        _decode_all(path, resampled=resampled)
        costs[name] = time.process_time() - began
    return costs


def _decode_all(path: Path, *, resampled: bool) -> None:
    with av.open(path) as container:
        stream = container.streams.audio[0]
        stream.codec_context.thread_count = 1
        stream.codec_context.thread_type = "NONE"
        pieces = [downmix(frame) for frame in container.decode(stream) if resampled]
        if resampled:
            soxr.resample(np.concatenate(pieces), stream.rate, 16_000, quality="HQ")


@contextmanager
def _one_thread() -> Iterator[None]:
    """As a worker process computes."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
