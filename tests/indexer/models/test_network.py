from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from indexer.errors import ModelCorrupt
from indexer.models.checkpoint import NetworkConfig
from indexer.models.network import MusiCNN, SpectralFilters, build_network

SMALL = {
    "n_mels": 20,
    "filters": [[6, 7, 9], [5, 16, 1], [4, 1, 20]],
    "midend": 8,
    "dim": 10,
    "n_tags": 3,
}


def randomised(network: torch.nn.Module, seed: int) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
    return network.eval()


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
