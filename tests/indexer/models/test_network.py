from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from indexer.errors import ModelCorrupt
from indexer.features.melspectrogram import FrontEnd, log_mel
from indexer.models import checkpoint
from indexer.models.checkpoint import NetworkConfig
from indexer.models.network import MusiCNN, SpectralFilters, build_network
from tests.shared_data import TEACHERS

SMALL = {
    "n_mels": 20,
    "filters": [[6, 7, 9], [5, 16, 1], [4, 1, 20]],
    "midend": 8,
    "dim": 10,
    "n_tags": 3,
}


@pytest.fixture(scope="module")
def published(musicnn_models: Path) -> torch.nn.Module:
    info, tensors = checkpoint.read(musicnn_models / "musicnn.safetensors")
    network = build_network(info.network)
    network.load_state_dict({name: torch.tensor(t) for name, t in tensors.items()})
    return network.eval()


@pytest.fixture(scope="module")
def teacher() -> torch.nn.Module:
    """Another implementation of the whole published network, dead filters and all."""
    if not (TEACHERS / "musicnn.py").exists():
        pytest.skip("no second implementation beside the checkout (../shared/teachers)")
    spec = importlib.util.spec_from_file_location("teacher_musicnn", TEACHERS / "musicnn.py")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network: torch.nn.Module = module.load()
    return network


def randomised(network: torch.nn.Module, seed: int) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
    return network.eval()


def check_signal() -> torch.Tensor:
    time = np.arange(48_000) / 16_000
    gate = np.sign(np.sin(2 * np.pi * 2 * time))
    tone = 0.3 * np.sin(2 * np.pi * 220 * time) + 0.2 * gate * np.sin(2 * np.pi * 880 * time)
    return log_mel(torch.tensor(tone, dtype=torch.float32), front_end=FrontEnd())[None, :187]


@torch.inference_mode()
def test_published_network_gives_the_published_numbers(published: torch.nn.Module) -> None:
    embedding, logits = published(check_signal())
    expected = torch.tensor([-0.17718, -0.12703, -0.28483, -0.27512, -0.35315, 0.81306])
    torch.testing.assert_close(embedding[0, :6], expected, rtol=0, atol=2e-5)
    assert embedding[0].norm().item() == pytest.approx(16.8617, abs=1e-4)
    values, order = torch.sigmoid(logits[0]).topk(3)
    assert order.tolist() == [4, 28, 18]  # electronic, ambient, electronica
    torch.testing.assert_close(values, torch.tensor([0.64997, 0.42766, 0.18816]), rtol=0, atol=2e-5)


@torch.inference_mode()
@pytest.mark.parametrize(("level", "frames"), [(0.5, 187), (4.0, 187), (2.0, 60), (2.0, 5)])
def test_published_network_equals_another_implementation(
    published: torch.nn.Module, teacher: torch.nn.Module, level: float, frames: int
) -> None:
    mel = level * torch.rand(2, frames, 96, generator=torch.Generator().manual_seed(frames))
    embedding, logits = published(mel)
    their_logits, their_embedding, _ = teacher(mel)
    torch.testing.assert_close(embedding, their_embedding, rtol=0, atol=2e-5)
    torch.testing.assert_close(logits, their_logits, rtol=0, atol=2e-5)


@torch.inference_mode()
@pytest.mark.parametrize(("frames", "bands"), [(7, 9), (16, 1), (1, 20)])
def test_filters_pool_as_the_paper_does(frames: int, bands: int) -> None:
    """Convolution, ReLU, normalisation, maximum: also where a scale is negative."""
    branch = randomised(SpectralFilters(12, frames, bands), seed=frames)
    assert isinstance(branch, SpectralFilters)
    assert (branch.norm.scale < 0).any()
    assert (branch.norm.scale > 0).any()
    x = torch.randn(2, 1, 30, 20, generator=torch.Generator().manual_seed(bands))
    padded = F.pad(x, (0, 0, (frames - 1) // 2, frames // 2))
    maps = branch.norm(F.relu(F.conv2d(padded, branch.weight, branch.bias)))
    torch.testing.assert_close(branch(x), maps.amax(3), rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_a_batch_is_its_windows_one_by_one() -> None:
    network = randomised(MusiCNN(**SMALL), seed=5)
    mel = torch.rand(4, 40, 20, generator=torch.Generator().manual_seed(6))
    embedding, logits = network(mel)
    assert embedding.shape == (4, 10)
    assert logits.shape == (4, 3)
    for i in range(4):
        one, one_logits = network(mel[i : i + 1])
        torch.testing.assert_close(one[0], embedding[i], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(one_logits[0], logits[i], rtol=1e-4, atol=1e-4)


def test_every_parameter_can_learn() -> None:
    network = randomised(build_network(NetworkConfig("musicnn", SMALL)), seed=7)
    mel = torch.rand(8, 40, 20, generator=torch.Generator().manual_seed(8))
    _, logits = network(mel)
    logits.square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (NetworkConfig("resnet", {}), "'resnet' is not known"),
        (NetworkConfig("musicnn", SMALL | {"depth": 3}), "sizes"),
        (NetworkConfig("musicnn", {}), "sizes"),
        (NetworkConfig("musicnn", SMALL | {"filters": [[1, 2]]}), "sizes"),
        (NetworkConfig("musicnn", SMALL | {"filters": [[4, 7, 21]]}), "wider"),
        (NetworkConfig("musicnn", SMALL | {"dim": -1}), "sizes"),
    ],
)
def test_a_network_that_cannot_be_built_is_refused(config: NetworkConfig, message: str) -> None:
    with pytest.raises(ModelCorrupt, match=message):
        build_network(config)
