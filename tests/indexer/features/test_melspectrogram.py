from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import librosa
import numpy as np
import pytest
import scipy.signal
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.features.melspectrogram import FrontEnd, hz_to_mel, log_mel, mel_basis, mel_to_hz
from tests.shared_data import CLIPS

KALDI = FrontEnd(
    sample_rate=32_000,
    n_fft=1024,
    hop_length=320,
    n_mels=128,
    fmax=15_000.0,
    win_length=800,
    pre_emphasis=0.97,
    filters="kaldi",
    scale="log(P + 1e-5)",
)


def reference(samples: np.ndarray, front_end: FrontEnd) -> np.ndarray:
    power = librosa.feature.melspectrogram(
        y=samples,
        sr=front_end.sample_rate,
        n_fft=front_end.n_fft,
        hop_length=front_end.hop_length,
        n_mels=front_end.n_mels,
        fmin=front_end.fmin,
        fmax=front_end.fmax,
    )
    return np.log10(1.0 + 10_000.0 * power).T


def assert_like_librosa(samples: np.ndarray, front_end: FrontEnd | None = None) -> None:
    front_end = front_end or FrontEnd()
    ours = log_mel(torch.tensor(samples), front_end=front_end).numpy()
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, reference(samples, front_end), rtol=0, atol=1e-4)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1),
    samples=st.integers(512, 60_000),
    level=st.sampled_from([1e-4, 0.1, 1.0]),
)
def test_noise_is_as_librosa_has_it(seed: int, samples: int, level: float) -> None:
    noise = level * np.random.default_rng(seed).standard_normal(samples)
    assert_like_librosa(noise.astype(np.float32))


@settings(max_examples=25)
@given(frequency=st.floats(20.0, 8000.0), level=st.floats(1e-3, 1.0))
def test_tones_are_as_librosa_has_them(frequency: float, level: float) -> None:
    time = np.arange(16_000) / 16_000
    assert_like_librosa((level * np.sin(2 * np.pi * frequency * time)).astype(np.float32))


def test_chords_with_attacks_are_as_librosa_has_them() -> None:
    time = np.arange(48_000) / 16_000
    notes = (220.0, 277.18, 329.63, 440.0, 2217.46)
    chord = sum(np.sin(2 * np.pi * hz * time) / (i + 1) for i, hz in enumerate(notes))
    decay = np.exp(-8.0 * (time % 0.5))
    assert_like_librosa((0.3 * decay * chord).astype(np.float32))


def test_real_music_is_as_librosa_has_it() -> None:
    clips = sorted(CLIPS.rglob("*.opus"))[::60]
    if not clips:
        pytest.skip("no music beside the checkout (../shared/music/clips)")
    import av

    for clip in clips:
        with av.open(str(clip), metadata_errors="replace") as file:
            resampler = av.AudioResampler(format="flt", layout="mono", rate=16_000)
            frames = [f for raw in file.decode(audio=0) for f in resampler.resample(raw)]
        samples = np.concatenate([frame.to_ndarray().ravel() for frame in frames])
        assert_like_librosa(samples[:160_000])


def test_another_front_end() -> None:
    front_end = FrontEnd(
        sample_rate=22_050, n_fft=1024, hop_length=512, n_mels=64, fmin=50.0, fmax=10_000.0
    )
    samples = np.random.default_rng(1).standard_normal(30_000).astype(np.float32)
    assert_like_librosa(samples, front_end)


def test_mel_scale_and_basis_are_those_of_librosa() -> None:
    hz = np.array([0.0, 60.0, 440.0, 999.9, 1000.0, 1000.1, 4000.0, 8000.0])
    np.testing.assert_allclose(hz_to_mel(hz), librosa.hz_to_mel(hz), rtol=1e-12)
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(hz)), hz, rtol=1e-12)
    shape = {"sr": 16_000, "n_fft": 512, "n_mels": 96, "fmin": 0.0, "fmax": 8000.0}
    np.testing.assert_allclose(
        mel_basis(FrontEnd()), librosa.filters.mel(**shape), rtol=1e-5, atol=1e-9
    )
    np.testing.assert_allclose(
        mel_basis(FrontEnd(filters="htk")),
        librosa.filters.mel(**shape, htk=True, norm=None),
        rtol=1e-5,
        atol=1e-6,
    )


