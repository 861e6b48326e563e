from __future__ import annotations

import librosa
import numpy as np
import pytest

from recommender.plots.chromagram import chroma_basis, chromagram


@pytest.mark.parametrize("sample_rate", [16_000, 22_050])
def test_the_chromagram_is_that_of_librosa(sample_rate: int) -> None:
    rng = np.random.default_rng(0)
    time = np.arange(3 * sample_rate) / sample_rate
    samples = np.sin(2 * np.pi * 440 * time) + 0.1 * rng.standard_normal(len(time))
    samples[sample_rate : 2 * sample_rate] = 0
    sound, n_fft = samples.astype(np.float32), 2 * (sample_rate // 8)
    theirs = librosa.feature.chroma_stft(
        y=sound, sr=sample_rate, n_fft=n_fft, hop_length=n_fft // 2, tuning=0.0
    )
    ours = chromagram(sound, sample_rate=sample_rate, n_fft=n_fft, hop_length=n_fft // 2)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    assert ours[:, 2].argmax() == 9
    basis = librosa.filters.chroma(sr=sample_rate, n_fft=n_fft, tuning=0.0)
    np.testing.assert_allclose(chroma_basis(sample_rate=sample_rate, n_fft=n_fft), basis, atol=1e-6)
