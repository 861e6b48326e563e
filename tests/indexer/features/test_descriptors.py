from __future__ import annotations

import math
from dataclasses import asdict

import numpy as np
import pytest
import soxr

from indexer.features.descriptors import Descriptors, describe, measure
from tests import sounds

RATE = 16_000


def described(sound: np.ndarray) -> Descriptors:
    windows = np.asarray(sound, np.float32).reshape(-1, 3 * RATE)
    return describe([measure(windows, sample_rate=RATE)], channel_power_ratio=1)


def test_brightness_is_the_centroid_of_what_sounds() -> None:
    time = np.arange(6 * RATE) / RATE
    half = np.repeat([1.0, 0.0], 3 * RATE)
    assert described(0.1 * half * np.sin(2 * np.pi * 1000 * time)).brightness_hz == pytest.approx(
        1000, rel=0.02
    )
    noise = 0.1 * np.random.default_rng(0).standard_normal(6 * RATE)
    assert described(noise).brightness_hz == pytest.approx(4000, rel=0.02)


def test_window_by_window_gives_the_same_as_all_at_once() -> None:
    windows = soxr.resample(sounds.music(15)[0], 44_100, RATE).reshape(5, -1)
    windows *= np.linspace(0.1, 1.0, 5, dtype=np.float32)[:, np.newaxis]
    at_once = describe([measure(windows, sample_rate=RATE)], channel_power_ratio=2)
    in_turn = describe(
        [measure(row[None], sample_rate=RATE) for row in windows], channel_power_ratio=2
    )
    assert (in_turn.tempo_bpm, in_turn.musical_key) == (at_once.tempo_bpm, at_once.musical_key)
    assert in_turn.loudness_lufs == pytest.approx(at_once.loudness_lufs, abs=0.011)
    assert in_turn.brightness_hz == pytest.approx(at_once.brightness_hz, rel=1e-4)


@pytest.mark.parametrize(
    "sound",
    [
        np.zeros(3 * RATE),
        np.full(6 * RATE, 0.5),  # a constant, as a broken recorder gives
        np.eye(1, 6 * RATE, 100)[0],  # one click
        1e-20 * np.random.default_rng(0).standard_normal(6 * RATE),
        1e9 * np.random.default_rng(0).standard_normal(6 * RATE),
        np.sign(np.random.default_rng(0).standard_normal(9 * RATE)),
        np.resize(sounds.music(1.0)[: RATE // 2].ravel(), 3 * RATE),
    ],
    ids=["silence", "constant", "click", "faint", "huge", "clipped", "short"],
)
def test_nothing_ever_comes_out_that_is_not_a_number(sound: np.ndarray) -> None:
    found = described(sound)
    for value in asdict(found).values():
        assert value is None or isinstance(value, str) or math.isfinite(value)
    assert 0 <= found.tempo_confidence <= 1
    assert 0 <= found.key_confidence <= 1
    assert found.tempo_bpm is None


def test_another_sample_rate_gives_the_same_descriptors() -> None:
    time = np.arange(12 * 48_000) / 48_000
    sound = 0.1 * np.sin(2 * np.pi * 440 * time) * (1 + np.sin(2 * np.pi * 2 * time))
    slow = sound[::3].astype(np.float32).reshape(4, -1)
    fast = sound.astype(np.float32).reshape(4, -1)
    one = describe([measure(slow, sample_rate=16_000)], channel_power_ratio=1)
    other = describe([measure(fast, sample_rate=48_000)], channel_power_ratio=1)
    assert other.loudness_lufs == pytest.approx(one.loudness_lufs, abs=0.05)
    assert other.brightness_hz == pytest.approx(one.brightness_hz, rel=0.05)
