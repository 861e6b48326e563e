from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import soxr

from indexer.audio import read_windows
from indexer.demux import open_file
from indexer.model import load_model
from indexer.samples import reader
from tests import sounds

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("suffix", [".mp3", ".m4a", ".ogg", ".opus", ".flac"])
def test_an_embedding_by_seeking_equals_that_of_a_whole_decode(
    tmp_path: Path, suffix: str, musicnn_models: Path
) -> None:
    """Also for AAC as FFmpeg encodes it, whose noise is drawn anew wherever decoding begins."""
    path = sounds.write_audio(tmp_path / f"track{suffix}", sounds.music(40))
    windows = read_windows(path, count=4)
    with open_file(path) as file:
        whole = reader(file)
        samples, _missing = whole.read(0, whole.length or 41 * 48_000)
    resampled = soxr.resample(samples, windows.facts.sample_rate, 16_000, quality="HQ")
    starts = np.round(windows.starts_s * 16_000).astype(int)
    pieces = np.stack([resampled[start : start + 48_000] for start in starts])
    model = load_model("musicnn")
    sought, _ = model.pool(*model.embed_windows(windows.waveforms))
    decoded, _ = model.pool(*model.embed_windows(pieces))
    assert float(sought @ decoded) >= 0.9999
