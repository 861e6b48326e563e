"""Embeddings of windows, and of tracks, by one network."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from indexer.features.melspectrogram import FrontEnd, power_spectrogram
from indexer.models.model import Features, Model, NetworkModel, PowerSpectra
from indexer.models.registry import load_model, model_info

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def model() -> NetworkModel:
    loaded = load_model("musicnn")
    assert isinstance(loaded, NetworkModel)
    return loaded


@pytest.fixture
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def noise(windows: int, *, rate: int = 16_000, seed: int = 0) -> np.ndarray:
    samples = 0.1 * np.random.default_rng(seed).standard_normal((windows, 3 * rate))
    return samples.astype(np.float32)


def test_the_check_signal_gives_the_published_embedding_and_tags(model: NetworkModel) -> None:
    """Of the published network in single precision; the shipped file has it in half."""
    time = np.arange(48_000) / 16_000
    gate = np.sign(np.sin(2 * np.pi * 2 * time))
    tone = 0.3 * np.sin(2 * np.pi * 220 * time) + 0.2 * gate * np.sin(2 * np.pi * 880 * time)
    features = model.embed({16_000: tone[None].astype(np.float32)})
    assert features.vector.dtype == features.probabilities.dtype == np.float32
    assert features.vector.shape == (model.info.dim,) == (200,)
    assert features.windows == 1
    expected = [-0.17718, -0.12703, -0.28483, -0.27512, -0.35315, 0.81306]
    np.testing.assert_allclose(features.vector[:6], expected, atol=3e-3)
    assert np.linalg.norm(features.vector) == pytest.approx(16.8617, abs=5e-3)
    best = np.argsort(-features.probabilities)[:3]
    assert [model.info.tag_names[i] for i in best] == ["electronic", "ambient", "electronica"]
    np.testing.assert_allclose(features.probabilities[best], [0.64997, 0.42766, 0.18816], atol=2e-3)


def test_features_of_a_batch_are_the_means_over_its_windows(model: NetworkModel) -> None:
    windows = noise(3)
    whole = model.embed({16_000: windows})
    each = [model.embed({16_000: window[None]}) for window in windows]
    np.testing.assert_allclose(whole.vector, np.mean([one.vector for one in each], 0), atol=1e-4)
    np.testing.assert_allclose(
        whole.probabilities, np.mean([one.probabilities for one in each], 0), atol=1e-5
    )
    assert whole.windows == 3


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", ["musicnn", "soundalike"])
def test_the_same_windows_give_the_same_bits(name: str) -> None:
    """In another process, where they lie otherwise in memory, in float64, and cannot be written."""
    model = load_model(name)
    windows = {rate: noise(5, rate=rate) for rate in model.sample_rates}
    bits = model.embed(windows).vector.tobytes()
    others = {}
    for rate, samples in windows.items():
        shifted = np.empty(samples.size + 3, np.float32)[3:].reshape(samples.shape)
        shifted[:] = samples
        shifted.setflags(write=False)
        others[rate] = shifted
    assert model.embed(others).vector.tobytes() == bits
    doubled = {rate: samples.astype(np.float64) for rate, samples in windows.items()}
    assert model.embed(doubled).vector.tobytes() == bits  # type: ignore[arg-type]  # more than asked
    code = (
        "import sys, numpy as np, torch; torch.set_num_threads(1); "
        "from indexer.models.registry import load_model; model = load_model(sys.argv[1]); "
        "windows = {rate: (0.1 * np.random.default_rng(0).standard_normal((5, 3 * rate)))"
        ".astype(np.float32) for rate in model.sample_rates}; "
        "sys.stdout.buffer.write(model.embed(windows).vector.tobytes())"
    )
    other = subprocess.run([sys.executable, "-c", code, name], capture_output=True, check=True)
    assert other.stdout == bits


@pytest.mark.parametrize("shape", [(48_000,), (0, 48_000), (1, 0), (1, 1, 48_000)])
def test_windows_of_another_shape_are_refused(model: Model, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="not \\(windows, samples\\)"):
        model.embed({16_000: np.zeros(shape, dtype=np.float32)})


def test_a_rate_that_is_missing_is_named(model: Model) -> None:
    with pytest.raises(ValueError, match="no waveforms at 16000 Hz"):
        model.embed({32_000: noise(1, rate=32_000)})


def test_front_ends_that_share_a_transform_share_its_spectra() -> None:
    spectra = PowerSpectra({16_000: noise(2)})
    one = spectra.of(FrontEnd(), frames=1000)
    other = FrontEnd(filters="htk", scale="decibels", window_frames=1813)
    assert spectra.of(other, frames=187) is one
    assert spectra.of(replace(FrontEnd(), pre_emphasis=0.97), frames=187) is not one
    # Without the last frame of 1 + 48000 // 256, which begins where the window ends.
    assert one.shape == (2, 187, 257)
    expected = power_spectrogram(torch.from_numpy(noise(2)), front_end=FrontEnd())
    torch.testing.assert_close(one, expected[:, :187])
    assert spectra.windows == 2


@pytest.mark.parametrize("name", ["musicnn", "mn04"])
@pytest.mark.parametrize("frames", [1, 20, 151, 184])
def test_spectra_of_the_middle_of_windows_are_those_of_the_whole(name: str, frames: int) -> None:
    front_end = model_info(name).front_end
    waveforms = {front_end.sample_rate: noise(2, rate=front_end.sample_rate)}
    count = 3 * front_end.sample_rate // front_end.hop_length
    whole = PowerSpectra(waveforms).of(front_end, frames=count)
    assert whole.shape[1] == count
    first = (count - frames) // 2
    middle = PowerSpectra(waveforms).of(front_end, frames=frames)
    torch.testing.assert_close(middle, whole[:, first : first + frames])


def test_fewer_pieces_are_of_the_middle_of_all_windows() -> None:
    model = load_model("mn04")
    assert isinstance(model, NetworkModel)
    spectra = PowerSpectra({32_000: noise(12, rate=32_000)})
    one = model.embed_spectra(spectra, pieces=1)
    middles = noise(12, rate=32_000)[:, 106 * 320 : 194 * 320]
    expected = model.embed_spectra(PowerSpectra({32_000: middles}))
    assert one.windows == 12
    assert _cosine(one.vector, expected.vector) > 0.99
    three = model.embed_spectra(spectra)
    assert _cosine(one.vector, three.vector) < 0.9999


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def batch(vector: list[float], probabilities: list[float], windows: int) -> Features:
    return Features(np.float32(vector), np.float32(probabilities), windows)


def test_pooling_weighs_batches_by_their_windows(model: Model) -> None:
    batches = [batch([3.0, 0.0], [0.2, 1.0], 12), batch([3.0, 16.0], [0.4, 0.0], 4)]
    vector, activations = model.pool(batches)
    np.testing.assert_allclose(vector, [0.6, 0.8], rtol=1e-6)
    np.testing.assert_allclose(activations, [0.25, 0.75], rtol=1e-6)
    assert vector.dtype == activations.dtype == np.float32


@pytest.mark.parametrize(
    "vectors", [[], [[0.0, 0.0]], [[1.0, -1.0], [-1.0, 1.0]], [[np.nan, 1.0]], [[np.inf, 1.0]]]
)
def test_windows_without_a_mean_direction_cannot_be_pooled(
    model: Model, vectors: list[list[float]]
) -> None:
    with pytest.raises(ValueError, match="windows"):
        model.pool([batch(vector, [0.5], 1) for vector in vectors])


def test_silence_has_finite_features() -> None:
    model = load_model()
    silence = {rate: np.zeros((2, 3 * rate), np.float32) for rate in model.sample_rates}
    features = model.embed(silence)
    assert np.isfinite(features.vector).all()
    assert np.isfinite(features.probabilities).all()
