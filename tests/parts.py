"""Model files with random weights, of the networks that are parts of an ensemble."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from indexer.features.melspectrogram import FrontEnd
from indexer.models import checkpoint, efficientat, fcn
from indexer.models.checkpoint import ModelCard, ModelInfo, NetworkConfig
from indexer.models.network import build_network

if TYPE_CHECKING:
    from pathlib import Path

FRONT_ENDS = {"musicnn": FrontEnd(), "mn04": efficientat.FRONT_END, "fcn": fcn.FRONT_END}
NETWORKS = {
    "musicnn": NetworkConfig(
        "musicnn",
        {"filters": [[2, 7, 38], [1, 32, 1]], "midend": 4, "dim": 200, "n_tags": 3},
    ),
    "mn04": NetworkConfig("efficientat", {"width": 0.4, "n_tags": 2}),
    "fcn": NetworkConfig("fcn", {"channels": [4, 4, 4, 4, 64], "n_tags": 3}),
}
TAGS = {"musicnn": ("rock", "jazz", "sad"), "mn04": ("piano", "jazz"), "fcn": ("sad", "x", "rock")}
DIMS = {"musicnn": 200, "mn04": 384, "fcn": 64}


def write_part(folder: Path, part: str, *, seed: int = 0, name: str | None = None) -> ModelInfo:
    """Write a model file of the network of `part`, by default under that name."""
    name = name or part
    torch.manual_seed(seed)
    network = build_network(NETWORKS[part])
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv1d | torch.nn.Conv2d | torch.nn.Linear):
            # Large enough that different sounds have different embeddings.
            torch.nn.init.normal_(layer.weight, std=1.6 / layer.weight[0].numel() ** 0.5)
    tensors = {key: t.numpy() for key, t in network.state_dict().items()}
    if part == "fcn":
        tensors["basis"] = torch.rand(257, 96).numpy() ** 20
    card = ModelCard(
        name=name,
        dim=DIMS[part],
        tag_names=TAGS[part],
        network=NETWORKS[part],
        front_end=FRONT_ENDS[part],
        pooling="mean",
        licence=f"none, {part}",
        source="random",
    )
    return checkpoint.write(folder / f"{name}.safetensors", tensors, card)
