from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
import soxr

from indexer.features.descriptors import describe, measure
from indexer.features.loudness import block_powers, integrated_loudness, k_weighting

RATE = 16_000


def loudness(sound: np.ndarray, *, spread: float = 1) -> float | None:
    windows = sound[: len(sound) // (3 * RATE) * 3 * RATE].reshape(-1, 3 * RATE)
    measured = measure(windows.astype(np.float32), sample_rate=RATE)
    return describe([measured], channel_power_ratio=spread).loudness_lufs


def sine(frequency: float, level_dbfs: float, *, seconds: int = 12) -> np.ndarray:
    time = np.arange(seconds * RATE) / RATE
    return 10 ** (level_dbfs / 20) * np.sin(2 * np.pi * frequency * time)


def ffmpeg_loudness(sound: np.ndarray) -> float:
    """The integrated loudness that FFmpeg's EBU R 128 meter shows at the end of a mono sound."""
    resampled = soxr.resample(sound, RATE, 48_000).astype(np.float32)
    graph = av.filter.Graph()
    source = graph.add_abuffer(
        sample_rate=48_000, format="fltp", layout="mono", time_base=Fraction(1, 48_000)
    )
    meter = graph.add("ebur128", "metadata=1")
    sink = graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    shown = []
    for start in range(0, len(resampled), 4800):
        frame = av.AudioFrame.from_ndarray(
            resampled[np.newaxis, start : start + 4800], format="fltp", layout="mono"
        )
        frame.sample_rate, frame.pts = 48_000, start
        source.push(frame)
        while True:
            try:
                metadata = sink.pull().metadata
            except (av.error.BlockingIOError, av.error.EOFError):
                break
            if "lavfi.r128.I" in metadata:
                shown.append(float(metadata["lavfi.r128.I"]))
    return shown[-1]


def test_the_standards_own_example_is_met() -> None:
    """ITU-R BS.1770: 0 dBFS at 997 Hz in one channel is -3.01 LKFS; here 20 dB below."""
    assert loudness(sine(997, -20)) == pytest.approx(-23.01, abs=0.015)


def test_two_like_channels_are_3_db_louder_than_one() -> None:
    one, two = loudness(sine(997, -20)), loudness(sine(997, -20), spread=2)
    assert one is not None
    assert two == pytest.approx(one + 3.01, abs=0.015)


def test_a_factor_of_two_is_6_db() -> None:
    noise = 0.05 * np.random.default_rng(0).standard_normal(12 * RATE)
    quiet = loudness(noise)
    assert quiet is not None
    assert loudness(2 * noise) == pytest.approx(quiet + 6.02, abs=0.015)


@pytest.mark.parametrize(("kind", "within"), [("noise", 0.1), ("bass", 0.25), ("uneven", 0.1)])
def test_it_agrees_with_the_meter_of_ffmpeg(kind: str, within: float) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(24 * RATE)
    # The resampler that leads to FFmpeg's meter would take off what lies above 7 kHz.
    noise = soxr.resample(soxr.resample(noise, RATE, 12_000), 12_000, RATE)
    sound = {
        "noise": noise,
        "bass": sine(60, -12, seconds=24) + 0.02 * noise,
        # The quiet half lies below the relative gate.
        "uneven": noise * np.repeat([1.0, 0.1], 12 * RATE),
    }[kind]
    assert loudness(sound) == pytest.approx(ffmpeg_loudness(sound), abs=within)


def test_the_weighting_is_that_of_the_standard() -> None:
    """Figures 2 and 4 of BS.1770: no bass, 0.69 dB at 997 Hz, 4 dB at the top."""
    assert 10 * np.log10(k_weighting(997.0)) == pytest.approx(0.691, abs=0.015)
    assert 10 * np.log10(k_weighting(16_000.0)) == pytest.approx(4.0, abs=0.05)
    assert 10 * np.log10(k_weighting(20.0)) < -10
    assert k_weighting(0.0) == pytest.approx(0.0, abs=1e-9)


def test_silence_has_no_loudness() -> None:
    assert loudness(np.zeros(6 * RATE)) is None
    assert loudness(sine(997, -80)) is None


def test_blocks_last_four_tenths_of_a_second_and_begin_every_tenth() -> None:
    frames = np.arange(186, dtype=np.float32)[np.newaxis]
    blocks = block_powers(frames, hop_s=0.016)
    assert blocks[0, :2] == pytest.approx([12.0, 18.0])
    assert integrated_loudness(np.full(3, 1.0), channel_power_ratio=1) == pytest.approx(-0.691)
