from __future__ import annotations

import io
import wave
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
import soxr

from indexer.audio.container import open_file
from indexer.audio.pcm_blocks import PcmBlocks
from indexer.audio.reading import open_track
from indexer.audio.wav_layout import HEADER_BYTES, WavLayout, wav_layout
from tests import sounds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

SECONDS = 8.0
FORWARD = (".ac3", ".wma")
"""Formats that can only be decoded from the beginning."""
NOISY = (".aac", ".m4a", ".mp2")
"""Formats whose decoders add noise that depends on what they decoded before."""


def layout_of(path: Path) -> WavLayout:
    with open_track(path) as track:
        track.windows(1)
        facts = track.facts
    return wav_layout(
        duration_s=facts.duration_s, sample_rate=facts.sample_rate, channels=facts.channels
    )


@contextmanager
def open_blocks(path: Path) -> Iterator[tuple[PcmBlocks, WavLayout]]:
    layout = layout_of(path)
    with open_file(path) as file:
        yield PcmBlocks(file, layout), layout


def count(layout: WavLayout) -> int:
    return -(-layout.frames // layout.block_frames)


def read_all(path: Path) -> NDArray[np.int16]:
    with open_blocks(path) as (blocks, layout):
        return samples_of([blocks.read(n) for n in range(count(layout))], layout)


def samples_of(blocks: list[bytes], layout: WavLayout) -> NDArray[np.int16]:
    return np.frombuffer(b"".join(blocks), "<i2").reshape(-1, layout.channels)


def decode_straight(path: Path) -> NDArray[np.int16]:
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
        channels = container.streams.audio[0].codec_context.channels
    if frames[0].shape[0] == channels > 1:
        whole = np.concatenate(frames, axis=1).T
    else:
        whole = np.concatenate([frame.reshape(-1, channels) for frame in frames])
    if whole.dtype == np.uint8:
        whole = (whole - 128.0) * 2.0**8
    elif whole.dtype == np.int32:
        whole = whole / 2.0**16
    elif whole.dtype == np.float32:
        whole = whole * 2.0**15
    return np.rint(whole).clip(-(2**15), 2**15 - 1).astype(np.int16)


@pytest.mark.parametrize("suffix", sounds.SUFFIXES)
def test_blocks_are_the_straight_decode(tmp_path: Path, suffix: str) -> None:
    path = sounds.write_audio(tmp_path / f"a{suffix}", sounds.music(SECONDS))
    ours, straight = read_all(path), decode_straight(path)
    # What an encoder puts before and behind the sound counts or not: a tenth of a second.
    assert abs(len(ours) - len(straight)) < 4410
    length = min(len(ours), len(straight))
    apart = np.abs(ours[:length].astype(int) - straight[:length])
    if suffix in NOISY:
        assert (apart > 1).mean() < 0.1
    else:
        assert apart.max() == 0


@pytest.mark.parametrize("suffix", [*sounds.SUFFIXES, ".eac3"])
def test_a_block_is_the_same_whatever_was_read_before(tmp_path: Path, suffix: str) -> None:
    path = sounds.write_audio(tmp_path / f"a{suffix}", sounds.music(13))
    with open_blocks(path) as (blocks, layout):
        numbers = range(count(layout))
        assert len(numbers) >= 4
        in_order = [blocks.read(number) for number in numbers]
        assert blocks.reaches(2) == (suffix not in (*FORWARD, ".eac3"))
        assert [blocks.read(number) for number in reversed(numbers)] == in_order[::-1]
    with open_blocks(path) as (blocks, _):
        assert blocks.read(3) == in_order[3]
        assert blocks.read(1) == in_order[1]


@pytest.mark.parametrize("rate", [96_000, 88_200, 50_001])
def test_high_rates_are_resampled_block_by_block_as_the_whole(tmp_path: Path, rate: int) -> None:
    path = sounds.write_audio(
        tmp_path / "a.flac", 0.5 * sounds.music(9, sample_rate=rate), sample_rate=rate
    )
    ours, layout = read_all(path), layout_of(path)
    assert layout.rate == {96_000: 48_000, 88_200: 44_100, 50_001: 48_000}[rate]
    whole = soxr.resample(decode_straight(path) / 2.0**15, rate, layout.rate, quality="HQ")
    length = min(len(ours), len(whole))
    assert length == layout.frames
    # The last samples alone hang on what lies behind the end.
    apart = np.abs(ours[:length] - np.rint(whole[:length] * 2.0**15))
    assert apart.max() <= 1


@pytest.mark.parametrize(("channels", "wanted"), [(1, 1), (6, 2), (8, 2)])
def test_more_than_two_channels_become_stereo(tmp_path: Path, channels: int, wanted: int) -> None:
    waveform = np.zeros((channels, 44_100 * 4), np.float32)
    tone = 0.5 * np.sin(np.arange(waveform.shape[1]) / 20).astype(np.float32)
    waveform[0] = tone
    ours = read_all(sounds.write_audio(tmp_path / "a.flac", waveform))
    assert ours.shape[1] == wanted
    assert np.abs(ours[:, 0]).max() > 4000
    if wanted == 2:
        assert np.abs(ours[:, 1]).max() <= 1


def test_24_bits_are_rounded(tmp_path: Path) -> None:
    path = sounds.write_audio(tmp_path / "a.wav", sounds.music(4), codec="pcm_s24le")
    assert np.array_equal(read_all(path), decode_straight(path))


@pytest.mark.parametrize("value", [np.nan, np.inf, -1e30, 2.0])
def test_samples_beyond_all_bounds_do_no_harm(tmp_path: Path, value: float) -> None:
    path = sounds.not_finite(tmp_path / "a.wav", value=value)
    clean = np.rint(sounds.music(5.0).T * 2.0**15)
    ours = read_all(path)
    changed = np.flatnonzero(np.abs(ours - clean).max(axis=1) > 1)
    assert len(changed) <= 1
    assert ours[len(ours) // 2, 0] == (2**15 - 1 if value == 2.0 else 0)


@pytest.mark.parametrize("suffix", [".flac", ".m4a", ".mp2", ".ogg", ".webm", ".wma", ".wv"])
def test_a_damaged_file_gives_the_same_bytes_in_any_order(tmp_path: Path, suffix: str) -> None:
    whole = sounds.write_audio(tmp_path / f"whole{suffix}", sounds.music(10))
    path = sounds.change_bytes(tmp_path / f"a{suffix}", whole, np.linspace(0.3, 0.99, 30))
    with open_blocks(path) as (blocks, layout):
        numbers = range(count(layout))
        in_order = [blocks.read(number) for number in numbers]
        assert [blocks.read(number) for number in reversed(numbers)] == in_order[::-1]
    assert sum(len(block) for block in in_order) == layout.size - HEADER_BYTES


def test_sound_is_padded_and_cut_to_what_the_layout_says(tmp_path: Path) -> None:
    path = sounds.write_audio(tmp_path / "a.flac", sounds.music(4))
    straight = decode_straight(path)
    for seconds in (3.5, 9.0):
        layout = wav_layout(duration_s=seconds, sample_rate=44_100, channels=2)
        with open_file(path) as file:
            blocks = PcmBlocks(file, layout)
            ours = samples_of([blocks.read(n) for n in range(count(layout))], layout)
        assert len(ours) == round(44_100 * seconds)
        length = min(len(ours), len(straight))
        assert np.array_equal(ours[:length], straight[:length])
        assert not ours[length:].any()


@pytest.mark.parametrize(
    ("seconds", "rate", "channels"),
    [
        (3.0, 44_100, 2),
        (0.5, 8000, 1),
        (2.0, 192_000, 6),
        (float("nan"), 44_100, 2),
        (1e6, 48_000, 2),
    ],
)
def test_the_header_is_one_that_others_read(seconds: float, rate: int, channels: int) -> None:
    layout = wav_layout(duration_s=seconds, sample_rate=rate, channels=channels)
    header = layout.header()
    assert len(header) == HEADER_BYTES
    assert layout.size < 2**32
    with wave.open(io.BytesIO(header)) as reader:
        assert reader.getparams()[:4] == (layout.channels, 2, layout.rate, layout.frames)


@pytest.mark.parametrize("rate", [44_100, 96_000, 50_001])
def test_ranges_are_cut_into_blocks(rate: int) -> None:
    layout = wav_layout(duration_s=30, sample_rate=rate, channels=2)
    rng = np.random.default_rng(0)
    for _ in range(50):
        start, stop = sorted(rng.integers(0, layout.size + 1, 2).tolist())
        pieces = list(layout.pieces(start, stop))
        assert sum(high - low for _, low, high in pieces) == max(0, stop - max(start, HEADER_BYTES))
        for block, low, high in pieces:
            first, last = layout.block_range(block)
            assert 0 <= low < high <= (last - first) * layout.frame_bytes
