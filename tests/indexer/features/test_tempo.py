from __future__ import annotations

import numpy as np
import pytest

from indexer.features.descriptors import HOP_S, measure
from indexer.features.tempo import estimate_tempo

RATE = 16_000


def clicks(bpm: float, *, seconds: float = 36.0, tone: float = 1000.0) -> np.ndarray:
    """A click track, with a little noise, cut into windows."""
    sound = 0.003 * np.random.default_rng(0).standard_normal(int(seconds * RATE))
    click = 0.5 * np.sin(2 * np.pi * tone * np.arange(480) / RATE) * np.exp(-np.arange(480) / 80)
    for start in np.arange(0.1, seconds - 0.1, 60 / bpm):
        sound[int(start * RATE) :][:480] += click
    return sound.reshape(-1, 3 * RATE).astype(np.float32)


def tempo_of(windows: np.ndarray) -> tuple[float | None, float]:
    return estimate_tempo(measure(windows, sample_rate=RATE).onsets, frame_rate=1 / HOP_S)


@pytest.mark.parametrize("tone", [200.0, 3000.0])
def test_click_tracks_have_the_tempo_they_were_made_with(tone: float) -> None:
    for bpm in range(40, 201, 20):
        found, confidence = tempo_of(clicks(bpm, tone=tone))
        assert found == pytest.approx(bpm, rel=0.01)
        assert confidence > 0.5


def test_windows_apart_from_each_other_do_as_well() -> None:
    whole = clicks(97, seconds=240)
    found, _ = tempo_of(whole[::7])
    assert found == pytest.approx(97, rel=0.01)


def test_noise_has_no_beat() -> None:
    for seed in range(20):
        noise = np.random.default_rng(seed).standard_normal((2 + seed % 11, 3 * RATE))
        assert tempo_of(0.1 * noise.astype(np.float32)) == (None, 0.0)


def test_a_steady_tone_and_digital_silence_have_no_beat() -> None:
    time = np.arange(6 * 3 * RATE) / RATE
    tone = 0.1 * np.sin(2 * np.pi * 440 * time).astype(np.float32).reshape(6, -1)
    assert tempo_of(tone) == (None, 0.0)
    assert tempo_of(np.zeros((3, 3 * RATE), np.float32)) == (None, 0.0)


def test_one_window_is_too_little_for_a_tempo() -> None:
    """It may be one second of sound, repeated: a beat of 60 that nobody played."""
    assert tempo_of(np.resize(clicks(93)[0][:RATE], (1, 3 * RATE))) == (None, 0.0)


def test_loudness_does_not_change_the_tempo() -> None:
    loud, quiet = tempo_of(clicks(120)), tempo_of(0.05 * clicks(120))
    assert loud[0] == pytest.approx(quiet[0], rel=0.005)


def test_what_is_less_clear_is_less_sure() -> None:
    noise = 0.1 * np.random.default_rng(1).standard_normal((12, 3 * RATE)).astype(np.float32)
    assert tempo_of(clicks(120) + noise)[1] < tempo_of(clicks(120) + 0.1 * noise)[1]


def test_a_dotted_figure_is_not_taken_for_the_beat() -> None:
    """A breakbeat: kicks on 1 and before 3 and 4, snares on 2 and 4."""
    ticks = np.arange(1200)
    sound = 0.003 * np.random.default_rng(0).standard_normal(36 * RATE)
    for tone, beats in ((60, (0, 1.5, 2.5)), (1800, (1, 3)), (6000, (0, 1.5, 3))):
        hit = 0.5 * np.sin(2 * np.pi * tone * ticks / RATE) * np.exp(-ticks / 200)
        for bar in np.arange(0.1, 34, 4 * 60 / 174):
            for beat in beats:
                start = int((bar + beat * 60 / 174) * RATE)
                sound[start : start + len(hit)] += hit
    found, _ = tempo_of(sound.reshape(-1, 3 * RATE).astype(np.float32))
    assert found is not None
    octaves = np.log2(found / 174)
    assert abs(octaves - round(octaves)) < 0.02
