from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from indexer.audio.reading import read_facts
from tests import sounds

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("name", "codec", "bits"),
    [
        ("a.wav", "pcm_s16le", 16),
        ("a.wav", "pcm_s24le", 24),
        ("a.wav", "pcm_f32le", 32),
        ("a.wav", "pcm_u8", 8),
        ("a.aiff", "pcm_s24be", 24),
        ("a.flac", "flac", 16),
        ("a.m4a", "alac", 24),
        ("a.mka", "flac", 16),
        ("a.wv", "wavpack", 16),
        ("a.mp3", None, None),
        ("a.opus", None, None),
    ],
)
def test_bits_a_sample(tmp_path: Path, name: str, codec: str | None, bits: int | None) -> None:
    path = sounds.write_audio(tmp_path / name, sounds.music(1), codec=codec)
    assert read_facts(path).bit_depth == bits
