"""Files of every container with random damage: none is lost, and none has an unforeseen reason.

`MUTATED_FILES=2000 pytest tests/indexer/analysis/test_mutated_files.py` tries more than usual.
"""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np

from indexer.indexing.pipeline import index_paths
from indexer.library import Library
from tests import sounds

if TYPE_CHECKING:
    from pathlib import Path

    from indexer.analysis.pools import AnalysisPool

COUNT = int(os.environ.get("MUTATED_FILES", "60"))


def mutate(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """Damage of one to three kinds, half the time in the first 1,000 bytes, where headers are."""
    for kind in rng.integers(0, 7, rng.integers(1, 4)):
        end = len(data) if rng.random() < 0.5 else min(len(data), 1000)
        start, stop = sorted(int(at) for at in rng.integers(0, end, 2))
        changed = bytearray(data)
        if kind == 0:
            for at in rng.integers(0, end, rng.integers(1, 50)):
                changed[at] = rng.integers(0, 256)
        elif kind == 1:
            changed[start:stop] = bytes(stop - start)
        elif kind == 2:
            changed[start:stop] = rng.bytes(stop - start)
        elif kind == 3:
            del changed[start:stop]
        elif kind == 4:
            changed[start:start] = changed[start:stop]
        elif kind == 5:
            changed[start:stop] = other[start:stop]
        elif rng.random() < 0.5:
            changed[start : start + 4] = b"\xff" * 4
        else:
            del changed[max(stop, 20) :]
        data = bytes(changed) or data
    return data


def test_mutated_files(tmp_path: Path, pool: AnalysisPool) -> None:
    waveform = sounds.music(3.2, sample_rate=32_000)
    sources = [
        sounds.write_audio(
            tmp_path / f"source{suffix}", waveform, sample_rate=32_000, bit_rate=64_000
        )
        for suffix in sounds.SUFFIXES
    ]
    folder = tmp_path / "mutated"
    folder.mkdir()
    for number in range(COUNT):
        source, other = (sources[(number * times) % len(sources)] for times in (1, 7))
        damaged = mutate(
            source.read_bytes(), other.read_bytes(), np.random.default_rng((3, number))
        )
        (folder / f"{number}{source.suffix}").write_bytes(damaged)
    with closing(Library.open_for_writing(tmp_path / "catalog.db", create=True)) as library:
        summary = index_paths(library, [folder], pool=pool)
        assert sum(summary.stored.values()) + summary.failed == COUNT
        failures = library.catalog.failures()
        assert len(failures) == summary.failed
        bad = [one for one in failures if one.reason in ("unforeseen", "worker died", "timed out")]
        assert bad == []
        assert library.index is not None
        assert np.isfinite(library.index.reconstruct(library.index.ids())).all()
        assert 0.2 * COUNT < summary.failed < 0.9 * COUNT