def test_kaldis_triangles_are_over_mels() -> None:
    basis = mel_basis(KALDI)
    assert basis.shape == (128, 513)
    hz = np.arange(513) * 32_000 / 1024
    # In Kaldi's source: 1127 ln(1 + f / 700), the bands as far apart as they are wide.
    mels = 1127.0 * np.log1p(hz / 700.0)
    step = 1127.0 * np.log1p(15_000 / 700.0) / 129
    for band in (0, 1, 60, 127):
        expected = np.maximum(0.0, 1.0 - np.abs(mels / step - (band + 1)))
        np.testing.assert_allclose(basis[band], expected, atol=1e-6)
    assert not basis[:, hz >= 15_000].any()
    # Neighbours add up to 1 between the first peak and the last.
    np.testing.assert_allclose(basis[:, (hz > 60) & (hz < 14_500)].sum(0), 1.0, atol=1e-5)
    assert not mel_basis(replace(KALDI, fmax=16_000.0))[:, -1].any()


def test_decibels_of_htk_bands_are_those_of_librosa() -> None:
    samples = 0.1 * np.random.default_rng(2).standard_normal(20_000).astype(np.float32)
    samples[8_000:12_000] = 0.0
    ours = log_mel(torch.tensor(samples), front_end=FrontEnd(filters="htk", scale="decibels"))
    power = librosa.feature.melspectrogram(
        y=samples, sr=16_000, n_fft=512, hop_length=256, n_mels=96, htk=True, norm=None
    )
    np.testing.assert_allclose(ours.numpy(), 10 * np.log10(np.maximum(power.T, 1e-10)), atol=2e-3)
    assert ours.min() == -100.0


def test_pre_emphasis_and_a_shorter_hann_window_come_before_the_transform() -> None:
    samples = 0.1 * np.random.default_rng(3).standard_normal(32_000)
    emphasised = samples - 0.97 * np.concatenate([[0.0], samples[:-1]])
    spectrum = librosa.stft(
        emphasised,
        n_fft=1024,
        hop_length=320,
        win_length=800,
        window=scipy.signal.windows.hann(800, sym=True),
        pad_mode="constant",
    )
    power = mel_basis(KALDI).astype(np.float64) @ np.square(np.abs(spectrum))
    expected = (np.log(power.T + 1e-5) + 4.5) / 5
    ours = log_mel(torch.tensor(samples, dtype=torch.float32), front_end=KALDI)
    np.testing.assert_allclose(ours.numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("change", [{"filters": "mel"}, {"scale": "ln"}])
def test_unknown_filters_and_scales_are_refused(change: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="unknown filters"):
        FrontEnd(**change)


def test_a_batch_is_its_waveforms_one_by_one() -> None:
    waveforms = torch.randn(3, 5_000, generator=torch.Generator().manual_seed(3))
    batch = log_mel(waveforms, front_end=FrontEnd())
    assert batch.shape == (3, 1 + 5_000 // 256, 96)
    for waveform, mel in zip(waveforms, batch, strict=True):
        torch.testing.assert_close(log_mel(waveform, front_end=FrontEnd()), mel)


@pytest.mark.parametrize("samples", [1, 100, 255, 256])
def test_less_than_a_frame_of_silence_is_zeros(samples: int) -> None:
    mel = log_mel(torch.zeros(samples), front_end=FrontEnd())
    assert mel.shape == (1 + samples // 256, 96)
    assert not mel.any()


def test_it_can_be_trained_through() -> None:
    waveform = torch.randn(4_000, generator=torch.Generator().manual_seed(4), requires_grad=True)
    with torch.inference_mode():
        log_mel(torch.zeros(4_000), front_end=FrontEnd())  # what is kept from here must not harm
    log_mel(waveform, front_end=FrontEnd()).sum().backward()
    assert waveform.grad is not None
    assert torch.isfinite(waveform.grad).all()


def test_librosa_is_not_loaded() -> None:
    code = (
        "import sys, torch; from indexer.features.melspectrogram import FrontEnd, log_mel; "
        "log_mel(torch.zeros(1000), front_end=FrontEnd()); sys.exit('librosa' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
