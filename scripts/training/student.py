"""The student: a `Duet` that begins with MusiCNN's weights in its first branch.

(MusiCNN's weights are ISC: what begins with them keeps their notice.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from indexer.network import Duet, NetworkConfig, ResidualNet, build

if TYPE_CHECKING:
    from collections.abc import Mapping

CHANNELS = [[16, 2], [32, 2], [64, 2], [128, 2], [128, 1]]
"""Convolutions of the second branch: (channels, stride)."""


def make(musicnn: nn.Module, config: NetworkConfig, *, dim: int, n_tags: int) -> Duet:
    """A student for MusiCNN, to be trained (normalised by batch in its second branch).

    Parameters
    ----------
    musicnn : nn.Module
        `indexer.network.MusiCNN` with its weights.
    config : NetworkConfig
        Of MusiCNN.
    """
    student = cast("Duet", build(duet_config(config, dim=dim, n_tags=n_tags)))
    begin_with(student, musicnn.state_dict())
    normalise_by_batch(student)
    return student


def duet_config(musicnn: NetworkConfig, *, dim: int, n_tags: int) -> NetworkConfig:
    """Sizes of the student."""
    sizes: dict[str, Any] = {
        "n_mels": musicnn.sizes["n_mels"],
        "filters": musicnn.sizes["filters"],
        "frame_stride": 2,
        "band_strides": [1] * len(musicnn.sizes["filters"]),
        "midend": musicnn.sizes["midend"],
        "dense": musicnn.sizes["dim"],
        "channels": CHANNELS,
        "hidden": 384,
        "dim": dim,
        "n_tags": n_tags,
    }
    return NetworkConfig("duet", sizes)


def begin_with(student: Duet, musicnn: Mapping[str, torch.Tensor]) -> None:
    """Copy MusiCNN's weights to the first branch, as far as they have a place there."""
    weights = student.state_dict()
    for name, tensor in musicnn.items():
        if name.startswith("spectral") and name.endswith("weight"):
            branch = name.removesuffix(".weight")
            scale = musicnn[f"{branch}.norm.scale"]
            gain = torch.where(scale < 0, -1.0, 1.0)
            weights[f"{branch}.conv.weight"] = tensor * gain.view(-1, 1, 1, 1)
            weights[f"{branch}.gain"] = gain
        elif name.startswith(("input_norm", "spectral", "midend", "dense")):
            weights[name] = tensor
    weights["dense_norm.scale"] = musicnn["embedding_norm.scale"]
    weights["dense_norm.shift"] = musicnn["embedding_norm.shift"]
    known = len(musicnn["tags.bias"])
    dense = musicnn["tags.weight"].shape[1]
    weights["tags.weight"] = torch.zeros_like(weights["tags.weight"])
    weights["tags.weight"][:known, :dense] = musicnn["tags.weight"]
    weights["tags.bias"][:known] = musicnn["tags.bias"]
    student.load_state_dict(weights)


def normalise_by_batch(student: Duet | ResidualNet) -> None:
    """Put a batch normalisation behind each convolution of the second branch.

    And one before the hidden layer of a `Duet`.
    """
    block: Any
    for block in student.picture:
        conv = block.conv
        plain = nn.Conv2d(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,
            conv.stride,
            conv.padding,
            bias=False,
        )
        block.conv = nn.Sequential(plain, nn.BatchNorm2d(conv.out_channels))
    if isinstance(student, Duet):
        # Pooled features are far from unit variance: without this the hidden layer dies at once.
        inputs = student.hidden.in_features
        normalised = nn.Sequential(nn.BatchNorm1d(inputs, affine=False), student.hidden)
        student.hidden = cast("nn.Linear", normalised)


def fold(student: Duet | ResidualNet) -> None:
    """Make the batch normalisations part of the convolutions, as the network at run time has it."""
    block: Any
    for block in student.picture:
        if isinstance(block.conv, nn.Sequential):
            conv, norm = cast("tuple[nn.Conv2d, nn.BatchNorm2d]", tuple(block.conv))
            block.conv = nn.utils.fusion.fuse_conv_bn_eval(conv.eval(), norm.eval())
    hidden: Any = getattr(student, "hidden", None)
    if isinstance(hidden, nn.Sequential):
        before: Any = hidden[0]
        linear = cast("nn.Linear", hidden[1])
        with torch.no_grad():
            linear.weight /= (before.running_var + before.eps).sqrt()
            linear.bias.sub_(linear.weight @ before.running_mean)
        student.hidden = linear
