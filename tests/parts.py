"""Networks of the shapes that an ensemble is made of, with random weights, as model files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from indexer.features.melspectrogram import FrontEnd
from indexer.models import checkpoint, efficientat, fcn
from indexer.models.checkpoint import ModelCard, ModelInfo, NetworkConfig
from indexer.models.network import build

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


def write_part(folder: Path, name: str, *, seed: int = 0) -> ModelInfo:
    """Write one part as the model file `name` in `folder`, ready to be found by its name."""
    torch.manual_seed(seed)
    network = build(NETWORKS[name])
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv1d | torch.nn.Conv2d | torch.nn.Linear):
            # Large enough that different sounds have different embeddings.
            torch.nn.init.normal_(layer.weight, std=1.6 / layer.weight[0].numel() ** 0.5)
    tensors = {key: t.numpy() for key, t in network.state_dict().items()}
    if name == "fcn":
        tensors["basis"] = torch.rand(257, 96).numpy() ** 20
    card = ModelCard(
        name=name,
        dim=DIMS[name],
        tag_names=TAGS[name],
        network=NETWORKS[name],
        front_end=FRONT_ENDS[name],
        pooling="mean",
        licence=f"none, {name}",
        source="random",
    )
    return checkpoint.write(folder / f"{name}.safetensors", tensors, card)
